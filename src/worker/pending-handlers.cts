import type { EventKind } from '../native/shared-numbers.cjs';

/** An event that waits for the previous one of its socket. */
export class WaitingEvent {
  next: WaitingEvent | undefined = undefined;

  constructor(
    readonly kind: EventKind,
    readonly slot: number,
    readonly data: unknown,
    /**
     * The close code of a close event; the length of bytes, from which it shows if a handler has
     * transferred them.
     */
    readonly number: number,
    /**
     * The version of its socket's token when it came, and the token epoch in which that is valid.
     */
    readonly token: number,
    readonly epoch: number,
  ) {}
}

/**
 * A handler whose promise is pending. In serial mode the next events of its socket wait here.
 */
export class PendingHandler {
  id = 0;
  kind: EventKind = 0 as EventKind;
  slot = 0;
  /** Only for an open event: the subprotocols that the client offers. */
  offered: readonly string[] = [];
  /** When its handler was called, if that is measured, in milliseconds; otherwise 0. */
  begun = 0;
  /** When it became pending, in ticks of the timer. */
  since = 0;
  /** Whether it is in the table: always in serial mode, otherwise only for open events. */
  serial = false;
  /** `handlerTimeout` has passed: another one has its slot and its waiting events. */
  expired = false;
  /** The next one in its bucket of the table. */
  nextInBucket: PendingHandler | undefined = undefined;
  #head: WaitingEvent | undefined = undefined;
  #tail: WaitingEvent | undefined = undefined;

  // An object is used for one promise after another, so that a promise costs no new closures.
  readonly resolved: (value: unknown) => void;
  readonly rejected: (error: unknown) => void;

  constructor(done: (handler: PendingHandler, failed: boolean, value: unknown) => void) {
    this.resolved = (value) => done(this, false, value);
    this.rejected = (error) => done(this, true, error);
  }

  push(event: WaitingEvent): void {
    if (this.#tail === undefined) this.#head = event;
    else this.#tail.next = event;
    this.#tail = event;
  }

  shift(): WaitingEvent | undefined {
    const event = this.#head;
    if (event === undefined) return undefined;
    this.#head = event.next;
    if (this.#head === undefined) this.#tail = undefined;
    return event;
  }

  /** Moves the waiting events. */
  moveTo(successor: PendingHandler): void {
    successor.#head = this.#head;
    successor.#tail = this.#tail;
    this.clear();
  }

  clear(): void {
    this.#head = undefined;
    this.#tail = undefined;
  }
}

/**
 * Pending handlers by socket. With async handlers every event adds one and removes it again. With a
 * `Map`, in which removed entries pile up until it is copied, that takes almost half of the time of
 * an event (65 of 140 ns). Ids count upwards, so their low bits are a sufficient hash.
 */
export class PendingHandlers {
  size = 0;
  #buckets: (PendingHandler | undefined)[] = new Array<PendingHandler | undefined>(256).fill(
    undefined,
  );
  #mask = 255;

  find(id: number): PendingHandler | undefined {
    let handler = this.#buckets[id & this.#mask];
    while (handler !== undefined && handler.id !== id) handler = handler.nextInBucket;
    return handler;
  }

  add(handler: PendingHandler): void {
    if (this.size > 2 * this.#mask) this.#grow();
    const bucket = handler.id & this.#mask;
    handler.nextInBucket = this.#buckets[bucket];
    this.#buckets[bucket] = handler;
    this.size++;
  }

  remove(handler: PendingHandler): void {
    const bucket = handler.id & this.#mask;
    let before: PendingHandler | undefined;
    for (let one = this.#buckets[bucket]; one !== undefined; before = one, one = one.nextInBucket) {
      if (one !== handler) continue;
      if (before === undefined) this.#buckets[bucket] = handler.nextInBucket;
      else before.nextInBucket = handler.nextInBucket;
      handler.nextInBucket = undefined;
      this.size--;
      return;
    }
  }

  all(): PendingHandler[] {
    const handlers: PendingHandler[] = [];
    for (const first of this.#buckets) {
      for (let handler = first; handler !== undefined; handler = handler.nextInBucket) {
        handlers.push(handler);
      }
    }
    return handlers;
  }

  clear(): void {
    this.#buckets.fill(undefined);
    this.size = 0;
  }

  #grow(): void {
    const handlers = this.all();
    this.#mask = 4 * (this.#mask + 1) - 1;
    this.#buckets = new Array<PendingHandler | undefined>(this.#mask + 1).fill(undefined);
    this.size = 0;
    for (const handler of handlers) this.add(handler);
  }
}
