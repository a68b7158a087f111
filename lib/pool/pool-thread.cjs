"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.PoolThread = exports.STABLE_AFTER = void 0;
const node_perf_hooks_1 = require("node:perf_hooks");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
const modules_cjs_1 = require("../worker/modules.cjs");
const thread_file_cjs_1 = require("./thread-file.cjs");
/**
 * A worker that ran for this many milliseconds did not fail at its start: its replacement is
 * started at once.
 */
exports.STABLE_AFTER = 10_000;
/**
 * How many milliseconds of the time for stopping are kept, at most, to terminate a thread that has
 * not ended by itself.
 */
const MAX_FOR_TERMINATION = 250;
/** For `handleStop` of a thread that is cut, in milliseconds. */
const CUT_TIMEOUT = 250;
/** How long a thread that is cut may take to end by itself, on a busy machine, in milliseconds. */
const CUT_GRACE = 1_000;
/**
 * How long a thread may take to end when it is terminated, in milliseconds. Then it is left behind,
 * and its connections move without what it has fetched. Long, since on a very busy machine a thread
 * that can be ended takes more than a second, too; what it had sent then comes behind the answers
 * of its successor.
 */
const TERMINATION_TIMEOUT = 5_000;
/** One thread of the pool. */
class PoolThread {
    id;
    /** Rejects if the thread fails or ends before it is ready. */
    ready;
    /** Resolves with the reason when the thread has ended. */
    ended;
    /** It has loaded its module, and gets events unless it is {@link held}. */
    wasReady = false;
    /** It gets events only after {@link begin}. */
    held;
    /** Which of the pool's generations it belongs to. */
    generation;
    /** Called when it has run for {@link STABLE_AFTER}. */
    onStable;
    /** Others take its place, so it is not replaced when it ends. */
    superseded = false;
    /** It has ended, though not by itself after it was asked to: events may have been in hand. */
    broken = false;
    #worker;
    #port;
    #startedAt = node_perf_hooks_1.performance.now();
    #error;
    #closed = 0;
    #pinned = Promise.resolve(0);
    #stable;
    #begun;
    #asked = false;
    #terminated = false;
    constructor(file, { workerData, options }, startTimeout, { generation, held, imports }) {
        const { port1, port2 } = new node_worker_threads_1.MessageChannel();
        const wsbroker = { file, port: port2, workerData, held, imports };
        const worker = new node_worker_threads_1.Worker((0, thread_file_cjs_1.threadFile)(), {
            ...options,
            workerData: { wsbroker },
            transferList: [port2],
        });
        this.held = held;
        this.generation = generation;
        this.#worker = worker;
        this.#port = port1;
        this.id = worker.threadId;
        worker.on('error', (error) => (this.#error ??= error));
        this.ended = new Promise((resolve) => {
            worker.on('exit', (code) => {
                for (let left = (0, node_worker_threads_1.receiveMessageOnPort)(port1); left; left = (0, node_worker_threads_1.receiveMessageOnPort)(port1)) {
                    this.#receive(left.message);
                }
                port1.close();
                clearTimeout(this.#stable);
                this.broken =
                    !this.#asked || this.#terminated || code !== 0 || this.#error !== undefined;
                resolve(this.#reason('ERR_WSBROKER_WORKER_DIED', `worker ${this.id} (${file}) exited with code ${code}`));
            });
        });
        this.ready = new Promise((resolve, reject) => {
            const fail = () => {
                this.#error = (0, modules_cjs_1.loadTimeoutError)(file, startTimeout);
                reject(this.#error);
                void worker.terminate();
            };
            let late;
            // After messages that have already arrived, in case this thread itself was busy.
            const loading = startTimeout === 0
                ? undefined
                : setTimeout(() => (late = setImmediate(fail)), startTimeout);
            loading?.unref?.();
            const loaded = () => {
                clearTimeout(loading);
                clearImmediate(late);
            };
            worker.on('exit', loaded);
            port1.on('message', (message) => {
                switch (message.type) {
                    case 'loaded':
                        return loaded();
                    case 'ready':
                        loaded();
                        this.wasReady = true;
                        this.#stable = setTimeout(() => this.onStable?.(), exports.STABLE_AFTER);
                        this.#stable.unref?.();
                        return resolve();
                    case 'failed':
                        loaded();
                        this.#error = (0, errors_cjs_1.fromPortable)(message.error);
                        reject(this.#reason('ERR_WSBROKER_WORKER_FAILED', `worker ${file} failed to load`));
                        return void worker.terminate();
                    case 'warning':
                    case 'begun':
                    case 'closed':
                    case 'unfinished':
                        return this.#receive(message);
                }
                message;
            });
            worker.on('exit', (code) => reject(this.#reason('ERR_WSBROKER_WORKER_FAILED', `worker ${file} exited with code ${code} before it was ready`)));
        });
        this.ready.catch(() => undefined);
        worker.unref();
        port1.unref();
    }
    age() {
        return node_perf_hooks_1.performance.now() - this.#startedAt;
    }
    /**
     * How many connections were closed because others take its place: clients of its helpers, and
     * those that handlers keep to their thread. Resolves when it has ended.
     */
    async closed() {
        const pinned = await this.#pinned;
        return this.#closed + pinned;
    }
    /** A thread that was held gets events from now on. Resolves when it does, or has ended. */
    async begin() {
        this.held = false;
        const begun = new Promise((resolve) => (this.#begun = resolve));
        this.#post({ type: 'begin' });
        await Promise.race([begun, this.ended]);
    }
    /** Others are ready to take its place: its connections move to them. */
    supersede() {
        this.superseded = true;
        if (!this.wasReady)
            return;
        load_cjs_1.native.supersedeWorker(this.id);
        this.#post({ type: 'supersede' });
    }
    /** Resolves when it has no connections any more and its handlers have settled. */
    emptied() {
        this.#pinned = load_cjs_1.native.workerEmptied(this.id);
        return Promise.race([this.#pinned, this.ended]);
    }
    /**
     * Lets the worker run `handleStop` first, if it is ready. A thread that a system call blocks
     * cannot be ended and is left behind.
     *
     * @returns whether it has ended by itself, and not by an error
     */
    async stop(timeout) {
        const deadline = node_perf_hooks_1.performance.now() + timeout;
        const last = Math.min(MAX_FOR_TERMINATION, timeout / 4);
        if (this.wasReady) {
            this.#post({ type: 'stop', timeout: timeout - 2 * last });
            if (await (0, promises_cjs_1.within)(timeout - last, this.ended))
                return !this.broken;
        }
        this.#error ??= new Error(`it did not stop within ${Math.round(timeout)} ms`);
        this.#terminated = true;
        await (0, promises_cjs_1.within)(deadline - node_perf_hooks_1.performance.now(), this.#worker.terminate());
        return false;
    }
    /**
     * Ends it whatever its handlers are at: what they have not begun goes to others. `handleStop`
     * runs if the thread still responds.
     */
    async cut() {
        this.#error ??= new Error('its handlers had not settled in time');
        this.#post({ type: 'leave', timeout: CUT_TIMEOUT });
        if (await (0, promises_cjs_1.within)(CUT_GRACE, this.ended))
            return;
        await this.terminate();
    }
    /** Ends it at once. Its connections move to others even if it cannot be ended. */
    async terminate(error) {
        this.#error ??= error;
        this.#terminated = true;
        void this.#worker.terminate();
        if (!(await (0, promises_cjs_1.within)(TERMINATION_TIMEOUT, this.ended)))
            load_cjs_1.native.giveUpWorker(this.id);
    }
    #post(message) {
        this.#asked ||= message.type === 'stop' || message.type === 'leave';
        this.#port.postMessage(message);
    }
    #receive(message) {
        if (message.type === 'warning')
            (0, report_cjs_1.warnOnce)(message.text);
        else if (message.type === 'begun')
            this.#begun?.();
        else if (message.type === 'closed')
            this.#closed = message.clients;
        else if (message.type === 'unfinished') {
            this.#error ??= new Error('its handleStop had not settled in time');
        }
    }
    #reason(code, what) {
        const error = this.#error;
        if (error === undefined)
            return new errors_cjs_1.WSBrokerError(code, what);
        const message = error?.message;
        return new errors_cjs_1.WSBrokerError(code, `${what}: ${typeof message === 'string' ? message : (0, report_cjs_1.errorText)(error)}`, { cause: error });
    }
}
exports.PoolThread = PoolThread;
