import type { IRedisClientLike, IWebSocketLogger } from '../types.cjs';
/**
 * A Redis client of the application, and whether it is connected. Listeners are added but never
 * removed: not every client can remove them.
 */
export declare class RedisLink {
    #private;
    readonly client: IRedisClientLike;
    readonly name: string;
    /** Whether it has been ready, and not lost since. */
    up: boolean;
    constructor(client: IRedisClientLike, name: string);
    /** Adds the listeners. */
    watch(logger: IWebSocketLogger, changed: (up: boolean) => void): void;
    /**
     * Connects a client that has not started to. Failures come as events; that it is ready may show
     * only in its status.
     */
    start(): void;
    /** Resolves with the first `ready`, rejects with the first `error` before it. */
    ready(limit: number): Promise<void>;
    /** Ends all waiting. */
    giveUp(): void;
    /**
     * Ignores its events from now on. The listeners stay, so that a late error does not end the
     * process.
     */
    close(): void;
}
