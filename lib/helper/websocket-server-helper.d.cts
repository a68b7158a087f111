import { HelperBase } from './helper-base.cjs';
import type { IBunWebSocketHandler, IWebSocket, IWebSocketClient, IWebSocketServerOptions, IWebSocketServerStats } from './types.cjs';
/**
 * Authentication, users, rooms, a heartbeat, encryption for each client, and delivery between
 * instances through Redis: what most applications need on top of sockets.
 *
 * @example
 * ```js
 * import { WebSocketServerHelper } from 'wsbroker/server-helper';
 *
 * const helper = new WebSocketServerHelper({
 *   identifier: 'app',
 *   redisConnection: 'redis://127.0.0.1',
 *   bind: '127.0.0.1:8080',
 *   authenticateFn: async ({ token }) => (token === 'secret' ? { userId: '7' } : null),
 *   messageHandler: ({ clientId, message }) => {
 *     helper.sendToClient({ clientId, event: 'echo', data: message.data });
 *   },
 * });
 * await helper.configure();
 * ```
 */
export declare class WebSocketServerHelper<AuthDataType extends Record<string, unknown> = Record<string, unknown>, MetadataType extends Record<string, unknown> = Record<string, unknown>> extends HelperBase {
    #private;
    /**
     * Stores the options, and duplicates the Redis client if one is given. It opens nothing.
     *
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are not an object
     * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message
     * names the most similar one
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS: `redisConnection` is missing, or cannot be
     * used
     */
    constructor(opts: IWebSocketServerOptions<AuthDataType, MetadataType>);
    /**
     * Connects to Redis, starts the heartbeat and, with `bind`, listens. A second call returns the
     * promise of the first; after a rejection, a later call tries again.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT: both or neither of `bind` and `server`
     * were given, or an option of native sockets is wrong
     * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: it contradicts another helper of the same
     * identifier, or of the same address and path
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis was not ready within 30 s
     * @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called
     * @throws the first error of a connection to Redis
     */
    configure(): Promise<void>;
    /**
     * Closes all clients, the address and the connections to Redis. It does not reject, and does not
     * wait for functions of the application. Further calls return the same promise. Afterwards the
     * helper does not keep the process alive.
     */
    shutdown(): Promise<void>;
    /** The option `websocket` of `Bun.serve`. The application upgrades with `data: { clientId }`. */
    getBunWebSocketHandler(): IBunWebSocketHandler;
    /** The path of its sockets. */
    getPath(): string;
    /**
     * Where clients connect: `url` is the address, `endpoint` the address with the path. Undefined if
     * the helper is not listening, and with sockets of Bun.
     */
    getAddress(): {
        address: string;
        port: number;
        url: string;
        endpoint: string;
    } | undefined;
    /** With an id: that client of this helper. Without: the live map of all its clients. */
    getClients(opts?: {
        id?: string;
    }): IWebSocketClient<MetadataType> | Map<string, IWebSocketClient<MetadataType>> | undefined;
    /** The user's clients of this helper. */
    getClientsByUser(opts: {
        userId: string;
    }): IWebSocketClient<MetadataType>[];
    /** The room's members that are clients of this helper. */
    getClientsByRoom(opts: {
        room: string;
    }): IWebSocketClient<MetadataType>[];
    /** How many clients the instance has, in any state. */
    countClients(): number;
    /** How many members the room has in the instance. */
    countRoom(opts: {
        room: string;
    }): number;
    /** Counters since construction, and the state of the bus. */
    getStats(): IWebSocketServerStats;
    /**
     * To be called when a socket has been opened. From now on it has `authTimeout` to authenticate.
     */
    onClientConnect(opts: {
        clientId: string;
        socket: IWebSocket;
    }): void;
    /** To be called with each message of a client, as text. */
    onClientMessage(opts: {
        clientId: string;
        raw: string;
    }): void;
    /** To be called when a socket has closed, or to forget a client. */
    onClientDisconnect(opts: {
        clientId: string;
    }): void;
    /**
     * Adds a client of this instance to a room with any name, in any state of the client. An unknown
     * client is ignored.
     */
    joinRoom(opts: {
        clientId: string;
        room: string;
    }): void;
    /** Removes a client of this instance from a room. An unknown client is ignored. */
    leaveRoom(opts: {
        clientId: string;
        room: string;
    }): void;
    /**
     * From now on messages to this client of this helper pass through `outboundTransformer`. It
     * cannot be undone.
     */
    enableClientEncryption(opts: {
        clientId: string;
    }): void;
    /**
     * Sends to one client of this instance, in any state. An unknown client is ignored.
     *
     * @throws {TypeError} the data cannot be serialized; so do the next three methods and
     * {@link send}
     */
    sendToClient(opts: {
        clientId: string;
        event: string;
        data: unknown;
        doLog?: boolean;
    }): void;
    /** Sends to every client of a user on this instance. */
    sendToUser(opts: {
        userId: string;
        event: string;
        data: unknown;
    }): void;
    /** Sends to every client in a room on this instance, except those in `exclude`. */
    sendToRoom(opts: {
        room: string;
        event: string;
        data: unknown;
        exclude?: string[];
    }): void;
    /** Sends to every authenticated client of this instance, except those in `exclude`. */
    broadcast(opts: {
        event: string;
        data: unknown;
        exclude?: string[];
    }): void;
    /**
     * Sends to clients of all instances: to a client or a room, or without `destination` to all
     * authenticated clients. `topic` is the event. A message without data is not sent. `cb` is called
     * from a timer in any case.
     */
    send<T = unknown>(opts: {
        destination?: string;
        payload: {
            topic: string;
            data: T;
        };
        doLog?: boolean;
        cb?: () => void;
    }): void;
}
