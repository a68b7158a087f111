import { callApplication } from '../callbacks.cjs';
import type { IWebSocketLogger, TWebSocketBusState } from '../types.cjs';

/**
 * Tells the application of each change of the bus, once and in order, from the end of `configure()`
 * until `shutdown()`.
 */
export class BusStateReporter {
  readonly #fn: ((state: TWebSocketBusState) => void) | undefined;
  readonly #log: IWebSocketLogger;
  #state: TWebSocketBusState | 'idle' = 'idle';
  readonly #untold: TWebSocketBusState[] = [];
  #telling = false;

  constructor(fn: ((state: TWebSocketBusState) => void) | undefined, log: IWebSocketLogger) {
    this.#fn = fn;
    this.#log = log;
  }

  get state(): TWebSocketBusState | 'idle' {
    return this.#state;
  }

  /** Configured: that is `ready`, whatever comes next. */
  begin(): void {
    this.#state = 'ready';
    this.#tell('ready');
  }

  update(state: TWebSocketBusState): void {
    if (this.#state === 'idle' || this.#state === state) return;
    this.#state = state;
    if (state === 'lost') this.#log.warn('Redis is lost');
    else this.#log.info('Redis is ready again');
    this.#tell(state);
  }

  end(): void {
    this.#state = 'idle';
    this.#untold.length = 0;
  }

  /** One after the other, also if a change comes while the application is being told of one. */
  #tell(state: TWebSocketBusState): void {
    const fn = this.#fn;
    if (fn === undefined) return;
    this.#untold.push(state);
    if (this.#telling) return;
    this.#telling = true;
    for (let next = this.#untold.shift(); next !== undefined; next = this.#untold.shift()) {
      const told = next;
      callApplication(
        () => fn(told),
        () => undefined,
        (error) => this.#log.error('busStateFn failed', error),
      );
    }
    this.#telling = false;
  }
}
