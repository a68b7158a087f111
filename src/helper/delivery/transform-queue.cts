import type { Message } from './message.cjs';

// What waits for the transformer: each client has a line, so that its messages stay in order; each
// send to many has a window, so that not all run at once.

/** First in, first out, without the cost of `shift` on a long array. */
class Fifo<T> {
  #items: (T | undefined)[] = [];
  #from = 0;

  get isEmpty(): boolean {
    return this.#items.length === this.#from;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#from];
    if (item === undefined) return undefined;
    this.#items[this.#from++] = undefined;
    if (
      this.#from === this.#items.length ||
      (this.#from > 1024 && this.#from * 2 > this.#items.length)
    ) {
      this.#items = this.#items.slice(this.#from);
      this.#from = 0;
    }
    return item;
  }
}

/** How many runs of one send may be in flight. */
export class ConcurrencyLimit {
  readonly #limit: number;
  readonly #waiting = new Fifo<() => void>();
  #inFlight = 0;
  #filling = false;

  /** Below 1, and what is no number, is 1. */
  constructor(limit: number) {
    this.#limit = limit >= 1 ? Math.floor(limit) : 1;
  }

  /** Takes a slot, if there is one. */
  enter(): boolean {
    if (this.#inFlight >= this.#limit) return false;
    this.#inFlight++;
    return true;
  }

  /** `run` is called, with a slot taken for it, when there is one. */
  wait(run: () => void): void {
    this.#waiting.push(run);
  }

  leave(): void {
    this.#inFlight--;
    // A run that ends at once comes back here: one loop for all, or a thousand of them would fill
    // the stack.
    if (this.#filling) return;
    this.#filling = true;
    while (this.#inFlight < this.#limit) {
      const run = this.#waiting.shift();
      if (run === undefined) break;
      this.#inFlight++;
      run();
    }
    this.#filling = false;
  }
}

/** The helper, as a line sees it. */
export interface TransformQueueHost {
  /** Bytes that may wait. */
  readonly maxPending: number;
  /** The client is still there. */
  isHere(): boolean;
  /** Transforms and sends; `settled` is called once, at once or later. Does not throw. */
  run(message: Message, settled: () => void): void;
  dropped(message: Message): void;
}

interface Waiting {
  readonly message: Message;
  readonly window: ConcurrencyLimit | undefined;
  readonly size: number;
}

/**
 * The messages of one client that pass the transformer: one at a time, in the order of the calls.
 */
export class TransformQueue {
  readonly #host: TransformQueueHost;
  readonly #waiting = new Fifo<Waiting>();
  /** Bytes of all that waits, for its turn or for a slot. */
  #pending = 0;
  #busy = false;
  #advancing = false;

  constructor(host: TransformQueueHost) {
    this.#host = host;
  }

  /** Runs at once if nothing is before it and there is a slot. */
  push(message: Message, window: ConcurrencyLimit | undefined): void {
    // Not busy, and yet something waits: `settled` is about to start that.
    const behind = this.#busy || !this.#waiting.isEmpty;
    if (!behind && (window === undefined || window.enter())) {
      this.#run(message, window);
      return;
    }
    const { size } = message;
    if (this.#pending + size > this.#host.maxPending) {
      this.#host.dropped(message);
      return;
    }
    this.#pending += size;
    const item = { message, window, size };
    if (behind) this.#waiting.push(item);
    else this.#waitForSlot(item);
  }

  /** Its turn has come, and there is no slot. */
  #waitForSlot(item: Waiting): void {
    this.#busy = true;
    item.window?.wait(() => {
      this.#pending -= item.size;
      this.#run(item.message, item.window);
    });
  }

  /** With its turn come and a slot taken. */
  #run(message: Message, window: ConcurrencyLimit | undefined): void {
    this.#busy = true;
    const settled = (): void => {
      this.#busy = false;
      window?.leave();
      this.#advance();
    };
    if (this.#host.isHere()) this.#host.run(message, settled);
    else settled();
  }

  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (!this.#busy) {
      const item = this.#waiting.shift();
      if (item === undefined) break;
      // Of one that has gone nothing is worth a slot.
      if (item.window !== undefined && this.#host.isHere() && !item.window.enter()) {
        this.#waitForSlot(item);
        break;
      }
      this.#pending -= item.size;
      if (this.#host.isHere()) this.#run(item.message, item.window);
    }
    this.#advancing = false;
  }
}
