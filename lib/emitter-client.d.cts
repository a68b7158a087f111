import { WSBrokerError } from './errors.cjs';
import type { EmitterReceipt } from './types/emitter-receipt.cjs';
import type { RedisClientLike } from './types/redis-client-like.cjs';
export declare function isClient(value: unknown): value is RedisClientLike;
export type Publisher = (channel: Buffer, data: string | Buffer, id: string | undefined) => Promise<EmitterReceipt>;
/**
 * Numbers and envelopes as the addon makes them (crates/wsbroker-redis/src/bus/bus_envelope.rs),
 * for a Redis client of the application.
 */
export declare function publisherFor(client: RedisClientLike, prefix: string, timeout: number): (channel: Buffer, data: string | Buffer) => Promise<void>;
/** Asks the client, which may keep so many bytes for us, and has so long to answer. */
export declare function boundedClient(client: RedisClientLike, timeout: number): <T>(bytes: number, send: () => Promise<T>) => Promise<T>;
export declare function lost(why: string, cause?: unknown): WSBrokerError;
