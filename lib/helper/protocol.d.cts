/** The values of `event` in messages of the helper itself. */
export declare class WebSocketEvents {
    static readonly AUTHENTICATE = "authenticate";
    static readonly CONNECTED = "connected";
    static readonly DISCONNECT = "disconnect";
    static readonly JOIN = "join";
    static readonly LEAVE = "leave";
    static readonly ERROR = "error";
    static readonly HEARTBEAT = "heartbeat";
    static readonly ENCRYPTED = "encrypted";
    static readonly SCHEME_SET: Set<string>;
    /** Whether it is one of them; case matters. */
    static readonly isValid: (value: string) => value is "authenticate" | "connected" | "disconnect" | "encrypted" | "error" | "heartbeat" | "join" | "leave";
}
/** The values of `type` in a message on Redis. */
export declare class WebSocketMessageTypes {
    static readonly CLIENT = "client";
    static readonly USER = "user";
    static readonly ROOM = "room";
    static readonly BROADCAST = "broadcast";
    static readonly SCHEME_SET: Set<string>;
    /** Whether it is one of them; case matters. */
    static readonly isValid: (value: string) => value is "broadcast" | "client" | "room" | "user";
}
/** The states of a client. */
export declare class WebSocketClientStates {
    static readonly UNAUTHORIZED = "unauthorized";
    static readonly AUTHENTICATING = "authenticating";
    static readonly AUTHENTICATED = "authenticated";
    static readonly DISCONNECTED = "disconnected";
    static readonly SCHEME_SET: Set<string>;
    /** Whether it is one of them; case matters. */
    static readonly isValid: (value: string) => value is "authenticated" | "authenticating" | "disconnected" | "unauthorized";
}
/**
 * The Redis channels of instances and emitters. Names are appended to the prefixes unchanged.
 */
export declare class WebSocketChannels {
    static readonly BROADCAST = "ws:broadcast";
    static readonly ROOM_PREFIX = "ws:room:";
    static readonly CLIENT_PREFIX = "ws:client:";
    static readonly USER_PREFIX = "ws:user:";
    static forRoom(opts: {
        room: string;
    }): string;
    static forClient(opts: {
        clientId: string;
    }): string;
    static forUser(opts: {
        userId: string;
    }): string;
    static forRoomPattern(): string;
    static forClientPattern(): string;
    static forUserPattern(): string;
}
/**
 * Defaults of options, and the names of the rooms and of the channel that the helper itself uses.
 */
export declare class WebSocketDefaults {
    static readonly PATH = "/ws";
    static readonly ROOM = "ws-default";
    static readonly NOTIFICATION_ROOM = "ws-notification";
    /** The channel of all authenticated clients that are not encrypted. */
    static readonly BROADCAST_TOPIC = "ws:internal:broadcast";
    /** Bytes. */
    static readonly MAX_PAYLOAD_LENGTH = 131072;
    /** Seconds. */
    static readonly IDLE_TIMEOUT = 60;
    /** Bytes. */
    static readonly BACKPRESSURE_LIMIT = 1048576;
    static readonly SEND_PINGS = true;
    static readonly PUBLISH_TO_SELF = false;
    /** Milliseconds, like the next two. */
    static readonly AUTH_TIMEOUT = 5000;
    static readonly HEARTBEAT_INTERVAL = 30000;
    static readonly HEARTBEAT_TIMEOUT = 90000;
    static readonly ENCRYPTED_BATCH_LIMIT = 10;
}
/** The codes and reasons with which the helper closes sockets. */
export declare const CLOSE: {
    readonly authTimeout: readonly [4001, "Authentication timeout"];
    readonly heartbeatTimeout: readonly [4002, "Heartbeat timeout"];
    readonly authFailed: readonly [4003, "Authentication failed"];
    readonly encryptionRequired: readonly [4004, "Encryption required"];
    readonly shutdown: readonly [1001, "Server shutting down"];
    readonly superseded: readonly [1012, "Worker reloaded"];
    readonly tooBig: readonly [1009, "Received too big message"];
    readonly duplicate: readonly [1008, "Duplicate client id"];
    readonly missingId: readonly [1008, "Missing client id"];
    readonly tooMany: readonly [1008, "Too many messages"];
};
/** The texts of error events. */
export declare const ERROR_TEXT: {
    readonly format: 'Invalid message format';
    readonly notAuthenticated: 'Not authenticated';
    readonly alreadyAuthenticated: 'Already authenticated';
    readonly authFailed: 'Authentication failed';
    readonly authError: 'Authentication error';
    readonly handshakeFailed: 'Encryption handshake failed';
};
/**
 * Limits that are not constants of the interface: defaults of options, and limits without an
 * option.
 */
export declare const LIMITS: {
    readonly maxRoomsPerClient: 1024;
    /** Bytes. */
    readonly maxAuthPayloadLength: 32768;
    readonly maxUnauthenticatedMessages: 128;
    /** Bytes, as JSON. */
    readonly maxPendingTransforms: 1048576;
    /** How long `outboundTransformer` may take, in milliseconds. */
    readonly transform: 30000;
    /** The longest name of a room that a client may ask for, in UTF-16 units. */
    readonly maxRoomName: 256;
    /** How long authentication may take, in multiples of `authTimeout`. */
    readonly authPatience: 3;
    /** Milliseconds, as the next two. */
    readonly redisReady: 30000;
    readonly redisQuit: 5000;
    readonly flush: 5000;
    /** How much a Redis client of the application may keep without an answer, in UTF-16 units. */
    readonly maxUnanswered: number;
};
/** Names with this prefix belong to the helper: clients cannot ask for such rooms. */
export declare const RESERVED_PREFIX = "ws:";
/** The `serverId` of messages of an emitter. */
export declare const EMITTER_ID = "emitter";
