import { scopeHere } from '../async-scope.cjs';
import { LIMITS, WebSocketDefaults } from './protocol.cjs';
import type {
  IBunWebSocketConfig,
  IWebSocketServerOptions,
  TWebSocketAuthenticateFn,
} from './types.cjs';

/** The constraint on the application's own types of data. */
export type AnyRecord = Record<string, unknown>;

// The options with their defaults. A default replaces only undefined and null; nothing is checked.

/** The keys of `serverOptions`. The handler for Bun has all of them, whether given or not. */
export const SERVER_OPTIONS = [
  'perMessageDeflate', 'maxPayloadLength', 'idleTimeout', 'backpressureLimit',
  'closeOnBackpressureLimit', 'sendPings', 'publishToSelf',
] as const satisfies readonly (keyof IBunWebSocketConfig)[];

/** `serverOptions` with all keys; the transport decides what undefined means. */
export type ServerOptions = Required<{
  [K in keyof IBunWebSocketConfig]: IBunWebSocketConfig[K] | undefined;
}>;

type Given<A extends AnyRecord, M extends AnyRecord> = IWebSocketServerOptions<A, M>;

export interface Settings<A extends AnyRecord, M extends AnyRecord> {
  readonly path: string;
  readonly defaultRooms: readonly string[];
  readonly serverOptions: ServerOptions;
  readonly authTimeout: number;
  readonly heartbeatInterval: number;
  readonly heartbeatTimeout: number;
  readonly encryptedBatchLimit: number;
  readonly requireEncryption: boolean;
  // The functions of the application. Each runs in the async context of the constructor.
  /** It may be missing; then authentication fails. */
  readonly authenticateFn: TWebSocketAuthenticateFn<A, M>;
  readonly validateRoomFn: Given<A, M>['validateRoomFn'];
  readonly clientConnectedFn: Given<A, M>['clientConnectedFn'];
  readonly clientDisconnectedFn: Given<A, M>['clientDisconnectedFn'];
  readonly messageHandler: Given<A, M>['messageHandler'];
  readonly handshakeFn: Given<A, M>['handshakeFn'];
  readonly outboundTransformer: Given<A, M>['outboundTransformer'];
  readonly maxRoomsPerClient: number;
  readonly maxAuthPayloadLength: number;
  readonly maxUnauthenticatedMessages: number;
  readonly maxPendingTransforms: number;
}

export function settingsOf<A extends AnyRecord, M extends AnyRecord>(
  opts: Given<A, M>,
): Settings<A, M> {
  const scope = scopeHere();
  const scoped = <F,>(fn: F | null | undefined): F | undefined => {
    if (typeof fn !== 'function') return fn ?? undefined;
    return scope.bound(fn as never, undefined) as F;
  };
  return {
    path: opts.path ?? WebSocketDefaults.PATH,
    defaultRooms: opts.defaultRooms ?? [
      WebSocketDefaults.ROOM,
      WebSocketDefaults.NOTIFICATION_ROOM,
    ],
    serverOptions: serverOptionsOf(opts.serverOptions),
    authTimeout: opts.authTimeout ?? WebSocketDefaults.AUTH_TIMEOUT,
    heartbeatInterval: opts.heartbeatInterval ?? WebSocketDefaults.HEARTBEAT_INTERVAL,
    heartbeatTimeout: opts.heartbeatTimeout ?? WebSocketDefaults.HEARTBEAT_TIMEOUT,
    encryptedBatchLimit: opts.encryptedBatchLimit ?? WebSocketDefaults.ENCRYPTED_BATCH_LIMIT,
    requireEncryption: opts.requireEncryption ?? false,
    authenticateFn: scoped(opts.authenticateFn) as Settings<A, M>['authenticateFn'],
    validateRoomFn: scoped(opts.validateRoomFn),
    clientConnectedFn: scoped(opts.clientConnectedFn),
    clientDisconnectedFn: scoped(opts.clientDisconnectedFn),
    messageHandler: scoped(opts.messageHandler),
    handshakeFn: scoped(opts.handshakeFn),
    outboundTransformer: scoped(opts.outboundTransformer),
    maxRoomsPerClient: opts.maxRoomsPerClient ?? LIMITS.maxRoomsPerClient,
    maxAuthPayloadLength: opts.maxAuthPayloadLength ?? LIMITS.maxAuthPayloadLength,
    maxUnauthenticatedMessages:
      opts.maxUnauthenticatedMessages ?? LIMITS.maxUnauthenticatedMessages,
    maxPendingTransforms: opts.maxPendingTransforms ?? LIMITS.maxPendingTransforms,
  };
}

/** Given options override defaults; an explicit undefined removes one. */
function serverOptionsOf(given: IBunWebSocketConfig | undefined): ServerOptions {
  const all: IBunWebSocketConfig = {
    maxPayloadLength: WebSocketDefaults.MAX_PAYLOAD_LENGTH,
    idleTimeout: WebSocketDefaults.IDLE_TIMEOUT,
    backpressureLimit: WebSocketDefaults.BACKPRESSURE_LIMIT,
    sendPings: WebSocketDefaults.SEND_PINGS,
    publishToSelf: WebSocketDefaults.PUBLISH_TO_SELF,
    ...given,
  };
  return Object.fromEntries(
    SERVER_OPTIONS.map((key) => [key, all[key]]),
  ) as unknown as ServerOptions;
}
