import type {
  IBunWebSocketConfig,
  IBunWebSocketHandler,
  IWebSocket,
  IWebSocketLogger,
  TNativeOptions,
  TWebSocketBusState,
} from '../types.cjs';

// The interface between the helper and its sockets. `bun-transport.cts` and `native-transport.cts`
// implement `Transport`. Only the native one has an `Instance`: what the helpers of one identifier
// in one process share.
//
// With native sockets:
//
// - The addon calls `host.handler`, the functions of `getBunWebSocketHandler()`, with one
//   `IWebSocket` object for each socket: open, message, close and drain, in order.
// - `subscribe`, `unsubscribe` and `isSubscribed` of a socket concern channels of the kind `room`.
//   They change what `publish` reaches, but no membership.
// - The helper reports what happens to each of its clients (`addClient` … `removeClient`), when
//   its own tables change, and never twice.
// - From that the instance keeps a directory of all workers: which helper has a client, which rooms
//   have members, and the counts. It also keeps the *held* memberships, those of encrypted clients:
//   a publish does not reach them, but the helpers that have them are told of it.
//
// Everything is synchronous unless it returns a promise, and takes effect in the order of the calls
// of a thread: a `publish` after a `subscribe` reaches the subscriber, and a `send` after a
// `publish` arrives after it. The helper calls an instance only after `join` has resolved and
// before `leave`.

/**
 * A set of clients. `room`: the members of a room, or the client with that id. `user`: the clients
 * of a user. `broadcast`: all clients whose authentication is complete; the name is ''.
 */
export type AudienceType = 'room' | 'user' | 'broadcast';

/**
 * The destination of a publish. Natively `broadcast` is the channel `ws:internal:broadcast` of the
 * kind `room`, and every encrypted client whose authentication is complete.
 */
export interface Audience {
  readonly type: AudienceType;
  readonly name: string;
}

/**
 * What one helper asks another one of its instance to do, through the addon. Operations of a sender
 * arrive in order; at most 16 MiB wait at one helper. `frame` is the JSON text of
 * `{ event, data }`.
 */
export type HelperOperation =
  /**
   * A publish, to a helper that has held members in the audience; also one from Redis that the
   * addon could not deliver alone. `epoch` says when it was published: members that have been held
   * since a later epoch have received it directly.
   */
  | {
      readonly op: 'publish';
      readonly audience: Audience;
      readonly frame: string;
      readonly exclude: readonly string[];
      readonly epoch: number;
    }
  /** `sendToClient`, to the helper that has an encrypted client. */
  | { readonly op: 'send'; readonly clientId: string; readonly frame: string }
  /** `joinRoom` and `leaveRoom`, to the helper that has the client, encrypted or not. */
  | { readonly op: 'join' | 'leave'; readonly clientId: string; readonly room: string };

/** What a transport and its instance need of their helper. Nothing here throws. */
export interface TransportHost {
  readonly identifier: string;
  readonly logger: IWebSocketLogger;
  /** The events of sockets. The functions are looked up at each event. */
  readonly handler: IBunWebSocketHandler;
  /**
   * Does what another helper of the instance, or the native bus, asks for, before it returns.
   * Clients that are gone are skipped.
   */
  receive(operation: HelperOperation): void;
  /**
   * The instance's input from Redis is ready or lost. Called for every configured helper of the
   * instance, once for each change, in order.
   */
  inputState(state: TWebSocketBusState): void;
  /**
   * This helper must subscribe to Redis for the instance, because the one that did has ended.
   * Before that the instance has called `inputState('lost')` of all helpers, including this one.
   * The helper subscribes, then calls `setInputState('ready')`.
   */
  takeInput(): void;
  /**
   * Another helper of the instance has ended without reporting its clients. `takeLeftClient` of the
   * instance returns them.
   */
  clientsLeft(): void;
  /**
   * Other threads take the place of this one: closes all clients with 1012, after the application
   * has been told, and shuts down. Returns how many clients there were.
   */
  superseded(): Promise<number>;
  /** Messages to clients of this helper were dropped. Not called again before `dropped(true)`. */
  dropped(): void;
}

/** What the helpers of one identifier in one process share. */
export interface Instance {
  /** The id of the instance, the same for all its helpers. */
  readonly serverId: string;
  /** The number that this helper has in the addon, where the native bus joins the instance. */
  readonly helper?: number;
  /** Counts how long a call of `messageHandler` took, in milliseconds, its promise included. */
  messageHandled(milliseconds: number): void;

  // Clients of this helper.

  /**
   * A client has connected. If `socket` was made by the application, the client is in the directory
   * and in the counts, but no publish reaches it.
   */
  addClient(clientId: string, socket: IWebSocket): void;
  /**
   * Authentication is complete: the client is a member of `broadcast` from now on. From now on its
   * socket accepts frames up to `maxPayloadLength`, no longer only up to `maxAuthPayloadLength`.
   */
  finishClient(clientId: string): void;
  /**
   * In one step, so that a publish of another worker reaches the client exactly once: its
   * subscriptions end, and its memberships, present and future ones, are held. When the helper
   * calls `socket.unsubscribe` afterwards, there is nothing left to end.
   *
   * @returns the epoch that begins with it
   */
  encryptClient(clientId: string): number;
  /**
   * The client is gone, with its memberships, its subscriptions and its entry in the broker. If its
   * socket is still open, it stays open, and has only events that the helper ignores.
   */
  removeClient(clientId: string): void;
  /**
   * The client becomes a member of a room, whose subscription is made by `socket.subscribe`, or of
   * a user, which also subscribes it unless it is encrypted.
   */
  addMember(clientId: string, type: 'room' | 'user', name: string): void;
  /** Undoes `addMember`. */
  removeMember(clientId: string, type: 'room' | 'user', name: string): void;

