import { HELPER_OPTION_HINTS } from '../options/advice.cjs';
import { knownKeys } from '../options/checks.cjs';
import { SERVER_OPTIONS } from './settings.cjs';
import type { IWebSocketEmitterOptions, IWebSocketServerOptions } from './types.cjs';

// Options that do not exist are refused, as in `start`: with `authenticatFn` nobody could ever
// authenticate, and with `requireEncrypton` everything would be sent in clear.

/** The names of all properties of an interface: none can be forgotten. */
const names = <T,>(all: Record<keyof T, true>): readonly string[] => Object.keys(all);

export const SERVER_HELPER_OPTIONS = names<IWebSocketServerOptions>({
  identifier: true, redisConnection: true, path: true, defaultRooms: true, server: true, bind:
  true, serverOptions: true, authTimeout: true, heartbeatInterval: true, heartbeatTimeout: true,
  encryptedBatchLimit: true, requireEncryption: true, authenticateFn: true, validateRoomFn: true,
  clientConnectedFn: true, clientDisconnectedFn: true, messageHandler: true, handshakeFn: true,
  outboundTransformer: true, busStateFn: true, logger: true, maxRoomsPerClient: true,
  maxAuthPayloadLength: true, maxUnauthenticatedMessages: true, maxPendingTransforms: true,
  // Those of `start`.
  handlerTimeout: true, ioThreads: true, protocols: true, maxPayload: true, handshakeTimeout:
  true, openTimeout: true, maxPendingUpgrades: true, maxHeaderSize: true, idleTimeout: true,
  pings: true, pingInterval: true, closeTimeout: true, maxBackpressure: true, overflow: true,
  maxSendMemory: true, maxReceiveMemory: true, maxInFlight: true, maxConnections: true,
  maxConnectionsPerIp: true, maxChannelsPerSocket: true, maxChannelNameLength: true, maxLifetime:
  true, rateLimit: true, origins: true, trustProxy: true, proxyProtocol: true, reusePort: true,
  perMessageDeflate: true, tls: true, onWorker: true,
});

export const EMITTER_OPTIONS = names<IWebSocketEmitterOptions>({
  identifier: true,
  redisConnection: true,
  busStateFn: true,
  logger: true,
});

/**
 * Checks the names of the options, and returns the options unchanged.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are not an object
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message names
 * the most similar one
 */
export function knownOptions<T extends object>(
  scope: string,
  options: T,
  known: readonly string[],
): T {
  const { serverOptions } = knownKeys(
    scope,
    'options',
    options,
    known,
    known === SERVER_HELPER_OPTIONS ? HELPER_OPTION_HINTS : {},
  );
  if (typeof serverOptions === 'object' && serverOptions !== null) {
    knownKeys(scope, 'serverOptions', serverOptions, SERVER_OPTIONS);
  }
  return options;
}
