import { HelperBase } from './helper-base.cjs';
import type { IWebSocketEmitterOptions } from './types.cjs';
/**
 * Sends to the clients of all server helpers on the same Redis, from a process without sockets of
 * its own, such as a job or an API.
 *
 * @example
 * ```js
 * import { WebSocketEmitter } from 'wsbroker/server-helper';
 *
 * const emitter = new WebSocketEmitter({ redisConnection: 'redis://127.0.0.1' });
 * await emitter.configure();
 * await emitter.toUser({ userId: '7', event: 'invoice', data: { paid: true } });
 * await emitter.shutdown();
 * ```
 */
export declare class WebSocketEmitter extends HelperBase {
    #private;
    /**
     * Does not connect yet.
     *
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are not an object
     * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message
     * names the most similar one
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS: `redisConnection` is missing, or cannot be
     * used
     */
    constructor(opts: IWebSocketEmitterOptions);
    /**
     * Connects, and resolves when Redis answers. A second call returns the promise of the first;
     * after a rejection, a later call tries again.
     *
     * @throws the first error of the connection
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis was not ready within 30 s.
     * ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called
     */
    configure(): Promise<void>;
    /** Ends the connection within 5 s. Further calls return the same promise. */
    shutdown(): Promise<void>;
    /**
     * Sends to one client of any instance. Like the next three methods it resolves when Redis has the
     * message; whether the message reaches a client is not known.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis is lost. ERR_WSBROKER_SHUT_DOWN:
     * {@link shutdown} was called
     * @throws {TypeError} the data cannot be serialized
     */
    toClient(opts: {
        clientId: string;
        event: string;
        data: unknown;
    }): Promise<void>;
    /** Sends to every client of a user. @throws as {@link toClient} */
    toUser(opts: {
        userId: string;
        event: string;
        data: unknown;
    }): Promise<void>;
    /** Sends to every client in a room, except those in `exclude`. @throws as {@link toClient} */
    toRoom(opts: {
        room: string;
        event: string;
        data: unknown;
        exclude?: string[];
    }): Promise<void>;
    /** Sends to every authenticated client. @throws as {@link toClient} */
    broadcast(opts: {
        event: string;
        data: unknown;
    }): Promise<void>;
}
