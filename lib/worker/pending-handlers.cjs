"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.PendingHandlers = exports.PendingHandler = exports.WaitingEvent = void 0;
/** An event that waits for the previous one of its socket. */
class WaitingEvent {
    kind;
    slot;
    data;
    number;
    token;
    epoch;
    next = undefined;
    constructor(kind, slot, data, 
    /**
     * The close code of a close event; the length of bytes, from which it shows if a handler has
     * transferred them.
     */
    number, 
    /**
     * The version of its socket's token when it came, and the token epoch in which that is valid.
     */
    token, epoch) {
        this.kind = kind;
        this.slot = slot;
        this.data = data;
        this.number = number;
        this.token = token;
        this.epoch = epoch;
    }
}
exports.WaitingEvent = WaitingEvent;
/**
 * A handler whose promise is pending. In serial mode the next events of its socket wait here.
 */
class PendingHandler {
    id = 0;
    kind = 0;
    slot = 0;
    /** Only for an open event: the subprotocols that the client offers. */
    offered = [];
    /** When its handler was called, if that is measured, in milliseconds; otherwise 0. */
    begun = 0;
    /** When it became pending, in ticks of the timer. */
    since = 0;
    /** Whether it is in the table: always in serial mode, otherwise only for open events. */
    serial = false;
    /** `handlerTimeout` has passed: another one has its slot and its waiting events. */
    expired = false;
    /** The next one in its bucket of the table. */
    nextInBucket = undefined;
    #head = undefined;
    #tail = undefined;
    // An object is used for one promise after another, so that a promise costs no new closures.
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
    /** Moves the waiting events. */
    moveTo(successor) {
        successor.#head = this.#head;
        successor.#tail = this.#tail;
        this.clear();
    }
    clear() {
        this.#head = undefined;
        this.#tail = undefined;
    }
}
exports.PendingHandler = PendingHandler;
/**
 * Pending handlers by socket. With async handlers every event adds one and removes it again. With a
 * `Map`, in which removed entries pile up until it is copied, that takes almost half of the time of
 * an event (65 of 140 ns). Ids count upwards, so their low bits are a sufficient hash.
 */
class PendingHandlers {
    size = 0;
    #buckets = new Array(256).fill(undefined);
    #mask = 255;
    find(id) {
        let handler = this.#buckets[id & this.#mask];
        while (handler !== undefined && handler.id !== id)
            handler = handler.nextInBucket;
        return handler;
    }
    add(handler) {
        if (this.size > 2 * this.#mask)
            this.#grow();
        const bucket = handler.id & this.#mask;
        handler.nextInBucket = this.#buckets[bucket];
        this.#buckets[bucket] = handler;
        this.size++;
    }
    remove(handler) {
        const bucket = handler.id & this.#mask;
        let before;
        for (let one = this.#buckets[bucket]; one !== undefined; before = one, one = one.nextInBucket) {
            if (one !== handler)
                continue;
            if (before === undefined)
                this.#buckets[bucket] = handler.nextInBucket;
            else
                before.nextInBucket = handler.nextInBucket;
            handler.nextInBucket = undefined;
            this.size--;
            return;
        }
    }
    all() {
        const handlers = [];
        for (const first of this.#buckets) {
            for (let handler = first; handler !== undefined; handler = handler.nextInBucket) {
                handlers.push(handler);
            }
        }
        return handlers;
    }
    clear() {
        this.#buckets.fill(undefined);
        this.size = 0;
    }
    #grow() {
        const handlers = this.all();
        this.#mask = 4 * (this.#mask + 1) - 1;
        this.#buckets = new Array(this.#mask + 1).fill(undefined);
        this.size = 0;
        for (const handler of handlers)
            this.add(handler);
    }
}
exports.PendingHandlers = PendingHandlers;
