"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.BusStateReporter = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
/**
 * Calls `busStateFn` for each change of the bus, once and in order, from the end of `configure()`
 * until `shutdown()`.
 */
class BusStateReporter {
    #fn;
    #log;
    #state = 'idle';
    #queue = [];
    #reporting = false;
    constructor(fn, log) {
        this.#fn = fn;
        this.#log = log;
    }
    get state() {
        return this.#state;
    }
    /** The helper is configured, which counts as `ready` whatever comes next. */
    begin() {
        this.#state = 'ready';
        this.#report('ready');
    }
    update(state) {
        if (this.#state === 'idle' || this.#state === state)
            return;
        this.#state = state;
        if (state === 'lost')
            this.#log.warn('Redis is lost');
        else
            this.#log.info('Redis is ready again');
        this.#report(state);
    }
    end() {
        this.#state = 'idle';
        this.#queue.length = 0;
    }
    /** One after the other, even if a change comes during a call of the application. */
    #report(state) {
        const fn = this.#fn;
        if (fn === undefined)
            return;
        this.#queue.push(state);
        if (this.#reporting)
            return;
        this.#reporting = true;
        for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
            const reported = next;
            (0, callbacks_cjs_1.callApplication)(() => fn(reported), () => undefined, (error) => this.#log.error('busStateFn failed', error));
        }
        this.#reporting = false;
    }
}
exports.BusStateReporter = BusStateReporter;
