import type { IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
/** Closes clients that have been silent for too long. The server itself sends no heartbeat. */
export declare class HeartbeatCheck<M extends Record<string, unknown>> {
    #private;
    constructor(clients: Clients<M>, silence: number, log: IWebSocketLogger);
    /** Keeps the process alive until `stop`. */
    start(interval: number): void;
    stop(): void;
    /** A client that is still there at the next check is closed again. */
    run(): void;
}
