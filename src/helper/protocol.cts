// Every name, number and text that is agreed with clients, with other instances and with
// applications. They are part of the interface: none may change.

/** A set of strings with a guard, as the classes below have it. */
function guard<T extends string>(all: ReadonlySet<string>): (value: string) => value is T {
  return (value): value is T => all.has(value);
}

/** What `event` of the helper's own messages can be. */
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

/** What a message on Redis is for. */
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

/** Where a client stands. */
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
 * The channels of Redis on which instances and emitters meet. Names are put behind the prefixes as
 * they are.
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
 * Defaults of the options, and names of the rooms and of the channel that the helper itself uses.
 */
export class WebSocketDefaults {
  static readonly PATH = '/ws';
  static readonly ROOM = 'ws-default';
  static readonly NOTIFICATION_ROOM = 'ws-notification';
  /** The channel of all clients that are authenticated and not encrypted. */
  static readonly BROADCAST_TOPIC = 'ws:internal:broadcast';
  /** Bytes. */
  static readonly MAX_PAYLOAD_LENGTH = 131072;
  /** Seconds. */
  static readonly IDLE_TIMEOUT = 60;
  /** Bytes. */
  static readonly BACKPRESSURE_LIMIT = 1048576;
  static readonly SEND_PINGS = true;
  static readonly PUBLISH_TO_SELF = false;
  /** Milliseconds, as the next two. */
  static readonly AUTH_TIMEOUT = 5000;
  static readonly HEARTBEAT_INTERVAL = 30000;
  static readonly HEARTBEAT_TIMEOUT = 90000;
  static readonly ENCRYPTED_BATCH_LIMIT = 10;
}

/** Why the helper closes a socket: code and reason. */
export const CLOSE = {
  authTimeout: [4001, 'Authentication timeout'],
  heartbeatTimeout: [4002, 'Heartbeat timeout'],
  authFailed: [4003, 'Authentication failed'],
  encryptionRequired: [4004, 'Encryption required'],
  shutdown: [1001, 'Server shutting down'],
  tooBig: [1009, 'Received too big message'],
  duplicate: [1008, 'Duplicate client id'],
  missingId: [1008, 'Missing client id'],
  tooMany: [1008, 'Too many messages'],
} as const satisfies Record<string, readonly [number, string]>;

/** What error events say. */
export const ERROR_TEXT = {
  format: 'Invalid message format',
  notAuthenticated: 'Not authenticated',
  alreadyAuthenticated: 'Already authenticated',
  authFailed: 'Authentication failed',
  authError: 'Authentication error',
  handshakeFailed: 'Encryption handshake failed',
} as const;

/**
 * Limits that are no constants of the interface: the defaults of options, and bounds that have
 * none.
 */
export const LIMITS = {
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
} as const;

/** Names that start so are the helper's own: clients cannot ask for such a room. */
export const RESERVED_PREFIX = 'ws:';

/** The `serverId` of what an emitter sends. */
export const EMITTER_ID = 'emitter';
