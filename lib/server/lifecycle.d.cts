import type { CheckedStartOptions } from '../options/start.cjs';
import type { Server, ShutdownReport } from '../types/server.cjs';
export declare function startServer(request: CheckedStartOptions): Promise<Server>;
export declare function shutdownAll(code: number, timeout: number): Promise<ShutdownReport>;
