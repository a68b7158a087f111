import type { Buffer } from '../ambient.cjs';
/** If a handler has transferred the bytes, their length is 0 and differs from `length`. */
export interface CachedToken {
    version: number;
    bytes: Buffer;
    length: number;
}
/**
 * So many sockets that have had an event lately keep their tokens, at least, and twice as many at
 * most. A `Buffer` takes half a kilobyte, more than anything else of an idle socket.
 */
export declare const RECENT_TOKENS = 1024;
/** The tokens of the sockets that had events lately. */
export declare class TokenCache {
    #private;
    get(id: number): CachedToken | undefined;
    set(id: number, token: CachedToken): void;
    delete(id: number): void;
    clear(): void;
}
