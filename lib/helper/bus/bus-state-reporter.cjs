"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.BusStateReporter = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
/**
 * Tells the application of each change of the bus, once and in order, from the end of `configure()`
 * until `shutdown()`.
 */
class BusStateReporter {
    #fn;
    #log;
    #state = 'idle';
    #untold = [];
    #telling = false;
    constructor(fn, log) {
        this.#fn = fn;
        this.#log = log;
    }
    get state() {
        return this.#state;
    }
    /** Configured: that is `ready`, whatever comes next. */
    begin() {
        this.#state = 'ready';
        this.#tell('ready');
    }
    update(state) {
        if (this.#state === 'idle' || this.#state === state)
            return;
        this.#state = state;
        if (state === 'lost')
            this.#log.warn('Redis is lost');
        else
            this.#log.info('Redis is ready again');
        this.#tell(state);
    }
    end() {
        this.#state = 'idle';
        this.#untold.length = 0;
    }
    /** One after the other, also if a change comes while the application is being told of one. */
    #tell(state) {
        const fn = this.#fn;
        if (fn === undefined)
            return;
        this.#untold.push(state);
        if (this.#telling)
            return;
        this.#telling = true;
        for (let next = this.#untold.shift(); next !== undefined; next = this.#untold.shift()) {
            const told = next;
            (0, callbacks_cjs_1.callApplication)(() => fn(told), () => undefined, (error) => this.#log.error('busStateFn failed', error));
        }
        this.#telling = false;
    }
}
exports.BusStateReporter = BusStateReporter;
