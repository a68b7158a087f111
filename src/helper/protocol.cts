// Every name, number and text that clients, other instances and applications rely on. They are part
// of the interface: none of them may change.

/** A type guard for a set of strings. */
function guard<T extends string>(all: ReadonlySet<string>): (value: string) => value is T {
  return (value): value is T => all.has(value);
}

/** The values of `event` in messages of the helper itself. */
export class WebSocketEvents {
  static readonly AUTHENTICATE = 'authenticate';
  static readonly CONNECTED = 'connected';
  static readonly DISCONNECT = 'disconnect';
  static readonly JOIN = 'join';
  static readonly LEAVE = 'leave';
  static readonly ERROR = 'error';
  static readonly HEARTBEAT = 'heartbeat';
  static readonly ENCRYPTED = 'encrypted';

  static readonly SCHEME_SET: Set<string> = new Set([
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
  static readonly isValid = guard<
    | 'authenticate'
    | 'connected'
    | 'disconnect'
    | 'join'
    | 'leave'
    | 'error'
    | 'heartbeat'
    | 'encrypted'
  >(this.SCHEME_SET);
}

/** The values of `type` in a message on Redis. */
export class WebSocketMessageTypes {
  static readonly CLIENT = 'client';
  static readonly USER = 'user';
  static readonly ROOM = 'room';
  static readonly BROADCAST = 'broadcast';

  static readonly SCHEME_SET: Set<string> = new Set([
    this.CLIENT,
    this.USER,
    this.ROOM,
    this.BROADCAST,
  ]);

  /** Whether it is one of them; case matters. */
  static readonly isValid = guard<'client' | 'user' | 'room' | 'broadcast'>(this.SCHEME_SET);
}

/** The states of a client. */
export class WebSocketClientStates {
  static readonly UNAUTHORIZED = 'unauthorized';
  static readonly AUTHENTICATING = 'authenticating';
  static readonly AUTHENTICATED = 'authenticated';
  static readonly DISCONNECTED = 'disconnected';

  static readonly SCHEME_SET: Set<string> = new Set([
    this.UNAUTHORIZED,
    this.AUTHENTICATING,
    this.AUTHENTICATED,
    this.DISCONNECTED,
  ]);

  /** Whether it is one of them; case matters. */
  static readonly isValid = guard<
    'unauthorized' | 'authenticating' | 'authenticated' | 'disconnected'
  >(this.SCHEME_SET);
}

/**
 * The Redis channels of instances and emitters. Names are appended to the prefixes unchanged.
 */
export class WebSocketChannels {
  static readonly BROADCAST = 'ws:broadcast';
  static readonly ROOM_PREFIX = 'ws:room:';
  static readonly CLIENT_PREFIX = 'ws:client:';
  static readonly USER_PREFIX = 'ws:user:';

  static forRoom(opts: { room: string }): string {
    return `${WebSocketChannels.ROOM_PREFIX}${opts.room}`;
  }

  static forClient(opts: { clientId: string }): string {
    return `${WebSocketChannels.CLIENT_PREFIX}${opts.clientId}`;
  }

  static forUser(opts: { userId: string }): string {
    return `${WebSocketChannels.USER_PREFIX}${opts.userId}`;
  }

  static forRoomPattern(): string {
    return `${WebSocketChannels.ROOM_PREFIX}*`;
  }

  static forClientPattern(): string {
    return `${WebSocketChannels.CLIENT_PREFIX}*`;
  }

  static forUserPattern(): string {
    return `${WebSocketChannels.USER_PREFIX}*`;
  }
}

/**
 * Defaults of options, and the names of the rooms and of the channel that the helper itself uses.
 */
export class WebSocketDefaults {
  static readonly PATH = '/ws';
  static readonly ROOM = 'ws-default';
  static readonly NOTIFICATION_ROOM = 'ws-notification';
  /** The channel of all authenticated clients that are not encrypted. */
  static readonly BROADCAST_TOPIC = 'ws:internal:broadcast';
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
export const CLOSE = {
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
} as const satisfies Record<string, readonly [number, string]>;

/** The texts of error events. */
export const ERROR_TEXT = {
  format: 'Invalid message format',
  notAuthenticated: 'Not authenticated',
  alreadyAuthenticated: 'Already authenticated',
  authFailed: 'Authentication failed',
  authError: 'Authentication error',
  handshakeFailed: 'Encryption handshake failed',
} as const;

/**
 * Limits that are not constants of the interface: defaults of options, and limits without an
 * option.
 */
export const LIMITS = {
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
} as const;

/** Names with this prefix belong to the helper: clients cannot ask for such rooms. */
export const RESERVED_PREFIX = 'ws:';

/** The `serverId` of messages of an emitter. */
export const EMITTER_ID = 'emitter';
