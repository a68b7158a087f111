import { HelperBase } from './helper-base.cjs';
import type { IWebSocketEmitterOptions } from './types.cjs';
/**
 * Sends to the clients of all server helpers on a Redis, from a process that serves no sockets: a
 * job, an API.
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
     * Nothing is connected by it.
     *
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are no object
     * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option that does not exist; names the
     * nearest one that does
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS: `redisConnection` is missing, or nothing
     * that can be one
     */
    constructor(opts: IWebSocketEmitterOptions);
    /**
     * Resolves when Redis answers. A second call returns the first one's promise; a rejection is
     * forgotten, so that a later call tries again.
     *
     * @throws the first error of the connection
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: not ready within 30 s. ERR_WSBROKER_SHUT_DOWN:
     * after {@link shutdown}
     */
    configure(): Promise<void>;
    /** Ends the connection, in at most 5 s. Further calls return the same promise. */
    shutdown(): Promise<void>;
    /**
     * To one client, wherever it is. Each of these four resolves when Redis has the message; whether
     * it reached a client is not known.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis is lost. ERR_WSBROKER_SHUT_DOWN: after
     * {@link shutdown}
     * @throws {TypeError} the data cannot be serialised
     */
    toClient(opts: {
        clientId: string;
        event: string;
        data: unknown;
    }): Promise<void>;
    /** To every client of a user. @throws as {@link toClient} */
    toUser(opts: {
        userId: string;
        event: string;
        data: unknown;
    }): Promise<void>;
    /** To every client in a room but those in `exclude`. @throws as {@link toClient} */
    toRoom(opts: {
        room: string;
        event: string;
        data: unknown;
        exclude?: string[];
    }): Promise<void>;
    /** To every client that is authenticated. @throws as {@link toClient} */
    broadcast(opts: {
        event: string;
        data: unknown;
    }): Promise<void>;
}
