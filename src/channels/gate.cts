/** Lets a number of tasks in at a time; the others wait in their order. */
export class Gate {
  readonly #width: number;
  #inside = 0;
  #waiting: (() => void)[] = [];
  /** The first that still waits. */
  #next = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /** `undefined`: it is in at once. Each must {@link leave} when it is done. */
  enter(): Promise<void> | undefined {
    if (this.#inside < this.#width) {
      this.#inside++;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting[this.#next];
    if (next === undefined) {
      this.#inside--;
      return;
    }
    this.#next++;
    if (this.#next * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#next);
      this.#next = 0;
    }
    next();
  }
}
