"use strict";
// Every name, number and text that clients, other instances and applications rely on. They are part
// of the interface: none of them may change.
Object.defineProperty(exports, "__esModule", { value: true });
exports.EMITTER_ID = exports.RESERVED_PREFIX = exports.LIMITS = exports.ERROR_TEXT = exports.CLOSE = exports.WebSocketDefaults = exports.WebSocketChannels = exports.WebSocketClientStates = exports.WebSocketMessageTypes = exports.WebSocketEvents = void 0;
/** A type guard for a set of strings. */
function guard(all) {
    return (value) => all.has(value);
}
/** The values of `event` in messages of the helper itself. */
class WebSocketEvents {
    static AUTHENTICATE = 'authenticate';
    static CONNECTED = 'connected';
    static DISCONNECT = 'disconnect';
    static JOIN = 'join';
    static LEAVE = 'leave';
    static ERROR = 'error';
    static HEARTBEAT = 'heartbeat';
    static ENCRYPTED = 'encrypted';
    static SCHEME_SET = new Set([
        this.AUTHENTICATE,
        this.CONNECTED,
        this.DISCONNECT,
        this.JOIN,
        this.LEAVE,
        this.ERROR,
        this.HEARTBEAT,
        this.ENCRYPTED,
    ]);
    /** Whether it is one of them; case matters. */
    static isValid = guard(this.SCHEME_SET);
}
exports.WebSocketEvents = WebSocketEvents;
/** The values of `type` in a message on Redis. */
class WebSocketMessageTypes {
    static CLIENT = 'client';
    static USER = 'user';
    static ROOM = 'room';
    static BROADCAST = 'broadcast';
    static SCHEME_SET = new Set([
        this.CLIENT,
        this.USER,
        this.ROOM,
        this.BROADCAST,
    ]);
    /** Whether it is one of them; case matters. */
    static isValid = guard(this.SCHEME_SET);
}
exports.WebSocketMessageTypes = WebSocketMessageTypes;
/** The states of a client. */
class WebSocketClientStates {
    static UNAUTHORIZED = 'unauthorized';
    static AUTHENTICATING = 'authenticating';
    static AUTHENTICATED = 'authenticated';
    static DISCONNECTED = 'disconnected';
    static SCHEME_SET = new Set([
        this.UNAUTHORIZED,
        this.AUTHENTICATING,
        this.AUTHENTICATED,
        this.DISCONNECTED,
    ]);
    /** Whether it is one of them; case matters. */
    static isValid = guard(this.SCHEME_SET);
}
exports.WebSocketClientStates = WebSocketClientStates;
/**
 * The Redis channels of instances and emitters. Names are appended to the prefixes unchanged.
 */
class WebSocketChannels {
    static BROADCAST = 'ws:broadcast';
    static ROOM_PREFIX = 'ws:room:';
    static CLIENT_PREFIX = 'ws:client:';
    static USER_PREFIX = 'ws:user:';
    static forRoom(opts) {
        return `${WebSocketChannels.ROOM_PREFIX}${opts.room}`;
    }
    static forClient(opts) {
        return `${WebSocketChannels.CLIENT_PREFIX}${opts.clientId}`;
    }
    static forUser(opts) {
        return `${WebSocketChannels.USER_PREFIX}${opts.userId}`;
    }
    static forRoomPattern() {
        return `${WebSocketChannels.ROOM_PREFIX}*`;
    }
    static forClientPattern() {
        return `${WebSocketChannels.CLIENT_PREFIX}*`;
    }
    static forUserPattern() {
        return `${WebSocketChannels.USER_PREFIX}*`;
    }
}
exports.WebSocketChannels = WebSocketChannels;
/**
 * Defaults of options, and the names of the rooms and of the channel that the helper itself uses.
 */
class WebSocketDefaults {
    static PATH = '/ws';
    static ROOM = 'ws-default';
    static NOTIFICATION_ROOM = 'ws-notification';
    /** The channel of all authenticated clients that are not encrypted. */
    static BROADCAST_TOPIC = 'ws:internal:broadcast';
    /** Bytes. */
    static MAX_PAYLOAD_LENGTH = 131072;
    /** Seconds. */
    static IDLE_TIMEOUT = 60;
    /** Bytes. */
    static BACKPRESSURE_LIMIT = 1048576;
    static SEND_PINGS = true;
    static PUBLISH_TO_SELF = false;
    /** Milliseconds, like the next two. */
    static AUTH_TIMEOUT = 5000;
    static HEARTBEAT_INTERVAL = 30000;
    static HEARTBEAT_TIMEOUT = 90000;
    static ENCRYPTED_BATCH_LIMIT = 10;
}
exports.WebSocketDefaults = WebSocketDefaults;
/** The codes and reasons with which the helper closes sockets. */
exports.CLOSE = {
    authTimeout: [4001, 'Authentication timeout'],
    heartbeatTimeout: [4002, 'Heartbeat timeout'],
    authFailed: [4003, 'Authentication failed'],
    encryptionRequired: [4004, 'Encryption required'],
    shutdown: [1001, 'Server shutting down'],
    superseded: [1012, 'Worker reloaded'],
    tooBig: [1009, 'Received too big message'],
    duplicate: [1008, 'Duplicate client id'],
    missingId: [1008, 'Missing client id'],
    tooMany: [1008, 'Too many messages'],
};
/** The texts of error events. */
exports.ERROR_TEXT = {
    format: 'Invalid message format',
    notAuthenticated: 'Not authenticated',
    alreadyAuthenticated: 'Already authenticated',
    authFailed: 'Authentication failed',
    authError: 'Authentication error',
    handshakeFailed: 'Encryption handshake failed',
};
/**
 * Limits that are not constants of the interface: defaults of options, and limits without an
 * option.
 */
exports.LIMITS = {
    maxRoomsPerClient: 1024,
    /** Bytes. */
    maxAuthPayloadLength: 32_768,
    maxUnauthenticatedMessages: 128,
    /** Bytes, as JSON. */
    maxPendingTransforms: 1_048_576,
    /** How long `outboundTransformer` may take, in milliseconds. */
    transform: 30_000,
    /** The longest name of a room that a client may ask for, in UTF-16 units. */
    maxRoomName: 256,
    /** How long authentication may take, in multiples of `authTimeout`. */
    authPatience: 3,
    /** Milliseconds, as the next two. */
    redisReady: 30_000,
    redisQuit: 5_000,
    flush: 5_000,
    /** How much a Redis client of the application may keep without an answer, in UTF-16 units. */
    maxUnanswered: 8 << 20,
};
/** Names with this prefix belong to the helper: clients cannot ask for such rooms. */
exports.RESERVED_PREFIX = 'ws:';
/** The `serverId` of messages of an emitter. */
exports.EMITTER_ID = 'emitter';
