import type { EventKind } from '../native/shared-numbers.cjs';

/** An event that waits for the one before it. */
export class Waiting {
  next: Waiting | undefined = undefined;

  constructor(
    readonly kind: EventKind,
    readonly slot: number,
    readonly data: unknown,
    /**
     * Of a close event: the close code. Of bytes: how many they are, unless a handler transfers
     * them away.
     */
    readonly number: number,
    /** The version of its socket's token when it came, and the epoch in which that is true. */
    readonly token: number,
    readonly epoch: number,
  ) {}
}

/**
 * A handler's promise that is pending, and behind it, in serial mode, the events of its socket that
 * wait for it.
 */
export class Line {
  id = 0;
  kind: EventKind = 0 as EventKind;
  slot = 0;
  /** Only of an open event: the subprotocols that may be answered. */
  offered: readonly string[] = [];
  /** When it became pending, in looks of the timer. */
  since = 0;
  /** Whether it stands in the table: always in serial mode, else only while its socket opens. */
  serial = false;
  /** `handlerTimeout` has passed: its slot and its waiting events are no longer its own. */
  expired = false;
  /** The next one in its bucket of the table. */
  neighbour: Line | undefined = undefined;
  #head: Waiting | undefined = undefined;
  #tail: Waiting | undefined = undefined;

  // Made once and used for one promise after the other, so that a pending promise costs no
  // closures.
  readonly resolved: (value: unknown) => void;
  readonly rejected: (error: unknown) => void;

  constructor(done: (line: Line, failed: boolean, value: unknown) => void) {
    this.resolved = (value) => done(this, false, value);
    this.rejected = (error) => done(this, true, error);
  }

  push(event: Waiting): void {
    if (this.#tail === undefined) this.#head = event;
    else this.#tail.next = event;
    this.#tail = event;
  }

  shift(): Waiting | undefined {
    const event = this.#head;
    if (event === undefined) return undefined;
    this.#head = event.next;
    if (this.#head === undefined) this.#tail = undefined;
    return event;
  }

  /** Hands over what waits. */
  moveTo(heir: Line): void {
    heir.#head = this.#head;
    heir.#tail = this.#tail;
    this.clear();
  }

  clear(): void {
    this.#head = undefined;
    this.#tail = undefined;
  }
}

/**
 * Lines by socket. With async handlers every event adds one and removes it again, for which a `Map`
 * takes about as long as all the rest of the event (65 of 140 ns): its removed entries pile up
 * until it is copied. Ids count upwards, so their low bits are hash enough.
 */
export class LineTable {
  size = 0;
  #buckets: (Line | undefined)[] = new Array<Line | undefined>(256).fill(undefined);
  #mask = 255;

  find(id: number): Line | undefined {
    let line = this.#buckets[id & this.#mask];
    while (line !== undefined && line.id !== id) line = line.neighbour;
    return line;
  }

  add(line: Line): void {
    if (this.size > 2 * this.#mask) this.#grow();
    const bucket = line.id & this.#mask;
    line.neighbour = this.#buckets[bucket];
    this.#buckets[bucket] = line;
    this.size++;
  }

  remove(line: Line): void {
    const bucket = line.id & this.#mask;
    let before: Line | undefined;
    for (let one = this.#buckets[bucket]; one !== undefined; before = one, one = one.neighbour) {
      if (one !== line) continue;
      if (before === undefined) this.#buckets[bucket] = line.neighbour;
      else before.neighbour = line.neighbour;
      line.neighbour = undefined;
      this.size--;
      return;
    }
  }

  all(): Line[] {
    const lines: Line[] = [];
    for (const first of this.#buckets)
      for (let line = first; line !== undefined; line = line.neighbour) lines.push(line);
    return lines;
  }

  clear(): void {
    this.#buckets.fill(undefined);
    this.size = 0;
  }

  #grow(): void {
    const lines = this.all();
    this.#mask = 4 * (this.#mask + 1) - 1;
    this.#buckets = new Array<Line | undefined>(this.#mask + 1).fill(undefined);
    this.size = 0;
    for (const line of lines) this.add(line);
  }
}
