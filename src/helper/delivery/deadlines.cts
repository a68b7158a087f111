/**
 * Deadlines of tasks that all have the same time limit. They share one timer, which does not keep
 * the process alive.
 */
export class Deadlines {
  readonly #step: number;
  /** Tasks since the last tick, and older ones, which are late at the next tick. */
  #young = new Set<() => void>();
  #old = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param limit the longest time, in milliseconds; the actual limit is between half of it and all
   * of it
   */
  constructor(limit: number) {
    this.#step = limit / 2;
  }

  /** Calls `late`, once, unless the returned function is called in time. */
  begin(late: () => void): () => void {
    this.#young.add(late);
    this.#arm();
    return () => void (this.#young.delete(late) || this.#old.delete(late));
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => this.#tick(), this.#step);
    this.#timer.unref?.();
  }

  #tick(): void {
    this.#timer = undefined;
    const late = this.#old;
    this.#old = this.#young;
    this.#young = new Set();
    for (const one of late) one();
    if (this.#old.size + this.#young.size > 0) this.#arm();
  }
}
