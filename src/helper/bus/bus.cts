import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger } from '../types.cjs';

// The interface to Redis. `client-bus.cts` implements it with a client of the application,
// `native-bus.cts` with connections of the broker: which one is used depends on `redisConnection`.
// A bus carries text; `envelope.cts` knows what is in it.
//
// The native transport and the native bus know each other: a message from Redis that concerns no
// encrypted client never comes to JavaScript, and of the others the instance sends an operation
// (`publish` or `send`) to the helpers concerned. Then `received` is never called.

/** An emitter has only a connection that publishes. */
export type BusRole = 'server' | 'emitter';

/** What a bus needs of its helper or emitter. Nothing here throws. */
export interface BusHost {
  readonly scope: string;
  readonly logger: IWebSocketLogger;
  /** Envelopes with this id are our own. A bus that can recognize them need not deliver them. */
  readonly serverId?: string;
  /**
   * To be called with each text from a channel that we are subscribed to, whether it is an envelope
   * or not. The text has been delivered when this returns.
   */
  received(text: string): void;
  /**
   * To be called after each change of `publisherReady` or `subscriberReady`, in order.
   */
  changed(): void;
}

/**
 * Counted since construction. Does not include messages for which `publish` has called `failed`.
 */
export interface BusCounts {
  /** Messages from Redis that violate the protocol, as far as the bus itself checks that. */
  readonly invalid: number;
  /** Messages from Redis that were dropped because too many were waiting for JavaScript. */
  readonly dropped: number;
}

export interface Bus {
  /**
   * What must be the same within an instance, as text: the kind of bus and, for the native bus, a
   * hash of its options, which may contain passwords.
   */
  readonly form: string;
  /**
   * Whether it serves a whole instance, and reports the state of its input to the instance. Then
   * the helper neither claims the input nor calls `subscribe`.
   */
  readonly instanceWide: boolean;
  /** Whether the connection that publishes is ready. False before `connect` has resolved. */
  readonly publisherReady: boolean;
  /**
   * Whether it is subscribed, confirmed by Redis, and not lost since. False for emitters, and for a
   * helper that does not subscribe.
   */
  readonly subscriberReady: boolean;

  /**
   * Resolves when all connections are ready. May be called again after it has rejected. The native
   * bus serves `instance` as a whole, and reports its state to it.
   */
  connect(host: BusHost, instance: Instance | undefined): Promise<void>;
  /**
   * Resolves when all four subscriptions are confirmed. They are renewed after each loss, before
   * `subscriberReady`.
   */
  subscribe(): Promise<void>;

  /**
   * Publishes without waiting: the text has been passed on when this returns. If it does not reach
   * Redis, `failed` is called once, perhaps at once. Its error is ERR_WSBROKER_BUS_LOST if the
   * message was *refused* (the publisher is lost, or too much is waiting), and any other error if
   * it *failed*. Never throws.
   */
  publish(channel: string, text: string, failed: (error: unknown) => void): void;
  /**
   * Publishes for an emitter, and resolves when Redis has the message. While the publisher is lost
   * it rejects at once with `ERR_WSBROKER_BUS_LOST`.
   */
  request(channel: string, text: string): Promise<void>;

  counts(): BusCounts;
  /**
   * Ends all connections within 5000 ms, and everything that would keep the process alive. Does not
   * reject; failures are logged. Called once.
   */
  close(): Promise<void>;
}
