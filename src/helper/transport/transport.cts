import type {
  IBunWebSocketConfig,
  IBunWebSocketHandler,
  IWebSocket,
  IWebSocketLogger,
  TNativeOptions,
  TWebSocketBusState,
} from '../types.cjs';

// The seam between the logic and the code that has the sockets. `bun.cts` and `native.cts`
// implement `Transport`; only the native one has an `Instance`: what the helpers of one identifier
// in one process share (section C of the specification).
//
// Who does what, natively:
//
//   the dispatcher    calls `host.handler` (the functions of `getBunWebSocketHandler()`) with one `IWebSocket` object per socket: open, message, close, drain, in order
//   a socket          is as section B says. `subscribe`, `unsubscribe` and `isSubscribed` are about channels of the kind `room`; they change what `publish` reaches,
//                     and no membership
//   the logic         says of each of its clients what happens to it (`addClient` … `removeClient`), at the moment at which its own tables change, and never twice
//   the instance      keeps from that the directory of all workers (who has a client, what rooms have members, the counts) and the *held* memberships: those of
//                     encrypted clients, to which no publish goes, but whose owners are told of it
//
// Everything here is synchronous unless it returns a promise, and takes effect in the order of the
// calls of a thread: a `publish` after a `subscribe` reaches the subscriber, a `send` after a
// `publish` arrives behind it. The logic calls nothing of an instance before `join` has resolved or
// after `leave`.

/**
 * A set of clients. `room`: by the name of the room or a client's id. `user`: by user id.
 * `broadcast`: all that are finished; the name is ''.
 */
export type AudienceType = 'room' | 'user' | 'broadcast';

/**
 * What a publish goes to. Natively `broadcast` is the channel `ws:internal:broadcast` of the kind
 * `room`; for the held it is every encrypted client that is finished.
 */
export interface Audience {
  readonly type: AudienceType;
  readonly name: string;
}

/**
 * What one helper hands to another of its instance, by way of the native side: in order per sender,
 * at most 16 MiB waiting at one owner. Plain data. `frame` is the JSON text of `{ event, data }`.
 */
export type HelperOperation =
  /**
   * A publish, to a helper that has held members there. Also what the native bus could not deliver
   * without JavaScript. `epoch` says when it was published: members that have been held since a
   * later one received it directly.
   */
  | {
      readonly op: 'publish';
      readonly audience: Audience;
      readonly frame: string;
      readonly exclude: readonly string[];
      readonly epoch: number;
    }
  /** `sendToClient`, to the owner of a client that is encrypted. */
  | { readonly op: 'send'; readonly clientId: string; readonly frame: string }
  /** `joinRoom` and `leaveRoom`, to the owner of the client, encrypted or not. */
  | { readonly op: 'join' | 'leave'; readonly clientId: string; readonly room: string };

/** The helper, as its transport and its instance see it. None of these throws. */
export interface TransportHost {
  readonly identifier: string;
  readonly logger: IWebSocketLogger;
  /** What sockets report to. The functions are looked up at each event. */
  readonly handler: IBunWebSocketHandler;
  /**
   * Does what another helper of the instance (or the native bus) has asked for, before it returns.
   * Clients that are no longer here are skipped.
   */
  receive(operation: HelperOperation): void;
  /**
   * The instance's input from Redis is ready or lost: told to every configured helper of the
   * instance, once for each change, in order.
   */
  inputState(state: TWebSocketBusState): void;
  /**
   * This helper is to subscribe to Redis for the instance: the one that did has ended. Before that
   * the instance has told all, this one included, `inputState('lost')`. The helper subscribes, then
   * calls `setInputState('ready')`.
   */
  takeInput(): void;
  /**
   * A helper of the instance has ended without reporting its clients: `takeLeftClient` of the
   * instance hands them out.
   */
  clientsLeft(): void;
  /** Messages to clients of this helper were dropped. Not told again before `dropped(true)`. */
  dropped(): void;
}

/** What the helpers of one identifier in one process share. */
export interface Instance {
  /** The one of the instance; the same for all its helpers. */
  readonly serverId: string;

  // What happens to the clients of this helper

  /**
   * A client is there. `socket` may be one that the application made: then it is in the directory
   * and in the counts, and no publish reaches it.
   */
  addClient(clientId: string, socket: IWebSocket): void;
  /**
   * Authenticated, and a member of `broadcast` from now on. Its socket takes frames up to
   * `maxPayloadLength`; before it was `maxAuthPayloadLength`.
   */
  finishClient(clientId: string): void;
  /**
   * In one step, so that a publish from another worker reaches it exactly once: its subscriptions
   * end, and its memberships, those that there are and those that come, are held. The
   * `socket.unsubscribe` of its channels, which the logic calls then, find nothing any more.
   *
   * @returns the epoch that begins with it
   */
  encryptClient(clientId: string): number;
  /**
   * Gone: with it go its memberships, its subscriptions and its place in the broker. The socket, if
   * it is still open, stays so, and has no more events but those the logic ignores.
   */
  removeClient(clientId: string): void;
  /**
   * It is a member of a room (counted and found; the subscription is made by `socket.subscribe`),
   * or of a user (subscribed, too, unless encrypted).
   */
  addMember(clientId: string, type: 'room' | 'user', name: string): void;
  /** The reverse. */
  removeMember(clientId: string, type: 'room' | 'user', name: string): void;

