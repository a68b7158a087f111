import type { Buffer as Bytes } from './ambient.cjs';
import { WSBrokerError } from './errors.cjs';
import type { EmitterReceipt } from './types/emitter-receipt.cjs';
/**
 * What the emitter needs of a Redis client of the application. Clients of the package ioredis have
 * all of this.
 */
export interface RedisClientLike {
    publish(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
    /** For a Redis Cluster, which needs Redis 7. */
    spublish?(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
    /** For channels with history. */
    evalsha?(sha: string, keys: number, ...rest: (string | Bytes)[]): Promise<unknown>;
    eval?(script: string, keys: number, ...rest: (string | Bytes)[]): Promise<unknown>;
    readonly isCluster?: boolean;
    /** `ready` if it is connected. */
    readonly status?: string;
}
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
