import type { ArrayBufferView, Buffer, Timeout } from '../ambient.cjs';
import type { StartOptions } from '../types/start-options.cjs';
export type ValueOrPromise<T> = T | Promise<T>;
export type TNullable<T> = T | undefined | null;
/** The events that the protocol knows. */
export type TWebSocketEvent = 'authenticate' | 'connected' | 'disconnect' | 'join' | 'leave' | 'error' | 'heartbeat' | 'encrypted';
/** The state of a client. */
export type TWebSocketClientState = 'unauthorized' | 'authenticating' | 'authenticated' | 'disconnected';
/** The kind of destination of a message on Redis. */
export type TWebSocketMessageType = 'client' | 'user' | 'room' | 'broadcast';
/** Whether the helper can send messages to Redis and receive them from there. */
export type TWebSocketBusState = 'ready' | 'lost';
/** A message of a client. */
export interface IWebSocketMessage<DataType = unknown> {
    event: string;
    data?: DataType;
    id?: string;
}
/** A message between instances, in the format that is used on Redis. */
export interface IRedisSocketMessage<DataType = unknown> {
    /** The id of the sending instance, or `'emitter'`. */
    serverId: string;
    type: TWebSocketMessageType;
    /** The client, user or room. A broadcast has none. */
    target?: string;
    event: string;
    data: DataType;
    /** The ids of clients that do not get it. */
    exclude?: string[];
}
/** The `data` of a socket, which the application passes to `upgrade`. */
export interface IWebSocketData<MetadataType extends Record<string, unknown> = Record<string, unknown>> {
    /** A unique id. */
    clientId: string;
    userId?: string;
    metadata?: MetadataType;
}
/** A client of this helper. The object changes with the client. */
export interface IWebSocketClient<MetadataType extends Record<string, unknown> = Record<string, unknown>> {
    id: string;
    userId?: string;
    socket: IWebSocket;
    state: TWebSocketClientState;
    rooms: Set<string>;
    metadata?: MetadataType;
    /** A send found the socket over its limit, and it has not drained since. */
    backpressured: boolean;
    encrypted: boolean;
    /** When it connected: Unix time, in milliseconds. */
    connectedAt: number;
    /** When its last frame came: Unix time, in milliseconds. */
    lastActivity: number;
    serverPublicKey?: string;
    salt?: string;
    authTimer?: Timeout;
}
/** A socket, as far as the helper uses it. Bun's sockets have all of this. */
export interface IWebSocket<T = unknown> {
    readonly data: T;
    readonly remoteAddress: string;
    readonly readyState: number;
    /**
     * Returns the number of bytes that were queued. -1: queued, but the socket is over its limit. 0:
     * dropped.
     */
    send(data: string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer, compress?: boolean): number;
    close(code?: number, reason?: string): void;
    subscribe(topic: string): void;
    unsubscribe(topic: string): void;
    isSubscribed(topic: string): boolean;
    cork(cb: (ws: IWebSocket<T>) => void): void;
}
/** A server, as far as the helper uses it. Bun's server has all of this. */
export interface IBunServer {
    readonly pendingWebSockets: number;
    publish(topic: string, data: string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer, compress?: boolean): number;
}
/** Limits and behavior of all sockets, under Bun's names. */
export interface IBunWebSocketConfig {
    perMessageDeflate?: boolean;
    /** Bytes. @default 131072 */
    maxPayloadLength?: number;
    /** Seconds. @default 60 */
    idleTimeout?: number;
    /** Bytes. @default 1048576 */
    backpressureLimit?: number;
    closeOnBackpressureLimit?: boolean;
    /** @default true */
    sendPings?: boolean;
    /** @default false */
    publishToSelf?: boolean;
}
/** The option `websocket` of `Bun.serve`. */
export interface IBunWebSocketHandler extends IBunWebSocketConfig {
    open: (socket: IWebSocket) => void;
    message: (socket: IWebSocket, message: string | Buffer) => void;
    close: (socket: IWebSocket, code: number, reason: string) => void;
    drain: (socket: IWebSocket) => void;
}
/** Identifies the client that sent `authenticate` with this data. Anything falsy refuses it. */
export type TWebSocketAuthenticateFn<AuthDataType extends Record<string, unknown> = Record<string, unknown>, MetadataType extends Record<string, unknown> = Record<string, unknown>> = (opts: AuthDataType) => ValueOrPromise<{
    userId?: string;
    metadata?: MetadataType;
} | null | false>;
/** Agrees on keys with a client. Anything falsy refuses it. */
export type TWebSocketHandshakeFn<AuthDataType extends Record<string, unknown> = Record<string, unknown>> = (opts: {
    clientId: string;
    userId?: string;
    data: AuthDataType;
}) => ValueOrPromise<{
    serverPublicKey: string;
    salt: string;
} | null | false>;
/**
 * Returns the rooms that a client may join, of those that it asks for. Other names are ignored.
 */
