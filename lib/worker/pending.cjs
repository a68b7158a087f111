"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.LineTable = exports.Line = exports.Waiting = void 0;
/** An event that waits for the one before it. */
class Waiting {
    kind;
    slot;
    data;
    number;
    token;
    epoch;
    next = undefined;
    constructor(kind, slot, data, 
    /**
     * Of a close event: the close code. Of bytes: how many they are, unless a handler transfers
     * them away.
     */
    number, 
    /** The version of its socket's token when it came, and the epoch in which that is true. */
    token, epoch) {
        this.kind = kind;
        this.slot = slot;
        this.data = data;
        this.number = number;
        this.token = token;
        this.epoch = epoch;
    }
}
exports.Waiting = Waiting;
/**
 * A handler's promise that is pending, and behind it, in serial mode, the events of its socket that
 * wait for it.
 */
class Line {
    id = 0;
    kind = 0;
    slot = 0;
    /** Only of an open event: the subprotocols that may be answered. */
    offered = [];
    /** When it became pending, in looks of the timer. */
    since = 0;
    /** Whether it stands in the table: always in serial mode, else only while its socket opens. */
    serial = false;
    /** `handlerTimeout` has passed: its slot and its waiting events are no longer its own. */
    expired = false;
    /** The next one in its bucket of the table. */
    neighbour = undefined;
    #head = undefined;
    #tail = undefined;
    // Made once and used for one promise after the other, so that a pending promise costs no
    // closures.
    resolved;
    rejected;
    constructor(done) {
        this.resolved = (value) => done(this, false, value);
        this.rejected = (error) => done(this, true, error);
    }
    push(event) {
        if (this.#tail === undefined)
            this.#head = event;
        else
            this.#tail.next = event;
        this.#tail = event;
    }
    shift() {
        const event = this.#head;
        if (event === undefined)
            return undefined;
        this.#head = event.next;
        if (this.#head === undefined)
            this.#tail = undefined;
        return event;
    }
    /** Hands over what waits. */
    moveTo(heir) {
        heir.#head = this.#head;
        heir.#tail = this.#tail;
        this.clear();
    }
    clear() {
        this.#head = undefined;
        this.#tail = undefined;
    }
}
exports.Line = Line;
/**
 * Lines by socket. With async handlers every event adds one and removes it again, for which a `Map`
 * takes about as long as all the rest of the event (65 of 140 ns): its removed entries pile up
 * until it is copied. Ids count upwards, so their low bits are hash enough.
 */
class LineTable {
    size = 0;
    #buckets = new Array(256).fill(undefined);
    #mask = 255;
    find(id) {
        let line = this.#buckets[id & this.#mask];
        while (line !== undefined && line.id !== id)
            line = line.neighbour;
        return line;
    }
    add(line) {
        if (this.size > 2 * this.#mask)
            this.#grow();
        const bucket = line.id & this.#mask;
        line.neighbour = this.#buckets[bucket];
        this.#buckets[bucket] = line;
        this.size++;
    }
    remove(line) {
        const bucket = line.id & this.#mask;
        let before;
        for (let one = this.#buckets[bucket]; one !== undefined; before = one, one = one.neighbour) {
            if (one !== line)
                continue;
            if (before === undefined)
                this.#buckets[bucket] = line.neighbour;
            else
                before.neighbour = line.neighbour;
            line.neighbour = undefined;
            this.size--;
            return;
        }
    }
    all() {
        const lines = [];
        for (const first of this.#buckets)
            for (let line = first; line !== undefined; line = line.neighbour)
                lines.push(line);
        return lines;
    }
    clear() {
        this.#buckets.fill(undefined);
        this.size = 0;
    }
    #grow() {
        const lines = this.all();
        this.#mask = 4 * (this.#mask + 1) - 1;
        this.#buckets = new Array(this.#mask + 1).fill(undefined);
        this.size = 0;
        for (const line of lines)
            this.add(line);
    }
}
exports.LineTable = LineTable;
