import type { BusEvent, RedisOptions } from './types/cluster-options.cjs';
import type { EmitterReceipt } from './types/emitter-receipt.cjs';
import type { HistoryOptions } from './types/history.cjs';
import type { Data } from './types/messages.cjs';
import type { RedisClientLike } from './types/redis-client-like.cjs';
export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export type { BusEvent, RedisNode, RedisOptions, RedisTlsOptions, } from './types/cluster-options.cjs';
export type { EmitterReceipt } from './types/emitter-receipt.cjs';
export type { HistoryOptions } from './types/history.cjs';
export type { Data } from './types/messages.cjs';
export type { RedisClientLike } from './types/redis-client-like.cjs';
/** @see {@link Emitter} */
export interface EmitterOptions {
    /**
     * The Redis of the instances: a `redis://` or `rediss://` URL, options, or a client of the
     * application, which the emitter does not close.
     */
    redis: string | RedisOptions | RedisClientLike;
    /** The `prefix` of the instances, 1 to 256 bytes. @default 'wsbroker' */
    prefix?: string;
    /**
     * How long a publish may wait for a connection and, after a loss, until the instances are heard
     * again, in milliseconds, 0 to 2^31-1. With a client of the application: how long it may wait for
     * Redis to answer; a message that was given up may still arrive, because the client keeps it.
     * @default 5000
     */
    timeout?: number;
    /**
     * The option `history` of the instances. Redis then numbers and keeps what is published to these
     * channels, as if an instance had published it; without it such messages have no number, are
     * not delivered there, and are counted as `unnumbered`. @default no channel has a history
     */
    history?: readonly HistoryOptions[];
    /**
     * Called for every change of the connection, and for warnings. Not called with a client of the
     * application.
     */
    onBus?: (event: BusEvent) => void;
}
/** Options of a publish of an emitter. */
export interface EmitterPublishOptions {
    /**
     * On a channel with `history`: makes the publish repeatable. Within 5 minutes a message with the
     * same id is not published again. 1 to 128 bytes. @default none
     */
    readonly id?: string | undefined;
}
/**
 * Publishes to channels from a process without sockets of its own, such as a cron job or an API.
 * Subscribers on all instances get the messages as from `sendToChannel`.
 *
 * @example
 * ```js
 * import { Emitter } from 'wsbroker/emitter';
 *
 * const emitter = new Emitter({ redis: 'redis://127.0.0.1' });
 * await emitter.publish('news', 'The shop is open');
 * await emitter.close();
 * ```
 */
export declare class Emitter {
    #private;
    /**
     * Connects in the background, and reconnects whenever the connection is lost.
     *
     * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
     */
    constructor(options: EmitterOptions);
    /**
     * Publishes to every subscriber of the channel. Messages to one channel arrive in the order of
     * the calls. A message that is rejected uses up a number: receivers see a gap when a later one
     * arrives.
     *
     * On a channel with `history` nothing is missed: instances that do not hear the message find it
     * in Redis.
     *
     * @param channel as in `sendToChannel`
     * @param data a string is sent as a text message, bytes as a binary message
     * @returns a promise that resolves when Redis has the message; the number of subscribers is not
     * known
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
     * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: `id` is empty or longer than 128 bytes, or
     * the channel has no history
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis cannot be reached, was lost before it
     * answered, or refused the message; no instance was heard again in time; or more than 8 MiB are
     * waiting for Redis. On a channel with `history`, `stored` is `false` or, where Redis may have
     * it, `'unknown'`: publish it again with the same `id`. ERR_WSBROKER_SHUT_DOWN: {@link close} was
     * called
     */
    publish(channel: Data, data: Data, options?: EmitterPublishOptions): Promise<EmitterReceipt>;
    /**
     * Waits for publishes that are under way, each within its timeout, and ends the connection.
     * Afterwards nothing keeps the process alive.
     */
    close(): Promise<void>;
}
