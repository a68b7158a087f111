"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.EMITTER_OPTIONS = exports.SERVER_HELPER_OPTIONS = void 0;
exports.warnOfUnknown = warnOfUnknown;
const checks_cjs_1 = require("../checks.cjs");
const settings_cjs_1 = require("./settings.cjs");
// Options that nobody reads. They are no error, since applications may have their own beside ours; but whoever has misspelt one shall hear of it.
/** Each name of an interface, none left out. */
const names = (all) => Object.keys(all);
exports.SERVER_HELPER_OPTIONS = names({
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
exports.EMITTER_OPTIONS = names({ identifier: true, redisConnection: true, busStateFn: true, logger: true });
/** One line for all of them, if there are any: each with the known name that may have been meant. */
function warnOfUnknown(log, options, known) {
    const { serverOptions } = options;
    const inner = known === exports.SERVER_HELPER_OPTIONS && typeof serverOptions === 'object' && serverOptions !== null ? unknownIn(serverOptions, settings_cjs_1.SERVER_OPTIONS, 'serverOptions.') : [];
    const all = [...unknownIn(options, known), ...inner];
    if (all.length > 0)
        log.warn(`unknown options have no effect: ${all.join(', ')}`);
}
function unknownIn(options, known, where = '') {
    return Object.keys(options).filter((key) => !known.includes(key)).map((key) => {
        const near = (0, checks_cjs_1.nearest)(key, known);
        return `"${where}${key}"${near === undefined ? '' : ` (did you mean "${where}${near}"?)`}`;
    });
}
