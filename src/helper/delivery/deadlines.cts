/**
 * Things that must all end within the same time limit. One timer serves all of them, and does not
 * keep the process alive.
 */
export class Deadlines {
  readonly #step: number;
  /** Begun since the last step, and those before: these are late at the next one. */
  #young = new Set<() => void>();
  #old = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  /** `limit` is the longest time, in ms; the actual time is between half of it and all of it. */
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
