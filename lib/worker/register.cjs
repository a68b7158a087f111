"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Registration = exports.thread = void 0;
exports.currentRegistration = currentRegistration;
exports.register = register;
const node_perf_hooks_1 = require("node:perf_hooks");
// Not the global function: test environments that imitate a browser do not have it.
const node_timers_1 = require("node:timers");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const copies_cjs_1 = require("../native/copies.cjs");
const load_cjs_1 = require("../native/load.cjs");
const advice_cjs_1 = require("../options/advice.cjs");
const promises_cjs_1 = require("../promises.cjs");
const dispatch_cjs_1 = require("./dispatch.cjs");
const handlers_cjs_1 = require("./handlers.cjs");
/** How this thread relates to the pool and to `start`. */
exports.thread = {
    /** It belongs to a pool, which was started by another thread. */
    inPool: (0, copies_cjs_1.isInPool)(),
    /** A `start` waits for this thread's handlers, and rejects if `handleStart` fails. */
    loading: false,
    /** It becomes a worker only when the pool says so: see {@link Registration.begin}. */
    held: false,
    /** Helpers whose clients live in this thread. */
    helpers: new Set(),
    /** Modules that are still loading although `start` has given them up. */
    late: new Set(),
};
/** For threads of the application's own, if another thread shuts down the broker. */
const BROKER_GONE_TIMEOUT = 10_000;
/** This thread as a worker. */
class Registration {
    /**
     * Resolves when `handleStart` is done and events may come, or {@link begin} may be called;
     * rejects with its error.
     */
    ready;
    /** Made for a module without handlers: a later `registerWorkerThread` replaces it. */
    implicit;
    #table;
    #dispatcher;
    #dropped = false;
    #isReady = false;
    #finished;
    #stopped;
    /** The addon could not deliver everything in its turn, and asked for another one. */
    #hasMore = false;
    /** @param started what `handleStart` returned */
    constructor(table, started, implicit, replaced) {
        this.#table = table;
        this.implicit = implicit;
        const attach = () => {
            replaced?.drop();
            this.#isReady = true;
            if (!exports.thread.held)
                this.begin();
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
    /** Events come from now on, if `handleStart` is done. */
    begin() {
        if (this.#isReady && !this.#dropped && this.#dispatcher === undefined)
            this.#attach();
    }
    /**
     * Leaves the events that have come to other workers, whatever its handlers are at, and runs
     * `handleStop` within `timeout`. Never rejects.
     *
     * @returns whether `handleStop` has settled
     */
    async leave(timeout) {
        const attached = this.#dispatcher !== undefined;
        this.drop();
        if (!attached)
            return true;
        this.#stopped ??= this.#handleStop();
        return await (0, promises_cjs_1.within)(timeout, this.#stopped);
    }
    /**
     * Handles the events that have come, waits for their handlers, runs `handleStop`, all within
     * `timeout`, and detaches from the addon. Handlers have half of that time to settle; then the
     * events that wait for them, such as closed connections, are handled all the same. `handleStop`
     * has what is left. Never rejects.
     *
     * @returns whether `handleStop` has settled
     */
    async stop(timeout) {
        const deadline = node_perf_hooks_1.performance.now() + timeout;
        this.#finished ??= this.#finishEvents();
        if (!(await (0, promises_cjs_1.within)(timeout / 2, this.#finished)))
            this.#dispatcher?.hurry();
        let settled = true;
        if (this.#dispatcher !== undefined) {
            this.#stopped ??= this.#handleStop();
            settled = await (0, promises_cjs_1.within)(deadline - node_perf_hooks_1.performance.now(), this.#stopped);
        }
        this.drop();
        return settled;
    }
    /** Detaches from the addon at once. */
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
        const dispatcher = (0, dispatch_cjs_1.createDispatcher)(load_cjs_1.native, this.#table, () => void this.stop(BROKER_GONE_TIMEOUT));
        // The main thread is kept alive by its servers, a pool's thread by its port, and a thread of
        // the application's own by this.
        const keepAlive = !node_worker_threads_1.isMainThread && !exports.thread.inPool;
        const again = () => {
            this.#hasMore = true;
            (0, node_timers_1.setImmediate)(load_cjs_1.native.drain);
        };
        dispatcher.attach(load_cjs_1.native.attachWorker(this.#table.mask, dispatcher.dispatch, again, keepAlive).control);
        this.#dispatcher = dispatcher;
    }
    /**
     * A shutdown that ran out of time leaves close events behind, for which `handleClose` must still
     * run.
     */
    async #finishEvents() {
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
 * @param call the name of the call, for messages
 * @param implicit the module has no handlers, and a later registration may replace this one
 * @param holders where the handlers were found
 * @throws what `handleStart` throws; a `TypeError` if a handler is not a function;
 * ERR_WSBROKER_UNKNOWN_HANDLER if a handler is misspelled; ERR_WSBROKER_CONFLICT if the thread is
 * already a worker; ERR_WSBROKER_WORKER_FAILED if `start` has given up the module that calls
 */
function register(call, handlers, implicit = false, holders) {
    const table = (0, handlers_cjs_1.handlerTable)(call, handlers, holders);
    (0, copies_cjs_1.checkSameCopy)();
    if (!exports.thread.loading)
        checkLate();
    if (current?.implicit === false) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `${call}: this thread has already registered handlers; ${advice_cjs_1.START_OVER}`);
    }
    const started = table.handleStart === undefined ? undefined : table.scope.call(table.handleStart, table.self);
    current = new Registration(table, started, implicit, current);
    return current;
}
/** @throws the error with which `start` gave up the module that calls, if it did */
function checkLate() {
    if (exports.thread.late.size === 0)
        return;
    const stack = String(new Error('who calls?').stack);
    for (const { names, error } of exports.thread.late) {
        if (names.some((name) => stack.includes(`${name}:`)))
            throw error;
    }
}
