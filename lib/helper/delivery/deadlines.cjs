"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Deadlines = void 0;
/**
 * Things that must all end within the same time limit. One timer serves all of them, and does not
 * keep the process alive.
 */
class Deadlines {
    #step;
    /** Begun since the last step, and those before: these are late at the next one. */
    #young = new Set();
    #old = new Set();
    #timer;
    /** `limit` is the longest time, in ms; the actual time is between half of it and all of it. */
    constructor(limit) {
        this.#step = limit / 2;
    }
    /** Calls `late`, once, unless the returned function is called in time. */
    begin(late) {
        this.#young.add(late);
        this.#arm();
        return () => void (this.#young.delete(late) || this.#old.delete(late));
    }
    #arm() {
        this.#timer ??= setTimeout(() => this.#tick(), this.#step);
        this.#timer.unref?.();
    }
    #tick() {
        this.#timer = undefined;
        const late = this.#old;
        this.#old = this.#young;
        this.#young = new Set();
        for (const one of late)
            one();
        if (this.#old.size + this.#young.size > 0)
            this.#arm();
    }
}
exports.Deadlines = Deadlines;
