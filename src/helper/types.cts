import type { ArrayBufferView, Buffer, Timeout } from '../ambient.cjs';
import type { StartOptions } from '../types/start-options.cjs';

// The public types of `wsbroker/server-helper`.

export type ValueOrPromise<T> = T | Promise<T>;
export type TNullable<T> = T | undefined | null;

/** The events that the protocol knows. */
export type TWebSocketEvent =
  | 'authenticate'
  | 'connected'
  | 'disconnect'
  | 'join'
  | 'leave'
  | 'error'
  | 'heartbeat'
  | 'encrypted';
/** Where a client stands. */
export type TWebSocketClientState =
  'unauthorized' | 'authenticating' | 'authenticated' | 'disconnected';
/** What a message on Redis is for. */
export type TWebSocketMessageType = 'client' | 'user' | 'room' | 'broadcast';
/** Whether messages go to Redis and come from there. */
export type TWebSocketBusState = 'ready' | 'lost';

/** A message of a client. */
export interface IWebSocketMessage<DataType = unknown> {
  event: string;
  data?: DataType;
  id?: string;
}

/** A message between instances, as it stands on Redis. */
export interface IRedisSocketMessage<DataType = unknown> {
  /** Who sent it: an instance, or `'emitter'`. */
  serverId: string;
  type: TWebSocketMessageType;
  /** The client, user or room; a broadcast has none. */
  target?: string;
  event: string;
  data: DataType;
  /** Ids of clients that are left out. */
  exclude?: string[];
}

/** What a socket carries: the application gives it with the upgrade. */
export interface IWebSocketData<
  MetadataType extends Record<string, unknown> = Record<string, unknown>,
> {
  /** Unique. */
  clientId: string;
  userId?: string;
  metadata?: MetadataType;
}

/** A client of this helper. The entry is live. */
export interface IWebSocketClient<
  MetadataType extends Record<string, unknown> = Record<string, unknown>,
> {
  id: string;
  userId?: string;
  socket: IWebSocket;
  state: TWebSocketClientState;
  rooms: Set<string>;
  metadata?: MetadataType;
  /** A send has found the socket over its limit, and it has not drained since. */
  backpressured: boolean;
  encrypted: boolean;
  /** Unix time, in ms. */
  connectedAt: number;
  /** Unix time, in ms, of the last frame. */
  lastActivity: number;
  serverPublicKey?: string;
  salt?: string;
  authTimer?: Timeout;
}

/** A socket, as far as the helper uses it. Bun's fit. */
export interface IWebSocket<T = unknown> {
  readonly data: T;
  readonly remoteAddress: string;
  readonly readyState: number;
  /** How many bytes were queued; -1: queued, but the socket is over its limit; 0: dropped. */
  send(
    data: string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer,
    compress?: boolean,
  ): number;
  close(code?: number, reason?: string): void;
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  isSubscribed(topic: string): boolean;
  cork(cb: (ws: IWebSocket<T>) => void): void;
}

/** A server, as far as the helper uses it. Bun's fit. */
export interface IBunServer {
  readonly pendingWebSockets: number;
  publish(
    topic: string,
    data: string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer,
    compress?: boolean,
  ): number;
}

/** Limits and behaviour of every socket. */
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

/** What `Bun.serve` takes as `websocket`. */
export interface IBunWebSocketHandler extends IBunWebSocketConfig {
  open: (socket: IWebSocket) => void;
  message: (socket: IWebSocket, message: string | Buffer) => void;
  close: (socket: IWebSocket, code: number, reason: string) => void;
  drain: (socket: IWebSocket) => void;
}

/** Says who the client is that sent `authenticate` with that data; anything falsy refuses it. */
export type TWebSocketAuthenticateFn<
  AuthDataType extends Record<string, unknown> = Record<string, unknown>,
  MetadataType extends Record<string, unknown> = Record<string, unknown>,
> = (
  opts: AuthDataType,
) => ValueOrPromise<{ userId?: string; metadata?: MetadataType } | null | false>;

/** Agrees on keys with a client; anything falsy refuses it. */
export type TWebSocketHandshakeFn<
  AuthDataType extends Record<string, unknown> = Record<string, unknown>,
> = (opts: {
  clientId: string;
  userId?: string;
  data: AuthDataType;
}) => ValueOrPromise<{ serverPublicKey: string; salt: string } | null | false>;

/**
 * Returns those of the rooms a client asks for that it may join. Names that it was not given are
 * ignored.
 */
export type TWebSocketValidateRoomFn = (opts: {
  clientId: string;
  userId?: string;
  rooms: string[];
}) => ValueOrPromise<string[]>;

/** Told of each client that is authenticated. */
export type TWebSocketClientConnectedFn<
  MetadataType extends Record<string, unknown> = Record<string, unknown>,
> = (opts: { clientId: string; userId?: string; metadata?: MetadataType }) => ValueOrPromise<void>;

/**
 * Called for each client that has gone. Natively, also for clients of another worker thread that
 * has ended, by a helper of the same identifier.
 */
export type TWebSocketClientDisconnectedFn = (opts: {
  clientId: string;
  userId?: string;
}) => ValueOrPromise<void>;

/** Gets every message that is not the helper's own. */
export type TWebSocketMessageHandler = (opts: {
  clientId: string;
  userId?: string;
  message: IWebSocketMessage;
}) => ValueOrPromise<void>;

/**
 * Encrypts what is sent to a client. If it returns nothing, the message goes as it is, in clear. A
 * message for which there is no result after 15 to 30 s is dropped.
 */
