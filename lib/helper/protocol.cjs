"use strict";
// Every name, number and text that is agreed with clients, with other instances and with
// applications. They are part of the interface: none may change.
Object.defineProperty(exports, "__esModule", { value: true });
exports.EMITTER_ID = exports.RESERVED_PREFIX = exports.LIMITS = exports.ERROR_TEXT = exports.CLOSE = exports.WebSocketDefaults = exports.WebSocketChannels = exports.WebSocketClientStates = exports.WebSocketMessageTypes = exports.WebSocketEvents = void 0;
/** A set of strings with a guard, as the classes below have it. */
function guard(all) {
    return (value) => all.has(value);
}
/** What `event` of the helper's own messages can be. */
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
/** What a message on Redis is for. */
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
/** Where a client stands. */
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
 * The channels of Redis on which instances and emitters meet. Names are put behind the prefixes as
 * they are.
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
 * Defaults of the options, and names of the rooms and of the channel that the helper itself uses.
 */
class WebSocketDefaults {
    static PATH = '/ws';
    static ROOM = 'ws-default';
    static NOTIFICATION_ROOM = 'ws-notification';
    /** The channel of all clients that are authenticated and not encrypted. */
    static BROADCAST_TOPIC = 'ws:internal:broadcast';
    /** Bytes. */
    static MAX_PAYLOAD_LENGTH = 131072;
    /** Seconds. */
    static IDLE_TIMEOUT = 60;
    /** Bytes. */
    static BACKPRESSURE_LIMIT = 1048576;
    static SEND_PINGS = true;
    static PUBLISH_TO_SELF = false;
    /** Milliseconds, as the next two. */
    static AUTH_TIMEOUT = 5000;
    static HEARTBEAT_INTERVAL = 30000;
    static HEARTBEAT_TIMEOUT = 90000;
    static ENCRYPTED_BATCH_LIMIT = 10;
}
exports.WebSocketDefaults = WebSocketDefaults;
/** Why the helper closes a socket: code and reason. */
exports.CLOSE = {
    authTimeout: [4001, 'Authentication timeout'],
    heartbeatTimeout: [4002, 'Heartbeat timeout'],
    authFailed: [4003, 'Authentication failed'],
    encryptionRequired: [4004, 'Encryption required'],
    shutdown: [1001, 'Server shutting down'],
    tooBig: [1009, 'Received too big message'],
    duplicate: [1008, 'Duplicate client id'],
    missingId: [1008, 'Missing client id'],
    tooMany: [1008, 'Too many messages'],
};
/** What error events say. */
exports.ERROR_TEXT = {
    format: 'Invalid message format',
    notAuthenticated: 'Not authenticated',
    alreadyAuthenticated: 'Already authenticated',
    authFailed: 'Authentication failed',
    authError: 'Authentication error',
    handshakeFailed: 'Encryption handshake failed',
};
/**
 * Limits that are no constants of the interface: the defaults of options, and bounds that have
 * none.
 */
exports.LIMITS = {
    maxRoomsPerClient: 1024,
    /** Bytes. */
    maxAuthPayloadLength: 32_768,
    maxUnauthenticatedMessages: 128,
    /** Bytes, as JSON. */
    maxPendingTransforms: 1_048_576,
    /** Milliseconds in which `outboundTransformer` must answer. */
    transform: 30_000,
    /** UTF-16 units in the name of a room that a client asks for. */
    maxRoomName: 256,
    /** How many times `authTimeout` an authentication may take. */
    authPatience: 3,
    /** Milliseconds, as the next two. */
    redisReady: 30_000,
    redisQuit: 5_000,
    flush: 5_000,
    /** UTF-16 units of messages that a Redis client of the application's has not had answered. */
    maxUnanswered: 8 << 20,
};
/** Names that start so are the helper's own: clients cannot ask for such a room. */
exports.RESERVED_PREFIX = 'ws:';
/** The `serverId` of what an emitter sends. */
exports.EMITTER_ID = 'emitter';
