import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger } from '../types.cjs';

// The seam to Redis. `bus-clients.cts` implements it on clients of the application (forms a and b
// of `redisConnection`), `bus-native.cts` on the broker's own (form c). What stands in the messages
// is the business of `envelope.cts`; a bus carries text.
//
// With the native transport and the native bus the two know each other behind this seam: a message
// from Redis whose audience has no held members anywhere never comes to JavaScript, and of the rest
// the instance posts `{ op: 'publish' | 'send' }` to the helpers concerned. `received` is then
// never called.

/** Which connections there are: an emitter has one, to publish. */
export type BusRole = 'server' | 'emitter';

/** The helper or emitter, as its bus sees it. None of these throws. */
export interface BusHost {
  readonly scope: string;
  readonly logger: IWebSocketLogger;
  /** Envelopes that bear it are ours: a bus that can tell need not hand them over. */
  readonly serverId?: string;
  /**
   * Text from a channel that we subscribe to: an envelope, or anything else. It is delivered before
   * this returns.
   */
  received(text: string): void;
  /**
   * `publisherReady` or `subscriberReady` has changed. Called for each change, after it, in order.
   */
  changed(): void;
}

/** Counted since construction; not what `publish` tells by `failed`. */
export interface BusCounts {
  /** Messages that came and do not follow the protocol, as far as the bus itself has found out. */
  readonly invalid: number;
  /** Messages that came and were dropped, since too many were waiting for JavaScript. */
  readonly dropped: number;
}

export interface Bus {
  /**
   * What must agree within an instance, as text: the form, and with the native bus its options.
   * Passwords go in as a hash.
   */
  readonly form: string;
  /**
   * Where there is an instance, it brings that the input itself, and tells it its state: the logic
   * neither claims the input nor calls `subscribe` then.
   */
  readonly instanceWide: boolean;
  /** The connection for publishing answers. False before `connect` has resolved. */
  readonly publisherReady: boolean;
  /**
   * Subscribed, and confirmed, and not lost since. Not for emitters, and false for a helper that
   * does not subscribe.
   */
  readonly subscriberReady: boolean;

  /**
   * 3.1 to 3.3: resolves when all connections are ready. Called again after it has rejected.
   * `instance`: the native transport's, which the native bus serves as a whole: then it is the
   * instance's bus, and tells `instance` its state.
   */
  connect(host: BusHost, instance: Instance | undefined): Promise<void>;
  /**
   * 3.4: resolves when all four subscriptions are confirmed; they are made again after each loss,
   * before `subscriberReady`.
   */
  subscribe(): Promise<void>;

  /**
   * Publishes, and does not wait. It is handed over before this returns. If it does not get there
   * `failed` is called, once, perhaps at once: with a `WSBrokerError` `ERR_WSBROKER_BUS_LOST` where
   * it was *refused* (the publisher is lost, or too much is waiting), with any other error where it
   * *failed*. Never throws.
   */
  publish(channel: string, text: string, failed: (error: unknown) => void): void;
  /**
   * Publishes for an emitter: resolves when Redis has it. Rejects with `ERR_WSBROKER_BUS_LOST` at
   * once while the publisher is lost.
   */
  request(channel: string, text: string): Promise<void>;

  counts(): BusCounts;
  /**
   * Ends all connections, in at most 5000 ms, and everything that would keep the process alive.
   * Does not reject; failures are logged. Called once.
   */
  close(): Promise<void>;
}
