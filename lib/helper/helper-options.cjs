"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.EMITTER_OPTIONS = exports.SERVER_HELPER_OPTIONS = void 0;
exports.knownOptions = knownOptions;
const advice_cjs_1 = require("../options/advice.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const settings_cjs_1 = require("./settings.cjs");
// Options that do not exist are refused, as in `start`: with `authenticatFn` nobody could ever
// authenticate, and with `requireEncrypton` everything would be sent in clear.
/** The names of all properties of an interface: none can be forgotten. */
const names = (all) => Object.keys(all);
exports.SERVER_HELPER_OPTIONS = names({
    identifier: true, redisConnection: true, path: true, defaultRooms: true, server: true, bind: true, serverOptions: true, authTimeout: true, heartbeatInterval: true, heartbeatTimeout: true,
    encryptedBatchLimit: true, requireEncryption: true, authenticateFn: true, validateRoomFn: true,
    clientConnectedFn: true, clientDisconnectedFn: true, messageHandler: true, handshakeFn: true,
    outboundTransformer: true, busStateFn: true, logger: true, maxRoomsPerClient: true,
    maxAuthPayloadLength: true, maxUnauthenticatedMessages: true, maxPendingTransforms: true,
    // Those of `start`.
    handlerTimeout: true, ioThreads: true, protocols: true, maxPayload: true, handshakeTimeout: true, openTimeout: true, maxPendingUpgrades: true, maxHeaderSize: true, idleTimeout: true,
    pings: true, pingInterval: true, closeTimeout: true, maxBackpressure: true, overflow: true,
    maxSendMemory: true, maxReceiveMemory: true, maxInFlight: true, maxConnections: true,
    maxConnectionsPerIp: true, maxChannelsPerSocket: true, maxChannelNameLength: true, maxLifetime: true, rateLimit: true, origins: true, trustProxy: true, proxyProtocol: true, reusePort: true,
    perMessageDeflate: true, tls: true, onWorker: true,
});
exports.EMITTER_OPTIONS = names({
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
function knownOptions(scope, options, known) {
    const { serverOptions } = (0, checks_cjs_1.knownKeys)(scope, 'options', options, known, known === exports.SERVER_HELPER_OPTIONS ? advice_cjs_1.HELPER_OPTION_HINTS : {});
    if (typeof serverOptions === 'object' && serverOptions !== null) {
        (0, checks_cjs_1.knownKeys)(scope, 'serverOptions', serverOptions, settings_cjs_1.SERVER_OPTIONS);
    }
    return options;
}
