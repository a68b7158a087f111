import type { RedisClientLike } from './types/redis-client-like.cjs';
/** A client that can run scripts. */
export type ScriptClient = Required<Pick<RedisClientLike, 'eval' | 'evalsha'>>;
/** Redis has stored nothing. */
export declare class NotStored extends Error {
}
/** Runs the calls of each channel in their order, also where Redis has lost the script. */
export declare class ScriptRunner {
    #private;
    constructor(client: ScriptClient, text: string);
    /**
     * Resolves with the answer of the script. Rejects with the client's error, or with
     * {@link NotStored}.
     */
    run(channel: string, keys: number, rest: Buffer[]): Promise<unknown>;
}