export type TWebSocketOutboundTransformer<
  DataType = unknown,
  MetadataType extends Record<string, unknown> = Record<string, unknown>,
> = (opts: {
  client: IWebSocketClient<MetadataType>;
  event: string;
  data: DataType;
}) => ValueOrPromise<TNullable<{ event: string; data: DataType }>>;

/**
 * A client of Redis, as far as it is used; `Redis` and `Cluster` of ioredis fit. Results may be
 * promises or not.
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

/** Something that has such a client. */
export interface DefaultRedisHelper {
  getClient(): IRedisClientLike;
}

/** Where Redis is, for the native bus. One of `url`, `host`, `nodes` and `sentinels`. */
export interface IRedisConnectionOptions {
  url?: string;
  host?: string;
  port?: number;
  username?: string;
  password?: string;
  db?: number;
  /** Milliseconds. */
  connectTimeout?: number;
  nodes?: { host: string; port: number }[];
  sentinels?: { host: string; port: number }[];
  /** The master that the Sentinels watch. */
  name?: string;
  tls?:
    | boolean
    | {
        ca?: string;
        cert?: string;
        key?: string;
        servername?: string;
        rejectUnauthorized?: boolean;
      };
}

export type TRedisConnection =
  DefaultRedisHelper | IRedisClientLike | string | IRedisConnectionOptions;

/** Where lines of the log go. */
export interface IWebSocketLogger {
  /** A logger for a part of the helper; it may be the same. */
  for(scope: string): IWebSocketLogger;
  debug(text: string, ...more: unknown[]): void;
  info(text: string, ...more: unknown[]): void;
  warn(text: string, ...more: unknown[]): void;
  error(text: string, ...more: unknown[]): void;
}

/** Counted since construction, for this helper. */
export interface IWebSocketServerStats {
  /** `idle`: not configured, or shut down. */
  busState: TWebSocketBusState | 'idle';
  /** Messages not given to Redis, since it was lost or too much was waiting. */
  busRefused: number;
  /** Messages that Redis refused, or that could not be made. */
  busFailed: number;
  /** Messages from Redis that do not follow the protocol. */
  busInvalid: number;
  /** Messages to a client that were dropped. */
  framesDropped: number;
}

/** Options of `start` that the native transport takes, too. */
export type TNativeOptions = Partial<
  Omit<
    StartOptions,
    | 'bind'
    | 'workerPath'
    | 'threads'
    | 'startTimeout'
    | 'worker'
    | 'handlers'
    | 'path'
    | 'cluster'
    | 'signal'
  >
>;

export interface IWebSocketServerOptions<
  AuthDataType extends Record<string, unknown> = Record<string, unknown>,
  MetadataType extends Record<string, unknown> = Record<string, unknown>,
> extends TNativeOptions {
  /** The name of the helper. Native helpers of one process with the same one are one instance. */
  identifier: string;
  redisConnection: TRedisConnection;
  /** @default '/ws' */
  path?: string;
  /** Joined by every client that is authenticated. @default ['ws-default', 'ws-notification'] */
  defaultRooms?: string[];
  /** Bun's server: the sockets are those of `Bun.serve`. */
  server?: IBunServer;
  /** Where to listen, as in `start`: the sockets are native. */
  bind?: string;
  serverOptions?: IBunWebSocketConfig;
  /**
   * Milliseconds until `authenticate` must have come; three times as many for the answer. @default
   * 5000
   */
  authTimeout?: number;
  /** Milliseconds between two looks for silent clients. @default 30000 */
  heartbeatInterval?: number;
  /** Milliseconds of silence after which a client is closed. @default 90000 */
  heartbeatTimeout?: number;
  /** How many runs of `outboundTransformer` one send has in flight. @default 10 */
  encryptedBatchLimit?: number;
  /** Every client must agree on keys with `handshakeFn`. @default false */
  requireEncryption?: boolean;
  authenticateFn: TWebSocketAuthenticateFn<AuthDataType, MetadataType>;
  validateRoomFn?: TWebSocketValidateRoomFn;
  clientConnectedFn?: TWebSocketClientConnectedFn<MetadataType>;
  clientDisconnectedFn?: TWebSocketClientDisconnectedFn;
  messageHandler?: TWebSocketMessageHandler;
  handshakeFn?: TWebSocketHandshakeFn<AuthDataType>;
  outboundTransformer?: TWebSocketOutboundTransformer<unknown, MetadataType>;
  /** Told of each change of the bus. */
  busStateFn?: (state: TWebSocketBusState) => void;
  /** @default warnings and errors to the console, the rest if `NODE_DEBUG` names `wsbroker` */
  logger?: IWebSocketLogger;
  /**
   * How many rooms a client can be in by asking, and ask for at once. `Infinity` lifts it. @default
   * 1024
   */
  maxRoomsPerClient?: number;
  /** Bytes of a frame before the client is authenticated. `Infinity` lifts it. @default 32768 */
  maxAuthPayloadLength?: number;
  /** Frames before the client is authenticated. `Infinity` lifts it. @default 128 */
  maxUnauthenticatedMessages?: number;
  /**
   * Bytes, as JSON, of one client's messages that wait for `outboundTransformer`. `Infinity` lifts
   * it. @default 1048576
   */
  maxPendingTransforms?: number;
}

export interface IWebSocketEmitterOptions {
  /** @default 'WebSocketEmitter' */
  identifier?: string;
  redisConnection: TRedisConnection;
  /** Told of each change of the connection to Redis. */
  busStateFn?: (state: TWebSocketBusState) => void;
  /** @default as of the server helper */
  logger?: IWebSocketLogger;
}
