import { WSBrokerError } from '../../errors.cjs';
import { within } from '../../promises.cjs';
import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import { LIMITS } from '../protocol.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger, TWebSocketBusState } from '../types.cjs';
import type { BusStateReporter } from './bus-state-reporter.cjs';
import type { Bus } from './bus.cjs';
import type { EnvelopeRelay } from './envelope-relay.cjs';

/** How many milliseconds after a failed attempt to take over the input the next one follows. */
const RETRY_AFTER = 1000;

/** What the input uses. */
export interface RedisInputParts {
  readonly scope: string;
  readonly lifecycle: HelperLifecycle;
  readonly bus: Bus;
  readonly relay: EnvelopeRelay;
  readonly states: BusStateReporter;
  readonly log: IWebSocketLogger;
  instance(): Instance | undefined;
}

/**
 * Messages from Redis. One helper subscribes for the whole instance, and another one when that
 * helper ends. Also derives the state of the bus, from the input and the publisher.
 */
export class RedisInput {
  readonly #parts: RedisInputParts;
  /** This helper subscribes to Redis, for itself or for its instance. */
  #subscribes = false;
  #retry: NodeJS.Timeout | undefined;
  /** Ends waiting for the helper that subscribes for the instance. */
  #isReady: () => void = () => undefined;

  constructor(parts: RedisInputParts) {
    this.#parts = parts;
  }

  /** Subscribes, or waits for the helper that does. */
  async open(instance: Instance | undefined): Promise<void> {
    const { bus } = this.#parts;
    this.#subscribes = instance === undefined || (!bus.instanceWide && instance.claimInput());
    if (this.#subscribes) await bus.subscribe();
    else if (instance !== undefined) await this.#waitForOther(instance);
  }

  /** Undoes `open`: `configure()` has failed. */
  undo(): void {
    clearTimeout(this.#retry);
    this.#subscribes = false;
  }

  /** Stops waiting and trying again. */
  end(): void {
    clearTimeout(this.#retry);
    this.#isReady();
  }

  /**
   * Waits for the helper that subscribes for the instance, if it has not done so yet: a configured
   * helper receives everything that is published from then on.
   */
  async #waitForOther(instance: Instance): Promise<void> {
    if (instance.inputState === 'ready') return;
    const ready = new Promise<void>((resolve) => (this.#isReady = resolve));
    if (await within(LIMITS.redisReady, ready)) return;
    throw new WSBrokerError(
      'ERR_WSBROKER_BUS_LOST',
      `[${this.#parts.scope}] no helper of the instance subscribed to Redis within ` +
        `${LIMITS.redisReady} ms`,
    );
  }

  received(text: string): void {
    // A helper that does not subscribe (any more) receives nothing.
    if (this.#subscribes && !this.#parts.lifecycle.ended) this.#parts.relay.receive(text);
  }

  busChanged(): void {
    const instance = this.#parts.instance();
    const input = this.#parts.bus.subscriberReady ? 'ready' : 'lost';
    // It comes back as `inputState`.
    if (instance !== undefined && this.#subscribes && instance.inputState !== input) {
      instance.setInputState(input);
    }
    this.update();
  }

  /** The state of the instance's input has changed. */
  changed(state: TWebSocketBusState): void {
    if (state === 'ready') this.#isReady();
    this.update();
  }

  update(): void {
    const { bus, relay, states } = this.#parts;
    states.update(this.#busState());
    if (bus.publisherReady) relay.settle();
  }

  #busState(): TWebSocketBusState {
    const { bus } = this.#parts;
    const input = this.#parts.instance()?.inputState ?? (bus.subscriberReady ? 'ready' : 'lost');
    return bus.publisherReady && input === 'ready' ? 'ready' : 'lost';
  }

  /** The helper that subscribed for the instance has ended: this one takes over. */
  take(): void {
    const { bus, lifecycle, log } = this.#parts;
    if (lifecycle.ended) return;
    this.#subscribes = true;
    bus.subscribe().catch((error: unknown) => {
      if (lifecycle.ended || !this.#subscribes) return;
      log.error(`subscribing to Redis failed; trying again in ${RETRY_AFTER} ms`, error);
      this.#retry = setTimeout(() => this.take(), RETRY_AFTER);
      this.#retry.unref?.();
    });
  }
}