  /**
   * A client of a helper that ended without reporting it. Each is handed out once, to whichever
   * helper asks first.
   */
  takeLeftClient(): { readonly clientId: string; readonly userId: string | undefined } | undefined;

  // Directory

  /**
   * Whether another helper of the instance has this client. That of this helper is known to the
   * logic.
   */
  isElsewhere(clientId: string): boolean;
  /** Whether the room has a member, at any helper. */
  hasRoom(room: string): boolean;
  /** All clients, encrypted or not, in any state. */
  countClients(): number;
  /** All members. */
  countRoom(room: string): number;

  // To clients of any helper

  /**
   * Reaches every subscriber but the excluded clients, on all workers, without JavaScript; and
   * posts to each *other* helper that has held members in the audience. This helper's own held ones
   * are served by the logic.
   *
   * @returns to how many helpers it could not be posted, since too much was waiting there
   */
  publish(audience: Audience, frame: string, exclude: readonly string[]): number;
  /**
   * To a client of another helper: natively if it is unencrypted, posted to its owner otherwise.
   *
   * @returns as the `send` of a socket: 0 if it was dropped, also since too much was waiting at the
   * owner
   */
  sendElsewhere(clientId: string, frame: string): number;
  /**
   * To the owner of a client of another helper. False: dropped, since too much was waiting there.
   */
  post(clientId: string, operation: HelperOperation & { readonly op: 'join' | 'leave' }): boolean;

  // Input from Redis, in forms a and b of `redisConnection`

  /**
   * Whether this helper subscribes for the instance: the first one that asks does, until it leaves.
   * Then `takeInput` of the next one that has asked is called. Not asked with the native bus, which
   * is the instance's own.
   */
  claimInput(): boolean;
  /**
   * By the one that subscribes; it reaches `inputState` of every helper of the instance, also of
   * the caller.
   */
  setInputState(state: TWebSocketBusState): void;
  /** How it is now. */
  readonly inputState: TWebSocketBusState;
}

/** What the helper was constructed with, defaults filled in, as far as a transport needs it. */
export interface TransportOptions {
  readonly identifier: string;
  readonly path: string;
  readonly bind: string | undefined;
  /** With the keys that section 13 wants; those that were erased are undefined. */
  readonly serverOptions: Readonly<
    Required<{ [K in keyof IBunWebSocketConfig]: IBunWebSocketConfig[K] | undefined }>
  >;
  /** What the application gave as `serverOptions`, before defaults: it goes before `native`. */
  readonly givenServerOptions: Readonly<IBunWebSocketConfig>;
  /** All options of the helper; the transport looks at those of `TNativeOptions`. */
  readonly native: TNativeOptions;
  readonly maxAuthPayloadLength: number;
  /** There is an `outboundTransformer`: clients may be encrypted. */
  readonly encrypts: boolean;
  /**
   * What must agree within an instance: the form of `redisConnection`, and with the native bus its
   * options. Compared as text.
   */
  readonly redisForm: string;
}

export interface Transport {
  /** Sockets are native: publishes go through the instance, and a duplicate is closed. */
  readonly native: boolean;
  /**
   * The shared part, between `join` and `leave`. With Bun there is none: each helper is its own
   * instance.
   */
  readonly instance: Instance | undefined;
  /**
   * First of `configure()`: checks the options of this transport, and joins the instance. Rejects
   * as sections B and C say; nothing is left then. The place is taken before it returns (a second
   * helper of this thread that is configured meanwhile gets its conflict).
   */
  join(host: TransportHost): Promise<void>;
  /** Step 5 of `configure()`: opens the address, or the path on a shared one. */
  open(): Promise<void>;
  /** Undoes `join` and `open`. Does not reject. */
  leave(): Promise<void>;
  /** First of `shutdown()`, which is not awaited there: no new connections. */
  stopAccepting(): void;
  /**
   * Late in `shutdown()`, when the clients are gone: lets outboxes flush for at most 5000 ms,
   * closes the listener, leaves. Does not reject. Also where nothing was opened or joined, and
   * while `join` or `open` is under way, whose outcome then interests nobody, but must leave
   * nothing.
   */
  finish(): Promise<void>;
  /**
   * To all subscribers of a topic here. Without anybody to publish it, it does nothing. Not used
   * where there is an instance.
   */
  publish(topic: string, frame: string): void;
  address(): { address: string; port: number; url: string; endpoint: string } | undefined;
  /**
   * Messages to clients of this helper that were dropped on their way since it was constructed, and
   * that no call has reported: publishes, and what comes from other instances. Unknown with Bun.
   * `again`: `host.dropped` is called for the next one.
   */
  dropped(again: boolean): number;
}