  /**
   * A client of a helper that ended without reporting it. Each is returned once, to the helper that
   * asks first.
   */
  takeLeftClient(): { readonly clientId: string; readonly userId: string | undefined } | undefined;

  // The directory.

  /** Whether another helper of the instance has this client. */
  isElsewhere(clientId: string): boolean;
  /** Whether the room has a member at any helper. */
  hasRoom(room: string): boolean;
  /** The number of all clients, encrypted or not, in any state. */
  countClients(): number;
  /** The number of all members of the room. */
  countRoom(room: string): number;

  // Sending to clients of any helper.

  /**
   * Reaches every subscriber except the excluded clients, on all workers, without JavaScript. It is
   * also passed on to each *other* helper that has held members in the audience. This helper sends
   * to its own held members itself.
   *
   * @returns the number of helpers that it could not be passed on to, because too much was waiting
   * there
   */
  publish(audience: Audience, frame: string, exclude: readonly string[]): number;
  /**
   * Sends to a client of another helper: directly if it is not encrypted, otherwise through that
   * helper.
   *
   * @returns what `send` of a socket returns: 0 if it was dropped, also because too much was
   * waiting at the other helper
   */
  sendElsewhere(clientId: string, frame: string): number;
  /**
   * Passes an operation on to the helper that has the client.
   *
   * @returns false: dropped, because too much was waiting there
   */
  post(clientId: string, operation: HelperOperation & { readonly op: 'join' | 'leave' }): boolean;

  // Input from Redis through a client of the application.

  /**
   * Whether this helper subscribes for the instance. The first one that asks does, until it leaves.
   * Then `takeInput` of the next one that has asked is called. Not used with the native bus, which
   * belongs to the instance.
   */
  claimInput(): boolean;
  /**
   * To be called by the helper that subscribes. It reaches `inputState` of every helper of the
   * instance, including this one.
   */
  setInputState(state: TWebSocketBusState): void;
  /** The present state. */
  readonly inputState: TWebSocketBusState;
}

/** The options of the helper with their defaults, as far as a transport needs them. */
export interface TransportOptions {
  readonly identifier: string;
  readonly path: string;
  readonly bind: string | undefined;
  /** All keys that a handler for Bun has; those without a value are undefined. */
  readonly serverOptions: Readonly<
    Required<{ [K in keyof IBunWebSocketConfig]: IBunWebSocketConfig[K] | undefined }>
  >;
  /** What the application gave as `serverOptions`, without defaults. It precedes `native`. */
  readonly givenServerOptions: Readonly<IBunWebSocketConfig>;
  /** All options of the helper. The transport uses those of `TNativeOptions`. */
  readonly native: TNativeOptions;
  readonly maxAuthPayloadLength: number;
  /** There is an `outboundTransformer`, so clients may be encrypted. */
  readonly encrypts: boolean;
  /**
   * What must be the same within an instance: the kind of `redisConnection` and, with the native
   * bus, its options. Compared as text.
   */
  readonly redisForm: string;
}

export interface Transport {
  /** Whether sockets are native: publishes go through the instance, and a duplicate is closed. */
  readonly native: boolean;
  /** The instance, between `join` and `leave`. With Bun there is none. */
  readonly instance: Instance | undefined;
  /**
   * Checks the options of this transport, and joins the instance. If it rejects, nothing is left.
   * The helper has joined when this returns: a second helper of this thread that is configured
   * meanwhile gets its conflict.
   */
  join(host: TransportHost): Promise<void>;
  /** Opens the address, or the path on a shared one. */
  open(): Promise<void>;
  /** Undoes `join` and `open`. Does not reject. */
  leave(): Promise<void>;
  /** Accepts no more connections. Does not wait. */
  stopAccepting(): void;
  /**
   * Lets outgoing data be sent for at most 5000 ms, closes the listener, and leaves, when the
   * clients are gone. Does not reject. It may be called if nothing was opened or joined, and while
   * `join` or `open` is under way: their outcome no longer matters, but must leave nothing behind.
   */
  finish(): Promise<void>;
  /**
   * Publishes to all subscribers of a topic here. Not used if there is an instance.
   */
  publish(topic: string, frame: string): void;
  address(): { address: string; port: number; url: string; endpoint: string } | undefined;
  /**
   * How many messages to clients of this helper have been dropped on their way since it was
   * constructed, without any call having reported it: publishes, and messages of other instances.
   * 0 with Bun, where it is unknown. `again`: `host.dropped` is called for the next one.
   */
  dropped(again: boolean): number;
}
