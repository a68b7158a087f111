import type { IRedisClientLike, IWebSocketLogger } from '../types.cjs';
/**
 * One client of Redis, and whether it is there. Its handlers can be put on and never be taken off,
 * since a client need not be able to.
 */
export declare class RedisLink {
    #private;
    readonly client: IRedisClientLike;
    readonly name: string;
    /** Ready, and not lost since. */
    up: boolean;
    constructor(client: IRedisClientLike, name: string);
    /** Puts the handlers on. */
    watch(logger: IWebSocketLogger, changed: (up: boolean) => void): void;
    /**
     * Connects a client that waits to be told; how it fails, its events say. That it is ready, its
     * status may be the only one to say.
     */
    start(): void;
    /** Resolves with the first `ready`, rejects with the first `error` before it. */
    ready(limit: number): Promise<void>;
    /** Nobody waits any more. */
    giveUp(): void;
    /**
     * From now on its events mean nothing; that it has handlers keeps a late error from ending the
     * process.
     */
    close(): void;
}
