import { HelperBase } from './helper-base.cjs';
import type { IBunWebSocketHandler, IWebSocket, IWebSocketClient, IWebSocketServerOptions, IWebSocketServerStats } from './types.cjs';
/**
 * What most applications need on top of sockets: authentication, users, rooms, a heartbeat,
 * encryption for each client, and delivery between instances over Redis.
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
 *   messageHandler: ({ clientId, message }) => helper.sendToClient({ clientId, event: 'echo', data: message.data }),
 * });
 * await helper.configure();
 * ```
 */
export declare class WebSocketServerHelper<AuthDataType extends Record<string, unknown> = Record<string, unknown>, MetadataType extends Record<string, unknown> = Record<string, unknown>> extends HelperBase {
    #private;
    /**
     * Stores the options, and duplicates the clients of Redis. It opens nothing.
     *
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are no object
     * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option that does not exist; names the
     * nearest one that does
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS: `redisConnection` is missing, or nothing
     * that can be one
     */
    constructor(opts: IWebSocketServerOptions<AuthDataType, MetadataType>);
    /**
     * Connects to Redis, begins to look for silent clients and, with `bind`, to listen. A second call
     * returns the first one's promise; a rejection is forgotten, so that a later call tries again.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT: not exactly one of `bind` and `server`
     * was given, or an option of the native transport is wrong
     * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: another helper of the same identifier, or of the
     * same address and path, stands against it
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis was not ready within 30 s
     * @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called
     * @throws the first error of a connection to Redis
     */
    configure(): Promise<void>;
    /**
     * Closes all clients, the address and the connections to Redis. Does not reject, and waits for no
     * function of the application; further calls return the same promise. Afterwards nothing of the
     * helper keeps the process alive.
     */
    shutdown(): Promise<void>;
    /** What `Bun.serve` takes as `websocket`. The application upgrades with `data: { clientId }`. */
    getBunWebSocketHandler(): IBunWebSocketHandler;
    getPath(): string;
    /**
     * Where clients connect: `url` is the address, `endpoint` the address with the path. Undefined
     * while nothing is open, and with Bun.
     */
    getAddress(): {
        address: string;
        port: number;
        url: string;
        endpoint: string;
    } | undefined;
    /** With an id: that client of this helper. Without: the live map of all of them. */
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
    getStats(): IWebSocketServerStats;
    /** A socket is there: the time in which it must authenticate begins. */
    onClientConnect(opts: {
        clientId: string;
        socket: IWebSocket;
    }): void;
    /** A message of a client, as text. */
    onClientMessage(opts: {
        clientId: string;
        raw: string;
    }): void;
    /** A socket is closed, or is to be forgotten. */
    onClientDisconnect(opts: {
        clientId: string;
    }): void;
    /** Any name, in any state; an unknown client is ignored. */
    joinRoom(opts: {
        clientId: string;
        room: string;
    }): void;
    leaveRoom(opts: {
        clientId: string;
        room: string;
    }): void;
    /**
     * From now on what is sent to this client of this helper passes `outboundTransformer`. It cannot
     * be undone.
     */
    enableClientEncryption(opts: {
        clientId: string;
    }): void;
    /**
     * To one client of this instance, in any state; an unknown one is ignored.
     *
     * @throws {TypeError} the data cannot be serialised; so do the next three, and {@link send}
     */
    sendToClient(opts: {
        clientId: string;
        event: string;
        data: unknown;
        doLog?: boolean;
    }): void;
    /** To every client of a user on this instance. */
    sendToUser(opts: {
        userId: string;
        event: string;
        data: unknown;
    }): void;
    /** To every client in a room on this instance but those in `exclude`. */
    sendToRoom(opts: {
        room: string;
        event: string;
        data: unknown;
        exclude?: string[];
    }): void;
    /** To every client of this instance that is authenticated, but those in `exclude`. */
    broadcast(opts: {
        event: string;
        data: unknown;
        exclude?: string[];
    }): void;
    /**
     * To clients of all instances: without a destination to everybody, else to a client or a room.
     * `topic` is the event. Data that is undefined is not sent. `cb` is called from a timer, whatever
     * happened.
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