export type TWebSocketValidateRoomFn = (opts: {
    clientId: string;
    userId?: string;
    rooms: string[];
}) => ValueOrPromise<string[]>;
/** Called for each client that has been authenticated. */
export type TWebSocketClientConnectedFn<MetadataType extends Record<string, unknown> = Record<string, unknown>> = (opts: {
    clientId: string;
    userId?: string;
    metadata?: MetadataType;
}) => ValueOrPromise<void>;
/**
 * Called for each client that has gone. With native sockets, also for clients of another worker
 * thread that has ended, if that had a helper of the same identifier.
 */
export type TWebSocketClientDisconnectedFn = (opts: {
    clientId: string;
    userId?: string;
}) => ValueOrPromise<void>;
/** Gets every message that the helper does not handle itself. */
export type TWebSocketMessageHandler = (opts: {
    clientId: string;
    userId?: string;
    message: IWebSocketMessage;
}) => ValueOrPromise<void>;
/**
 * Encrypts what is sent to a client. If it returns nothing, the message is sent unchanged, in
 * clear. If a call has no result after 15 to 30 s, the message is dropped.
 */
export type TWebSocketOutboundTransformer<DataType = unknown, MetadataType extends Record<string, unknown> = Record<string, unknown>> = (opts: {
    client: IWebSocketClient<MetadataType>;
    event: string;
    data: DataType;
}) => ValueOrPromise<TNullable<{
    event: string;
    data: DataType;
}>>;
/**
 * A Redis client, as far as the helper uses it. `Redis` and `Cluster` of ioredis have all of this.
 * Results may or may not be promises.
 */
export interface IRedisClientLike {
    readonly status: string;
    duplicate(): IRedisClientLike;
    connect(): unknown;
    quit(): unknown;
    disconnect?(): unknown;
    subscribe(channel: string): unknown;
    psubscribe(pattern: string): unknown;
    publish(channel: string, text: string): unknown;
    on(event: string, listener: (...args: unknown[]) => void): unknown;
}
/** An object that has such a client. */
export interface DefaultRedisHelper {
    getClient(): IRedisClientLike;
}
/**
 * Where Redis is, for connections of the broker. Set exactly one of `url`, `host`, `nodes` and
 * `sentinels`.
 */
