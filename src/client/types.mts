// What a program sees of a client. Nothing here needs the types of Node or of the DOM.

import type { AbortSignal, ArrayBufferView, URL } from '../ambient.cjs';
import type { Position, Since } from '../types/history.cjs';

/** Where a client connects to: `ws:`, `wss:`, `http:` or `https:`; in a page also relative. */
export type ClientUrl = string | URL;

/** Options of {@link connect}. */
export interface ClientOptions {
  /**
   * Returns the token that the server's `authorize` is given. It is called before every attempt to
   * connect, so that a token may expire, and travels in the first message, never in the URL. If it
   * throws, the client tells `error` and tries again later. At most 8 KiB. @default no token
   */
  readonly token?: (() => string | Promise<string>) | undefined;
  /** How long the client waits between two attempts. */
  readonly backoff?: BackoffOptions | undefined;
}

/**
 * The wait before an attempt: `min`, doubled with every attempt that failed, up to `max`. A
 * connection that lasted for 10 s ends the doubling. A server that asks for a wait, by
 * `retry-after=SECONDS` in the reason of the close frame, whatever the code, is waited for that
 * long, up to an hour, and a random part of `min` more.
 */
export interface BackoffOptions {
  /** Milliseconds, 1 to 2^31-1. @default 500 */
  readonly min?: number | undefined;
  /** Milliseconds, `min` to 2^31-1. @default 20000 */
  readonly max?: number | undefined;
  /**
   * Which part of the wait is random, 0 to 1. With 1 ("full jitter") the clients of a server that
   * comes back are spread over the whole wait. @default 1
   */
  readonly jitter?: number | undefined;
}

/**
 * `connecting`: an attempt is under way. `open`: the server has welcomed the client. `waiting`: for
 * the next attempt. `closed`: by {@link Client.close}, for good.
 */
export type ClientState = 'connecting' | 'open' | 'waiting' | 'closed';

/** What the listeners of a client get, by the name of the event. */
export interface ClientEvents {
  /** The client's state has changed. */
  state: ClientStateChange;
  /** The server sent something to this client with `sendMessage`: any JSON value. */
  message: unknown;
  /**
   * Something went wrong that no call can tell: a handler threw, `token` or `getState` failed, the
   * server refused a channel that has no `onEnd`, or sent what is not of the protocol. The client
   * goes on. Without a listener it is given to `reportError`, or printed where there is none.
   */
  error: unknown;
}

/** A client's new state. */
export interface ClientStateChange {
  readonly state: ClientState;
  /** Of `waiting`: when the next attempt begins, in milliseconds since 1970. */
  readonly retryAt?: number;
  /** Of `waiting`: how the last connection ended. 1006 without a close frame. */
  readonly code?: number;
  /** Of `waiting`: the reason in the close frame, or what the client found wrong. */
  readonly reason?: string;
}

/** A message of a channel. */
export interface ChannelMessage {
  readonly channel: string;
  /** Its number in the channel. It grows, and jumps over messages that exclude this client. */
  readonly offset: number;
  /** A string if it was published as text, otherwise its bytes. */
  readonly data: string | Uint8Array;
}

/** Says from where a channel goes on. */
export interface ChannelPosition {
  readonly channel: string;
  /** The next message is the first one behind this position. */
  readonly position: Position;
}

/** What `getState` is given. */
export interface StateRequest extends ChannelPosition {
  /** Aborted when this state is no longer wanted: it would be too old, or nobody listens now. */
  readonly signal: AbortSignal;
}

/**
 * Why a subscription has ended without being asked to. `forbidden`: the server's `authorize` does
 * not let this client have the channel, or no longer, or the channel has no history. `limit`: the
 * client has too many channels, or the name is too long.
 */
export type SubscriptionEnd = 'forbidden' | 'limit';

