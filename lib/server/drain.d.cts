import type { NativeDrainOptions } from '../native.cjs';
import type { DrainProgress, DrainReport } from '../types/server.cjs';
export declare function drainAll(options: NativeDrainOptions, onProgress: ((progress: DrainProgress) => void) | undefined): Promise<DrainReport>;
