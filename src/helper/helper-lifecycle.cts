import { WSBrokerError } from '../errors.cjs';
import { reportError } from '../report.cjs';

/**
 * `configure()` and `shutdown()`: each runs once, `configure()` can be tried again after it has
 * failed, and `shutdown()` ends a `configure()` that is under way.
 */
export class HelperLifecycle {
  readonly #scope: string;
  #configuring: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  /** Ends a `configure()` that is under way. */
  #abort: (() => void) | undefined;

  constructor(scope: string) {
    this.#scope = scope;
  }

  get ended(): boolean {
    return this.#ending !== undefined;
  }

  shutDownError(): WSBrokerError {
    return new WSBrokerError('ERR_WSBROKER_SHUT_DOWN', `[${this.#scope}] has been shut down`);
  }

  /** @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN */
  check(): void {
    if (this.ended) throw this.shutDownError();
  }

  /**
   * `steps` start before this returns. After a rejection and its `undo` it can be called again.
   * After `shutdown` there is nothing left to undo.
   */
  configure(steps: () => Promise<void>, undo: () => Promise<void>): Promise<void> {
    if (this.ended) return Promise.reject(this.shutDownError());
    return (this.#configuring ??= this.#try(steps, undo));
  }

  async #try(steps: () => Promise<void>, undo: () => Promise<void>): Promise<void> {
    const aborted = new Promise<never>((_, reject) => {
      this.#abort = () => reject(this.shutDownError());
    });
    try {
      await Promise.race([aborted, steps()]);
    } catch (error) {
      if (!this.ended) await undo();
      this.#configuring = undefined;
      throw error;
    } finally {
      this.#abort = undefined;
    }
  }

  /**
   * Returns the same promise each time, which does not reject. `end` starts before this returns,
   * and may call it again.
   */
  shutdown(end: () => Promise<void>): Promise<void> {
    if (this.#ending !== undefined) return this.#ending;
    let done: (() => void) | undefined;
    const ending = (this.#ending = new Promise<void>((resolve) => (done = resolve)));
    this.#abort?.();
    end()
      .catch((error: unknown) => reportError(`the shutdown of ${this.#scope} failed`, error))
      .finally(() => done?.());
    return ending;
  }
}