/** Options of {@link Client.subscribe}. */
export interface SubscribeOptions {
  /** Called with every message, once and in order. What it returns is not awaited. */
  readonly onMessage: (message: ChannelMessage) => void;
  /**
   * Called when messages are gone that this client should have got: it was away for too long, reads
   * too slowly, or the server has begun anew. `getState` is called next.
   */
  readonly onLost?: ((lost: ChannelPosition) => void) | undefined;
  /**
   * Reads the state of what the channel is about and shows it: at the start, unless there is a
   * `since`, and again after a loss. Messages behind `position` wait until its promise resolves.
   * What was published while the state was read may be in the state and come as a message too. If
   * it fails, the client tells `error` and calls it again, with the waits of `backoff`. Two calls
   * for one channel never overlap.
   */
  readonly getState?: ((request: StateRequest) => unknown) | undefined;
  /** Called when the subscription has ended without `unsubscribe` or `close`. */
  readonly onEnd?: ((reason: SubscriptionEnd) => void) | undefined;
  /**
   * Where to begin: a position that was kept, `'now'`, or `'latest'`, the newest message and what
   * follows. With `'latest'` a reconnect brings the newest message only. @default what the server's
   * `authorize` says, otherwise `'now'`
   */
  readonly since?: Since | undefined;
}

/** A channel that a client listens to. */
export interface Subscription {
  readonly channel: string;
  /**
   * Behind the last message that `onMessage` was called with: to be kept, and given as `since` in
   * another life of the page. `undefined` before the start, and while `getState` is under way.
   */
  readonly position: Position | undefined;
  /** As {@link Client.unsubscribe}. */
  unsubscribe(): void;
}

/** Options of {@link Client.publish}. */
export interface ClientPublishOptions {
  /**
   * Makes the publish repeatable, also by another life of the page: 1 to 64 visible ASCII
   * characters. A message with the same id within 5 minutes is not delivered again.
   *
   * @default a random one
   */
  readonly id?: string | undefined;
  /**
   * After how many milliseconds to give up, 1 to 2^31-1. @default never: it waits for the network
   */
  readonly timeout?: number | undefined;
}

/** Options of {@link Client.request}. */
export interface RequestOptions {
  /** After how many milliseconds to give up, 1 to 2^31-1. @default 30000 */
  readonly timeout?: number | undefined;
}

/** What became of a publish. */
export interface ClientReceipt {
  /** Where the message is in the channel. */
  readonly position: Position | undefined;
  /** Whether it was there already, by an earlier attempt with the same id. */
  readonly duplicate: boolean;
}

/** What can be published: text, or bytes. */
export type PublishData = string | ArrayBuffer | ArrayBufferView;

/** A connection that comes back by itself: see {@link connect}. */
export interface Client {
  readonly state: ClientState;
  /**
   * Listens to a channel with history, also across reconnects. A channel that the server cannot
   * give at the moment is asked for again, with the waits of `backoff`.
   *
   * @throws {TypeError} an option is not what it should be
   * @throws {ClientError} the client listens to the channel already (`error`), or is `closed`
   */
  subscribe(channel: string, options: SubscribeOptions): Subscription;
  /** Ends a subscription, if there is one: `onMessage` is not called again. */
  unsubscribe(channel: string): void;
  /**
   * Publishes to a channel, if the server's `authorize` allows it. Resolves when the server has
   * stored the message. While there is no connection it waits, and after a lost one the message is
   * sent again with the same id, so it is delivered once. At most 1,000 publishes and requests wait
   * at a time; up to 64 of them are on their way.
   *
   * @throws {TypeError} an argument is not what it should be
   * @throws {ClientError} see its `reason`
   */
  publish(channel: string, data: PublishData, options?: ClientPublishOptions): Promise<ClientReceipt>;
  /**
   * Asks the server's `handleRequest`, and resolves with its answer. A request that was sent is
   * never sent again: if the connection is lost before the answer, it rejects as `unknown`.
   *
   * @throws {TypeError} an argument is not what it should be
   * @throws {ClientError} see its `reason`
   */
  request(data: unknown, options?: RequestOptions): Promise<unknown>;
  /** Calls the listener at every such event, until the returned function is called. */
  on<Name extends keyof ClientEvents>(
    name: Name,
    listener: (detail: ClientEvents[Name]) => void,
  ): () => void;
  /**
   * Ends the connection with 1000 and everything else, for good. What was sent and not answered
   * rejects as `unknown`, what was not sent as `closed`.
   */
  close(): void;
}
