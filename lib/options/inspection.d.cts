import type { LogRecord } from '../types/log.cjs';
/** A number; one that is no id means a socket that is gone. */
export declare function checkSocketId(call: string, socketId: unknown): number;
export declare function checkSlowSockets(count: unknown): number;
export declare function checkGetSockets(options: unknown): {
    after: number;
    limit: number;
};
export declare function checkLogger(logger: unknown, options: unknown): {
    logger: ((record: LogRecord) => void) | undefined;
    level: LogRecord['level'];
};
