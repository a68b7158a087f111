import { callApplication } from '../callbacks.cjs';
import type { IWebSocketLogger, TWebSocketBusState } from '../types.cjs';

/**
 * Calls `busStateFn` for each change of the bus, once and in order, from the end of `configure()`
 * until `shutdown()`.
 */
export class BusStateReporter {
  readonly #fn: ((state: TWebSocketBusState) => void) | undefined;
  readonly #log: IWebSocketLogger;
  #state: TWebSocketBusState | 'idle' = 'idle';
  readonly #queue: TWebSocketBusState[] = [];
  #reporting = false;

  constructor(fn: ((state: TWebSocketBusState) => void) | undefined, log: IWebSocketLogger) {
    this.#fn = fn;
    this.#log = log;
  }

  get state(): TWebSocketBusState | 'idle' {
    return this.#state;
  }

  /** The helper is configured, which counts as `ready` whatever comes next. */
  begin(): void {
    this.#state = 'ready';
    this.#report('ready');
  }

  update(state: TWebSocketBusState): void {
    if (this.#state === 'idle' || this.#state === state) return;
    this.#state = state;
    if (state === 'lost') this.#log.warn('Redis is lost');
    else this.#log.info('Redis is ready again');
    this.#report(state);
  }

  end(): void {
    this.#state = 'idle';
    this.#queue.length = 0;
  }

  /** One after the other, even if a change comes during a call of the application. */
  #report(state: TWebSocketBusState): void {
    const fn = this.#fn;
    if (fn === undefined) return;
    this.#queue.push(state);
    if (this.#reporting) return;
    this.#reporting = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const reported = next;
      callApplication(
        () => fn(reported),
        () => undefined,
        (error) => this.#log.error('busStateFn failed', error),
      );
    }
    this.#reporting = false;
  }
}
