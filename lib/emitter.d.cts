import type { Buffer as Bytes } from './ambient.cjs';
import type { BusEvent, RedisOptions } from './types/cluster-options.cjs';
import type { Data } from './types/messages.cjs';
export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export type { BusEvent, RedisNode, RedisOptions, RedisTlsOptions, } from './types/cluster-options.cjs';
export type { Data } from './types/messages.cjs';
/**
 * What the emitter needs of a client of the application's own; that of the package ioredis has it.
 */
export interface RedisClientLike {
    publish(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
    /** Of a Cluster with Redis 7. */
    spublish?(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
    readonly isCluster?: boolean;
    /** `ready` when it is connected. */
    readonly status?: string;
}
/** @see {@link Emitter} */
export interface EmitterOptions {
    /**
     * Where the instances meet: a `redis://` or `rediss://` URL, options, or a client of the
     * application's own, which stays the application's.
     */
    redis: string | RedisOptions | RedisClientLike;
    /** As the instances have it. @default 'wsbroker' */
    prefix?: string;
    /**
     * How long a publish may wait, in ms, 0 to 2^31-1: for a connection that is not there yet and,
     * after a loss, until the instances are heard again. With a client of the application's own:
     * until Redis has answered; a message that was given up may still arrive, since the client keeps
     * it. @default 5000
     */
    timeout?: number;
    /**
     * Called for every change of the connection, and for warnings. Not with a client of the
     * application's own.
     */
    onBus?: (event: BusEvent) => void;
}
/**
 * Publishes to channels from a process that serves no sockets: a cron job, an API. Subscribers on
 * all instances get it as from `sendToChannel`.
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
     * Connects in the background, and again without end.
     *
     * @throws {TypeError | WSBrokerError} naming the option that is wrong
     */
    constructor(options: EmitterOptions);
    /**
     * Publishes to every subscriber of the channel. Messages to one channel arrive in the order of
     * the calls. A message that is rejected takes a number all the same: receivers see it as a gap,
     * once a later one arrives.
     *
     * @param channel as in `sendToChannel`
     * @param data a string is sent as a text message, bytes as a binary one
     * @returns a promise that resolves when Redis has the message; how many subscribers there are is
     * not known
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis cannot be reached, was lost before it
     * answered, or refused the message; no instance was heard again in time; or too much waits for
     * Redis (more than 8 MiB). ERR_WSBROKER_SHUT_DOWN: after {@link close}
     */
    publish(channel: Data, data: Data): Promise<void>;
    /**
     * Waits for publishes under way, as long as each may take, and ends the connection. Afterwards
     * nothing keeps the process alive.
     */
    close(): Promise<void>;
}
