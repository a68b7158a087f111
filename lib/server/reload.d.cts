import type { CheckedReloadOptions } from '../options/reload.cjs';
import type { ReloadReport } from '../types/worker-threads.cjs';
export declare function reload(request: CheckedReloadOptions): Promise<ReloadReport>;
