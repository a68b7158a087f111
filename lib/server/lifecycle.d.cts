import type { Server, ShutdownReport } from '../types/server.cjs';
import type { StartRequest } from '../options/start.cjs';
export declare function startServer(request: StartRequest): Promise<Server>;
export declare function shutdownAll(code: number, timeout: number): Promise<ShutdownReport>;
