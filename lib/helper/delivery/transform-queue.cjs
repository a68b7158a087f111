"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.TransformQueue = exports.ConcurrencyLimit = void 0;
// Messages that wait for `outboundTransformer`. Each client has a queue, so that its messages stay
// in order. Each send to many clients has a limit, so that not all of its calls run at once.
/** A queue, without the cost of `shift` on a long array. */
class Fifo {
    #items = [];
    #from = 0;
    get isEmpty() {
        return this.#items.length === this.#from;
    }
    push(item) {
        this.#items.push(item);
    }
    shift() {
        const item = this.#items[this.#from];
        if (item === undefined)
            return undefined;
        this.#items[this.#from++] = undefined;
        if (this.#from === this.#items.length ||
            (this.#from > 1024 && this.#from * 2 > this.#items.length)) {
            this.#items = this.#items.slice(this.#from);
            this.#from = 0;
        }
        return item;
    }
}
/** Limits how many calls of one send run at the same time. */
class ConcurrencyLimit {
    #limit;
    #waiting = new Fifo();
    #inFlight = 0;
    #filling = false;
    /** Less than 1, or not a number, counts as 1. */
    constructor(limit) {
        this.#limit = limit >= 1 ? Math.floor(limit) : 1;
    }
    /** Takes a permit, if there is one. */
    tryAcquire() {
        if (this.#inFlight >= this.#limit)
            return false;
        this.#inFlight++;
        return true;
    }
    /** Calls `run` when a permit is free and has been taken for it. */
    acquire(run) {
        this.#waiting.push(run);
    }
    release() {
        this.#inFlight--;
        // A run that ends at once comes back here. One loop runs them all: a thousand nested calls
        // would overflow the stack.
        if (this.#filling)
            return;
        this.#filling = true;
        while (this.#inFlight < this.#limit) {
            const run = this.#waiting.shift();
            if (run === undefined)
                break;
            this.#inFlight++;
            run();
        }
        this.#filling = false;
    }
}
exports.ConcurrencyLimit = ConcurrencyLimit;
/**
 * The messages of one client that pass through the transformer: one at a time, in the order of the
 * calls.
 */
class TransformQueue {
    #host;
    #waiting = new Fifo();
    /** The bytes of all messages that wait, for their turn or for a permit. */
    #pending = 0;
    #busy = false;
    #advancing = false;
    constructor(host) {
        this.#host = host;
    }
    /** Runs at once if nothing is waiting and a permit is free. */
    push(message, limit) {
        // If it is not busy and something waits, `settled` is about to start that.
        const behind = this.#busy || !this.#waiting.isEmpty;
        if (!behind && (limit === undefined || limit.tryAcquire())) {
            this.#run(message, limit);
            return;
        }
        const { size } = message;
        if (this.#pending + size > this.#host.maxPending) {
            this.#host.dropped(message);
            return;
        }
        this.#pending += size;
        const item = { message, limit, size };
        if (behind)
            this.#waiting.push(item);
        else
            this.#waitForPermit(item);
    }
    /** Its turn has come, but no permit is free. */
    #waitForPermit(item) {
        this.#busy = true;
        item.limit?.acquire(() => {
            this.#pending -= item.size;
            this.#run(item.message, item.limit);
        });
    }
    /** Its turn has come, and a permit has been taken. */
    #run(message, limit) {
        this.#busy = true;
        const settled = () => {
            this.#busy = false;
            limit?.release();
            this.#advance();
        };
        if (this.#host.isHere())
            this.#host.run(message, settled);
        else
            settled();
    }
    #advance() {
        if (this.#advancing)
            return;
        this.#advancing = true;
        while (!this.#busy) {
            const item = this.#waiting.shift();
            if (item === undefined)
                break;
            // A client that has gone needs no permit.
            if (item.limit !== undefined && this.#host.isHere() && !item.limit.tryAcquire()) {
                this.#waitForPermit(item);
                break;
            }
            this.#pending -= item.size;
            if (this.#host.isHere())
                this.#run(item.message, item.limit);
        }
        this.#advancing = false;
    }
}
exports.TransformQueue = TransformQueue;
