"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Registration = exports.thread = void 0;
exports.currentRegistration = currentRegistration;
exports.register = register;
// Not the global one: environments like a browser's, of test runners, have none.
const node_timers_1 = require("node:timers");
const node_worker_threads_1 = require("node:worker_threads");
const advice_cjs_1 = require("../options/advice.cjs");
const copies_cjs_1 = require("../native/copies.cjs");
const dispatch_cjs_1 = require("./dispatch.cjs");
const errors_cjs_1 = require("../errors.cjs");
const handlers_cjs_1 = require("./handlers.cjs");
const load_cjs_1 = require("../native/load.cjs");
const promises_cjs_1 = require("../promises.cjs");
const promises_cjs_2 = require("../promises.cjs");
/** What this thread is to the pool. */
exports.thread = {
    /** It belongs to a pool, which another thread watches. */
    inPool: (0, copies_cjs_1.isInPool)(),
    /** A `start` waits for this thread's handlers and hears of a `handleStart` that fails. */
    loading: false,
};
/** For threads of the user's own, whose broker another thread has shut down. */
const GOODBYE_TIMEOUT = 10_000;
/** This thread as a worker. */
class Registration {
    /** Resolves when `handleStart` is done and events may come; rejects with its error. */
    ready;
    /** Nobody asked for it: a later `registerWorkerThread` takes its place. */
    implicit;
    #table;
    #dispatcher;
    #dropped = false;
    #rested;
    #stopped;
    /** The addon had no time to hand over everything, and asked for another turn. */
    #hasMore = false;
    /** @param started what `handleStart` returned */
    constructor(table, started, implicit, replaced) {
        this.#table = table;
        this.implicit = implicit;
        const attach = () => {
            replaced?.drop();
            if (!this.#dropped)
                this.#attach();
        };
        this.ready = (0, promises_cjs_1.isThenable)(started)
            ? Promise.resolve(started).then(attach)
            : Promise.resolve(attach());
        this.ready.catch((error) => {
            this.drop();
            if (!exports.thread.loading)
                table.report(error, 'handleStart', undefined);
        });
    }
    /** The object that was registered. */
    get handlers() {
        return this.#table.self;
    }
    /**
     * Runs the events that have come, waits for their handlers, runs `handleStop`, all within
     * `timeout`, and lets go of the addon. Handlers that do not settle have half of it: then what
     * waits behind them is run all the same, ends of connections among it. Never rejects.
     */
    async stop(timeout) {
        this.#rested ??= this.#rest();
        if (!(await (0, promises_cjs_2.within)(timeout / 2, this.#rested)))
            this.#dispatcher?.hurry();
        if (this.#dispatcher !== undefined) {
            this.#stopped ??= this.#handleStop();
            await (0, promises_cjs_2.within)(timeout / 2, this.#stopped);
        }
        this.drop();
    }
    /** Lets go of the addon at once. */
    drop() {
        if (current === this)
            current = undefined;
        this.#dropped = true;
        if (this.#dispatcher === undefined)
            return;
        load_cjs_1.native.detachWorker();
        this.#dispatcher.stop();
        this.#dispatcher = undefined;
    }
    #attach() {
        const dispatcher = (0, dispatch_cjs_1.createDispatcher)(load_cjs_1.native, this.#table, () => void this.stop(GOODBYE_TIMEOUT));
        // The main thread is kept alive by its servers, a pool's thread by its port, a thread of the
        // user's own by this.
        const keepAlive = !node_worker_threads_1.isMainThread && !exports.thread.inPool;
        const again = () => {
            this.#hasMore = true;
            (0, node_timers_1.setImmediate)(load_cjs_1.native.drain);
        };
        dispatcher.attach(load_cjs_1.native.attachWorker(this.#table.mask, dispatcher.dispatch, again, keepAlive).control);
        this.#dispatcher = dispatcher;
    }
    /**
     * A shutdown that ran out of time leaves close events behind, and each of them has a handler to
     * be told.
     */
    async #rest() {
        try {
            await this.ready;
        }
        catch {
            return;
        }
        do {
            this.#hasMore = false;
            load_cjs_1.native.drain();
            await this.#dispatcher?.idle();
        } while (this.#hasMore);
    }
    async #handleStop() {
        try {
            const { handleStop, scope, self } = this.#table;
            if (handleStop !== undefined)
                await scope.call(handleStop, self);
        }
        catch (error) {
            this.#table.report(error, 'handleStop', undefined);
        }
    }
}
exports.Registration = Registration;
let current;
function currentRegistration() {
    return current;
}
/**
 * Makes this thread a worker.
 *
 * @param call who asks, for messages
 * @param implicit the module has no handlers, and a later registration may replace this one
 * @param holders where the handlers were found
 * @throws what `handleStart` throws; a `TypeError` if a handler is no function;
 * ERR_WSBROKER_UNKNOWN_HANDLER if one is misspelt; ERR_WSBROKER_CONFLICT if the thread is a worker
 * already
 */
function register(call, handlers, implicit = false, holders) {
    const table = (0, handlers_cjs_1.handlerTable)(call, handlers, holders);
    (0, copies_cjs_1.checkPool)();
    if (current?.implicit === false) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `${call}: this thread has registered its handlers already; ${advice_cjs_1.START_OVER}`);
    }
    const started = table.handleStart === undefined ? undefined : table.scope.call(table.handleStart, table.self);
    current = new Registration(table, started, implicit, current);
    return current;
}