export interface IRedisConnectionOptions {
    /** `redis://[user:password@]host[:port][/db]`, or `rediss://` for encryption. */
    url?: string;
    /** A host name or an IP address. @default '127.0.0.1' */
    host?: string;
    /** 1 to 65535. @default 6379 */
    port?: number;
    /** The user of Redis's ACL. @default Redis's own, `default` */
    username?: string;
    /** The user's password. @default no password */
    password?: string;
    /** The number of the database, 0 to 65536; in a Redis Cluster, 0. @default 0 */
    db?: number;
    /** How long connecting may take, in milliseconds, 1 to 2^31-1. @default 2000 */
    connectTimeout?: number;
    /** Some nodes of a Redis Cluster; they name the others. */
    nodes?: {
        host: string;
        port: number;
    }[];
    /** Sentinels that watch the primary called `name`. */
    sentinels?: {
        host: string;
        port: number;
    }[];
    /** The primary that the Sentinels watch. Required with `sentinels`. */
    name?: string;
    tls?: boolean | {
        ca?: string;
        cert?: string;
        key?: string;
        servername?: string;
        rejectUnauthorized?: boolean;
    };
}
export type TRedisConnection = DefaultRedisHelper | IRedisClientLike | string | IRedisConnectionOptions;
/** Where the log is written. */
export interface IWebSocketLogger {
    /** A logger for a part of the helper. It may be the same logger. */
    for(scope: string): IWebSocketLogger;
    debug(text: string, ...more: unknown[]): void;
    info(text: string, ...more: unknown[]): void;
    warn(text: string, ...more: unknown[]): void;
    error(text: string, ...more: unknown[]): void;
}
/** Counters of this helper since its construction. */
export interface IWebSocketServerStats {
    /** `idle`: not configured yet, or shut down. */
    busState: TWebSocketBusState | 'idle';
    /** Messages that were not sent to Redis, because it was lost or too much was waiting. */
    busRefused: number;
    /** Messages that Redis refused, or that could not be serialized. */
    busFailed: number;
    /** Messages from Redis that violate the protocol. */
    busInvalid: number;
    /** Messages to clients that were dropped. */
    framesDropped: number;
}
/** Options of `start` that a helper with native sockets takes, too. */
export type TNativeOptions = Partial<Omit<StartOptions, 'bind' | 'workerPath' | 'threads' | 'startTimeout' | 'worker' | 'handlers' | 'watchdog' | 'path' | 'cluster' | 'signal' | 'answers' | 'http' | 'forwardUpgrades' | 'keepAliveTimeout' | 'requestTimeout' | 'forwardTimeout' | 'history' | 'maxHistoryMemory'>>;
export interface IWebSocketServerOptions<AuthDataType extends Record<string, unknown> = Record<string, unknown>, MetadataType extends Record<string, unknown> = Record<string, unknown>> extends TNativeOptions {
    /**
     * The name of the helper. Helpers of one process with native sockets and the same name are one
     * instance.
     */
    identifier: string;
    /** Redis: a client of ioredis, an object that has one, a URL, or options. */
    redisConnection: TRedisConnection;
    /** The path of its sockets. @default '/ws' */
    path?: string;
    /** The rooms that every authenticated client joins. @default ['ws-default', 'ws-notification'] */
    defaultRooms?: string[];
    /** Bun's server, for sockets of `Bun.serve`. Give exactly one of `server` and `bind`. */
    server?: IBunServer;
    /**
     * Where to listen, as in `start`, for native sockets. Give exactly one of `server` and `bind`.
     */
    bind?: string;
    /** Limits and behavior of sockets, under Bun's names. */
    serverOptions?: IBunWebSocketConfig;
    /**
     * How long a client may take to send `authenticate`, in milliseconds, at most 2^31-1.
     * Authentication may then take three times as long. @default 5000
     */
    authTimeout?: number;
    /** How often silent clients are looked for, in milliseconds, at most 2^31-1. @default 30000 */
    heartbeatInterval?: number;
    /** How long a client may be silent before it is closed, in milliseconds. @default 90000 */
    heartbeatTimeout?: number;
    /**
     * How many calls of `outboundTransformer` one send may run at the same time, at least 1.
     * @default 10
     */
    encryptedBatchLimit?: number;
    /** Whether every client must agree on keys with `handshakeFn`. @default false */
    requireEncryption?: boolean;
    /** Identifies clients. Required. */
    authenticateFn: TWebSocketAuthenticateFn<AuthDataType, MetadataType>;
    /** Without it clients cannot join rooms by themselves. */
    validateRoomFn?: TWebSocketValidateRoomFn;
    clientConnectedFn?: TWebSocketClientConnectedFn<MetadataType>;
    clientDisconnectedFn?: TWebSocketClientDisconnectedFn;
    messageHandler?: TWebSocketMessageHandler;
    /** Required with `requireEncryption`. */
    handshakeFn?: TWebSocketHandshakeFn<AuthDataType>;
    outboundTransformer?: TWebSocketOutboundTransformer<unknown, MetadataType>;
    /** Called for each change of the bus. */
    busStateFn?: (state: TWebSocketBusState) => void;
    /**
     * @default one that writes warnings and errors to the console, and everything else if
     * `NODE_DEBUG` contains `wsbroker`
     */
    logger?: IWebSocketLogger;
    /**
     * How many rooms a client may join by itself, and ask for at once. `Infinity`: no limit.
     * @default 1024
     */
    maxRoomsPerClient?: number;
    /**
     * The largest frame of a client that is not authenticated, in bytes, at least 1. `Infinity`: no
     * limit. @default 32768
     */
    maxAuthPayloadLength?: number;
    /**
     * How many frames a client may send before it is authenticated. `Infinity`: no limit.
     * @default 128
     */
    maxUnauthenticatedMessages?: number;
    /**
     * How many bytes of one client's messages, as JSON, may wait for `outboundTransformer`.
     * `Infinity`: no limit. @default 1048576
     */
    maxPendingTransforms?: number;
}
export interface IWebSocketEmitterOptions {
    /** @default 'WebSocketEmitter' */
    identifier?: string;
    redisConnection: TRedisConnection;
    /** Called for each change of the connection to Redis. */
    busStateFn?: (state: TWebSocketBusState) => void;
    /** @default as for the server helper */
    logger?: IWebSocketLogger;
}
