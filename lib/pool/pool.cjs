"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Pool = void 0;
exports.notifyWatchers = notifyWatchers;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const node_perf_hooks_1 = require("node:perf_hooks");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const package_folders_cjs_1 = require("../package-folders.cjs");
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
const modules_cjs_1 = require("../worker/modules.cjs");
/**
 * A worker that ran for this many milliseconds did not fail at its start: its replacement is
 * started at once.
 */
const STABLE_AFTER = 10_000;
/** Milliseconds before the first replacement that follows a failure, doubled each time. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;
/**
 * How many milliseconds of the time for stopping are kept, at most, to terminate a thread that has
 * not ended by itself.
 */
const MAX_FOR_TERMINATION = 250;
/**
 * The worker threads of a process. They are started together and stopped together, and each is
 * replaced if it ends in between. The threads do not keep the process alive; its servers do.
 */
class Pool {
    file;
    threads;
    given;
    watchers;
    startTimeout;
    #running = new Set();
    /** Replacements that are due later, and the functions that start them. */
    #pauses = new Map();
    #hurried = false;
    #stopping = false;
    /**
     * @param given how the threads are started
     * @param watchers called for every start and end; they may change while the pool runs
     * @param startTimeout how long a thread may take to load the module, in milliseconds; 0: no limit
     */
    constructor(file, threads, given, watchers, startTimeout) {
        this.file = file;
        this.threads = threads;
        this.given = given;
        this.watchers = watchers;
        this.startTimeout = startTimeout;
    }
    /**
     * Resolves when every worker is ready.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED, with the first failure as `cause`; the
     * other threads must then be stopped
     */
    async start() {
        await Promise.all(Array.from({ length: this.threads }, () => this.#launch(0).ready));
    }
    /**
     * A shutdown has begun. If there is no worker, events wait for one, and there is no time for
     * pauses.
     */
    hurry() {
        this.#hurried = true;
        const [first] = this.#pauses;
        if (this.#running.size > 0 || first === undefined)
            return;
        clearTimeout(first[0]);
        first[1]();
    }
    /**
     * Ends all threads within `timeout` milliseconds, of which `handleStop` has at least a quarter.
     * Never rejects.
     */
    async stop(timeout) {
        this.#stopping = true;
        for (const pause of this.#pauses.keys())
            clearTimeout(pause);
        await Promise.all([...this.#running].map((thread) => thread.stop(timeout)));
    }
    #launch(failures) {
        const thread = new PoolThread(this.file, this.given, this.startTimeout);
        this.#running.add(thread);
        thread.ready.then(() => this.#notify({ type: 'started', workerId: thread.id }), () => undefined);
        void thread.ended.then((reason) => {
            this.#running.delete(thread);
            if (this.#stopping) {
                if (thread.wasReady)
                    this.#notify({ type: 'stopped', workerId: thread.id });
            }
            else if (thread.wasReady) {
                this.#replace(thread, 'died', reason, thread.age() >= STABLE_AFTER ? 0 : failures);
            }
            else if (failures > 0) {
                this.#replace(thread, 'failed', reason, failures);
            }
        });
        return thread;
    }
    #replace(thread, type, reason, failures) {
        const longest = this.#hurried && this.#running.size === 0 ? FIRST_PAUSE : LONGEST_PAUSE;
        const pause = failures === 0 ? 0 : Math.min(longest, FIRST_PAUSE * 2 ** (failures - 1));
        const launch = () => {
            this.#pauses.delete(timer);
            this.#launch(failures + 1).ready.catch(() => undefined);
        };
        const timer = setTimeout(launch, pause);
        timer.unref?.();
        this.#pauses.set(timer, launch);
        if (this.watchers.size === 0) {
            (0, report_cjs_1.reportError)(`worker ${thread.id} ${type}; starting another in ${pause} ms`, reason);
        }
        const untoldClients = load_cjs_1.native.clientsLeftBy(thread.id);
        this.#notify({
            type,
            workerId: thread.id,
            reason,
            ...(untoldClients > 0 && { untoldClients }),
        });
    }
    #notify(event) {
        notifyWatchers(this.watchers.values(), event);
    }
}
exports.Pool = Pool;
/** Calls all of them. Their errors are reported. */
function notifyWatchers(watchers, event) {
    for (const watcher of watchers) {
        try {
            watcher(event);
        }
        catch (error) {
            (0, report_cjs_1.reportError)('onWorker failed', error);
        }
    }
}
/** @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED: a bundle has only its own files */
function threadFile() {
    let entry;
    try {
        // Tools that trace files follow this.
        entry = require.resolve('./thread.cjs');
    }
    catch {
        entry = (0, node_path_1.join)(package_folders_cjs_1.LIB, 'thread.cjs');
    }
    // Some bundlers put a number of their own there.
    if (typeof entry === 'string' && (0, node_fs_1.existsSync)(entry))
        return entry;
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_FAILED', `start: the file that the threads of the pool run, thread.cjs, is missing: wsbroker is in a ` +
        'bundle. Leave it out (with esbuild: --external:wsbroker), or run the handlers on the ' +
        'calling thread (threads: 0)');
}
/** One thread. */
class PoolThread {
    id;
    /** Rejects if the thread fails or ends before it is ready. */
    ready;
    /** Resolves with the reason when the thread has ended. */
    ended;
    wasReady = false;
    #worker;
    #port;
    #startedAt = node_perf_hooks_1.performance.now();
    #error;
    constructor(file, { workerData, options }, startTimeout) {
        const { port1, port2 } = new node_worker_threads_1.MessageChannel();
        const wsbroker = { file, port: port2, workerData };
        const worker = new node_worker_threads_1.Worker(threadFile(), {
            ...options,
            workerData: { wsbroker },
            transferList: [port2],
        });
        this.#worker = worker;
        this.#port = port1;
        this.id = worker.threadId;
        worker.on('error', (error) => (this.#error ??= error));
        this.ended = new Promise((resolve) => {
            worker.on('exit', (code) => {
                port1.close();
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
                if (message.type === 'warning')
                    return (0, report_cjs_1.warnOnce)(message.text);
                loaded();
                if (message.type === 'loaded')
                    return;
                if (message.type === 'ready') {
                    this.wasReady = true;
                    resolve();
                }
                else {
                    this.#error = (0, errors_cjs_1.fromPortable)(message.error);
                    reject(this.#reason('ERR_WSBROKER_WORKER_FAILED', `worker ${file} failed to load`));
                    void worker.terminate();
                }
            });
            worker.on('exit', (code) => reject(this.#reason('ERR_WSBROKER_WORKER_FAILED', `worker ${file} exited with code ${code} before it was ready`)));
        });
        worker.unref();
        port1.unref();
    }
    age() {
        return node_perf_hooks_1.performance.now() - this.#startedAt;
    }
    /**
     * Lets the worker run `handleStop` first, if it is ready. A thread that a system call blocks
     * cannot be ended and is left behind.
     */
    async stop(timeout) {
        const deadline = node_perf_hooks_1.performance.now() + timeout;
        const last = Math.min(MAX_FOR_TERMINATION, timeout / 4);
        if (this.wasReady) {
            this.#port.postMessage({ type: 'stop', timeout: timeout - 2 * last });
            if (await (0, promises_cjs_1.within)(timeout - last, this.ended))
                return;
        }
        await (0, promises_cjs_1.within)(deadline - node_perf_hooks_1.performance.now(), this.#worker.terminate());
    }
    #reason(code, what) {
        const error = this.#error;
        if (error === undefined)
            return new errors_cjs_1.WSBrokerError(code, what);
        const message = error?.message;
        return new errors_cjs_1.WSBrokerError(code, `${what}: ${typeof message === 'string' ? message : (0, report_cjs_1.errorText)(error)}`, { cause: error });
    }
}
