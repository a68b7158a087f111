import { nearest } from '../checks.cjs';
import { SERVER_OPTIONS } from './settings.cjs';
import type { IWebSocketEmitterOptions, IWebSocketLogger, IWebSocketServerOptions } from './types.cjs';

// Options that nobody reads. They are no error, since applications may have their own beside ours; but whoever has misspelt one shall hear of it.

/** Each name of an interface, none left out. */
const names = <T,>(all: Record<keyof T, true>): readonly string[] => Object.keys(all);

export const SERVER_HELPER_OPTIONS = names<IWebSocketServerOptions>({
  identifier: true, redisConnection: true, path: true, defaultRooms: true, server: true, bind: true, serverOptions: true, authTimeout: true, heartbeatInterval: true,
  heartbeatTimeout: true, encryptedBatchLimit: true, requireEncryption: true, authenticateFn: true, validateRoomFn: true, clientConnectedFn: true,
  clientDisconnectedFn: true, messageHandler: true, handshakeFn: true, outboundTransformer: true, busStateFn: true, logger: true, maxRoomsPerClient: true,
  maxAuthPayloadLength: true, maxUnauthenticatedMessages: true, maxPendingTransforms: true,
  // Those of `start`.
  handlerTimeout: true, ioThreads: true, protocols: true, maxPayload: true, handshakeTimeout: true, openTimeout: true, maxPendingUpgrades: true, maxHeaderSize: true,
  idleTimeout: true, pings: true, pingInterval: true, closeTimeout: true, maxBackpressure: true, overflow: true, maxSendMemory: true, maxReceiveMemory: true, maxInFlight: true,
  maxConnections: true, maxConnectionsPerIp: true, maxChannelsPerSocket: true, maxChannelNameLength: true, maxLifetime: true, rateLimit: true, origins: true,
  trustProxy: true, proxyProtocol: true, reusePort: true, perMessageDeflate: true, tls: true, onWorker: true,
});

export const EMITTER_OPTIONS = names<IWebSocketEmitterOptions>({ identifier: true, redisConnection: true, busStateFn: true, logger: true });

/** One line for all of them, if there are any: each with the known name that may have been meant. */
export function warnOfUnknown(log: IWebSocketLogger, options: object, known: readonly string[]): void {
  const { serverOptions } = options as { serverOptions?: unknown };
  const inner = known === SERVER_HELPER_OPTIONS && typeof serverOptions === 'object' && serverOptions !== null ? unknownIn(serverOptions, SERVER_OPTIONS, 'serverOptions.') : [];
  const all = [...unknownIn(options, known), ...inner];
  if (all.length > 0) log.warn(`unknown options have no effect: ${all.join(', ')}`);
}

function unknownIn(options: object, known: readonly string[], where = ''): string[] {
  return Object.keys(options).filter((key) => !known.includes(key)).map((key) => {
    const near = nearest(key, known);
    return `"${where}${key}"${near === undefined ? '' : ` (did you mean "${where}${near}"?)`}`;
  });
}
