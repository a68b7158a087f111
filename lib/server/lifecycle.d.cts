import type { CheckedStartOptions } from '../options/start.cjs';
import type { Server, ShutdownReport } from '../types/server.cjs';
export declare function startServer(request: CheckedStartOptions): Promise<Server>;
export declare function shutdownAll(code: number, timeout: number): Promise<ShutdownReport>;
/** Shuts down what this copy of the package has in this thread. */
export declare function shutdownHere(code: number, timeout: number): Promise<ShutdownReport>;
/** Aborted by the next `shutdown`, with an error as its reason. */
export declare function untilNextShutdown(): AbortSignal;
/** One task after the other. */
export declare function inTurn<T>(task: () => Promise<T>): Promise<T>;
