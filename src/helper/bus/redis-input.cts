import { WSBrokerError } from '../../errors.cjs';
import { within } from '../../promises.cjs';
import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import { LIMITS } from '../protocol.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger, TWebSocketBusState } from '../types.cjs';
import type { BusStateReporter } from './bus-state-reporter.cjs';
import type { Bus } from './bus.cjs';
import type { EnvelopeRelay } from './envelope-relay.cjs';

/** How long after a failed take-over of the input the next try comes, in ms. */
const TAKE_AGAIN_AFTER = 1000;

/** What the input is made of. */
export interface RedisInputParts {
  readonly scope: string;
  readonly life: HelperLifecycle;
  readonly bus: Bus;
  readonly relay: EnvelopeRelay;
  readonly states: BusStateReporter;
  readonly log: IWebSocketLogger;
  instance(): Instance | undefined;
}

/**
 * What comes from Redis: one helper subscribes for all of the instance, and another when that one
 * ends. With the publisher it is the state of the bus.
 */
export class RedisInput {
  readonly #parts: RedisInputParts;
  /** This helper subscribes to Redis, for itself or for its instance. */
  #leads = false;
  #takeAgain: NodeJS.Timeout | undefined;
  /** Ends the wait for the helper that subscribes for the instance. */
  #isReady: () => void = () => undefined;

  constructor(parts: RedisInputParts) {
    this.#parts = parts;
  }

  /** Subscribes, or waits for the helper that does. */
  async open(instance: Instance | undefined): Promise<void> {
    const { bus } = this.#parts;
    this.#leads = instance === undefined || (!bus.instanceWide && instance.claimInput());
    if (this.#leads) await bus.subscribe();
    else if (instance !== undefined) await this.#others(instance);
  }

  /** What `open` has done does not hold: `configure()` was rejected. */
  undo(): void {
    clearTimeout(this.#takeAgain);
    this.#leads = false;
  }

  /** Nothing is waited for, or tried again. */
  end(): void {
    clearTimeout(this.#takeAgain);
    this.#isReady();
  }

  /**
   * The helper that subscribes for the instance may not have done so yet: configured means that
   * what is published from then on comes here, too.
   */
  async #others(instance: Instance): Promise<void> {
    if (instance.inputState === 'ready') return;
    const ready = new Promise<void>((resolve) => (this.#isReady = resolve));
    if (await within(LIMITS.redisReady, ready)) return;
    throw new WSBrokerError(
      'ERR_WSBROKER_BUS_LOST',
      `[${this.#parts.scope}] no helper of the instance has subscribed to Redis within ${LIMITS.redisReady}ms`,
    );
  }

  received(text: string): void {
    // A helper that does not subscribe (any more) hears nothing.
    if (this.#leads && !this.#parts.life.ended) this.#parts.relay.receive(text);
  }

  busChanged(): void {
    const instance = this.#parts.instance();
    const input = this.#parts.bus.subscriberReady ? 'ready' : 'lost';
    // That comes back as `inputState`.
    if (instance !== undefined && this.#leads && instance.inputState !== input)
      instance.setInputState(input);
    this.update();
  }

  /** The instance's input is in this state now. */
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

  /** The one that subscribed for the instance has ended. */
  take(): void {
    const { bus, life, log } = this.#parts;
    if (life.ended) return;
    this.#leads = true;
    bus.subscribe().catch((error: unknown) => {
      if (life.ended || !this.#leads) return;
      log.error(`subscribing to Redis failed; again in ${TAKE_AGAIN_AFTER} ms`, error);
      this.#takeAgain = setTimeout(() => this.take(), TAKE_AGAIN_AFTER);
      this.#takeAgain.unref?.();
    });
  }
}
