import { type Publisher } from './emitter-client.cjs';
import type { NativeHistoryRule } from './native.cjs';
import type { RedisClientLike } from './types/redis-client-like.cjs';
export interface Numbering {
    hasHistory(channel: Buffer): boolean;
    publish: Publisher;
}
/** The script of the instances, run by the client. */
export declare function numberingFor(client: RedisClientLike, prefix: string, history: NativeHistoryRule[], timeout: number): Numbering;
