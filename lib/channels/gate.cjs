"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Gate = void 0;
/** Lets a number of tasks in at a time; the others wait in their order. */
class Gate {
    #width;
    #inside = 0;
    #waiting = [];
    /** The first that still waits. */
    #next = 0;
    constructor(width) {
        this.#width = width;
    }
    /** `undefined`: it is in at once. Each must {@link leave} when it is done. */
    enter() {
        if (this.#inside < this.#width) {
            this.#inside++;
            return undefined;
        }
        return new Promise((resolve) => this.#waiting.push(resolve));
    }
    leave() {
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
exports.Gate = Gate;
