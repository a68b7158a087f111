"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.SERVER_OPTIONS = void 0;
exports.settingsOf = settingsOf;
const async_scope_cjs_1 = require("../async-scope.cjs");
const protocol_cjs_1 = require("./protocol.cjs");
// The options with their defaults. A default replaces only undefined and null; nothing is checked.
/** The keys of `serverOptions`. The handler for Bun has all of them, whether given or not. */
exports.SERVER_OPTIONS = [
    'perMessageDeflate', 'maxPayloadLength', 'idleTimeout', 'backpressureLimit',
    'closeOnBackpressureLimit', 'sendPings', 'publishToSelf',
];
function settingsOf(opts) {
    const scope = (0, async_scope_cjs_1.scopeHere)();
    const scoped = (fn) => {
        if (typeof fn !== 'function')
            return fn ?? undefined;
        return scope.bound(fn, undefined);
    };
    return {
        path: opts.path ?? protocol_cjs_1.WebSocketDefaults.PATH,
        defaultRooms: opts.defaultRooms ?? [
            protocol_cjs_1.WebSocketDefaults.ROOM,
            protocol_cjs_1.WebSocketDefaults.NOTIFICATION_ROOM,
        ],
        serverOptions: serverOptionsOf(opts.serverOptions),
        authTimeout: opts.authTimeout ?? protocol_cjs_1.WebSocketDefaults.AUTH_TIMEOUT,
        heartbeatInterval: opts.heartbeatInterval ?? protocol_cjs_1.WebSocketDefaults.HEARTBEAT_INTERVAL,
        heartbeatTimeout: opts.heartbeatTimeout ?? protocol_cjs_1.WebSocketDefaults.HEARTBEAT_TIMEOUT,
        encryptedBatchLimit: opts.encryptedBatchLimit ?? protocol_cjs_1.WebSocketDefaults.ENCRYPTED_BATCH_LIMIT,
        requireEncryption: opts.requireEncryption ?? false,
        authenticateFn: scoped(opts.authenticateFn),
        validateRoomFn: scoped(opts.validateRoomFn),
        clientConnectedFn: scoped(opts.clientConnectedFn),
        clientDisconnectedFn: scoped(opts.clientDisconnectedFn),
        messageHandler: scoped(opts.messageHandler),
        handshakeFn: scoped(opts.handshakeFn),
        outboundTransformer: scoped(opts.outboundTransformer),
        maxRoomsPerClient: opts.maxRoomsPerClient ?? protocol_cjs_1.LIMITS.maxRoomsPerClient,
        maxAuthPayloadLength: opts.maxAuthPayloadLength ?? protocol_cjs_1.LIMITS.maxAuthPayloadLength,
        maxUnauthenticatedMessages: opts.maxUnauthenticatedMessages ?? protocol_cjs_1.LIMITS.maxUnauthenticatedMessages,
        maxPendingTransforms: opts.maxPendingTransforms ?? protocol_cjs_1.LIMITS.maxPendingTransforms,
    };
}
/** Given options override defaults; an explicit undefined removes one. */
function serverOptionsOf(given) {
    const all = {
        maxPayloadLength: protocol_cjs_1.WebSocketDefaults.MAX_PAYLOAD_LENGTH,
        idleTimeout: protocol_cjs_1.WebSocketDefaults.IDLE_TIMEOUT,
        backpressureLimit: protocol_cjs_1.WebSocketDefaults.BACKPRESSURE_LIMIT,
        sendPings: protocol_cjs_1.WebSocketDefaults.SEND_PINGS,
        publishToSelf: protocol_cjs_1.WebSocketDefaults.PUBLISH_TO_SELF,
        ...given,
    };
    return Object.fromEntries(exports.SERVER_OPTIONS.map((key) => [key, all[key]]));
}
