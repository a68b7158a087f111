"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Pool = void 0;
exports.tellWatchers = tellWatchers;
const node_path_1 = require("node:path");
const node_perf_hooks_1 = require("node:perf_hooks");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const modules_cjs_1 = require("../worker/modules.cjs");
const report_cjs_1 = require("../report.cjs");
const promises_cjs_1 = require("../promises.cjs");
/**
 * A worker that lived this long did not die of its start: the next replacement comes at once again.
 */
const STEADY = 10_000;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;
/**
 * The last part of the time to stop in, at most: a thread that has not ended by itself is ended
 * from outside.
 */
const LAST = 250;
/**
 * The worker threads of a process: started together, each replaced when it ends though nobody
 * asked, stopped together. The threads keep nobody alive; who started them does that, as long as a
 * server listens.
 */
class Pool {
    file;
    threads;
    given;
    watchers;
    startTimeout;
    #members = new Set();
    /** Replacements that wait, and how to start them. */
    #pauses = new Map();
    #hurried = false;
    #stopping = false;
    /**
     * @param given what the threads are started with
     * @param watchers told of every start and end; they come and go while it runs
     * @param startTimeout milliseconds for a thread to load the module, 0 = no limit
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
     * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED with the first failure as `cause`; the
     * others are to be stopped then
     */
    async start() {
        await Promise.all(Array.from({ length: this.threads }, () => this.#launch(0).ready));
    }
    /**
     * A shutdown has begun. While no worker is there, events wait for one, and there is no time for
     * pauses.
     */
    hurry() {
        this.#hurried = true;
        const [first] = this.#pauses;
        if (this.#members.size > 0 || first === undefined)
            return;
        clearTimeout(first[0]);
        first[1]();
    }
    /**
     * Ends all threads within `timeout` milliseconds; `handleStop` has a quarter of it at least.
     * Never rejects.
     */
    async stop(timeout) {
        this.#stopping = true;
        for (const pause of this.#pauses.keys())
            clearTimeout(pause);
        await Promise.all([...this.#members].map((member) => member.stop(timeout)));
    }
    #launch(failures) {
        const member = new Member(this.file, this.given, this.startTimeout);
        this.#members.add(member);
        member.ready.then(() => this.#tell({ type: 'started', workerId: member.id }), () => undefined);
        void member.ended.then((reason) => {
            this.#members.delete(member);
            if (this.#stopping) {
                if (member.wasReady)
                    this.#tell({ type: 'stopped', workerId: member.id });
            }
            else if (member.wasReady)
                this.#replace(member, 'died', reason, member.age() >= STEADY ? 0 : failures);
            else if (failures > 0)
                this.#replace(member, 'failed', reason, failures);
        });
        return member;
    }
    #replace(member, type, reason, failures) {
        const longest = this.#hurried && this.#members.size === 0 ? FIRST_PAUSE : LONGEST_PAUSE;
        const pause = failures === 0 ? 0 : Math.min(longest, FIRST_PAUSE * 2 ** (failures - 1));
        const launch = () => {
            this.#pauses.delete(timer);
            this.#launch(failures + 1).ready.catch(() => undefined);
        };
        const timer = setTimeout(launch, pause);
        timer.unref?.();
        this.#pauses.set(timer, launch);
        if (this.watchers.size === 0)
            (0, report_cjs_1.complain)(`worker ${member.id} ${type}; another is started in ${pause} ms`, reason);
        const untoldClients = load_cjs_1.native.clientsLeftBy(member.id);
        this.#tell({ type, workerId: member.id, reason, ...(untoldClients > 0 && { untoldClients }) });
    }
    #tell(event) {
        tellWatchers(this.watchers.values(), event);
    }
}
exports.Pool = Pool;
/** Calls all of them; one that throws is reported. */
function tellWatchers(watchers, event) {
    for (const watcher of watchers) {
        try {
            watcher(event);
        }
        catch (error) {
            (0, report_cjs_1.complain)('onWorker failed', error);
        }
    }
}
/** One thread. */
class Member {
    id;
    /** Rejects if the thread fails or ends before it is ready. */
    ready;
    /** Resolves with the reason when the thread has ended. */
    ended;
    wasReady = false;
    #worker;
    #port;
    #born = node_perf_hooks_1.performance.now();
    #error;
    constructor(file, { workerData, options }, startTimeout) {
        const { port1, port2 } = new node_worker_threads_1.MessageChannel();
        const wsbroker = { file, port: port2, workerData };
        const worker = new node_worker_threads_1.Worker((0, node_path_1.join)(__dirname, 'thread.cjs'), {
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
                resolve(this.#reason('ERR_WSBROKER_WORKER_DIED', `worker ${this.id} (${file}) ended with code ${code}`));
            });
        });
        this.ready = new Promise((resolve, reject) => {
            const fail = () => {
                this.#error = (0, modules_cjs_1.loadTimeout)(file, startTimeout);
                reject(this.#error);
                void worker.terminate();
            };
            let late;
            // Behind the messages that are there, should this thread itself have been busy.
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
            worker.on('exit', (code) => reject(this.#reason('ERR_WSBROKER_WORKER_FAILED', `worker ${file} ended with code ${code} before it was ready`)));
        });
        worker.unref();
        port1.unref();
    }
    age() {
        return node_perf_hooks_1.performance.now() - this.#born;
    }
    /**
     * Lets a ready one run `handleStop` first. A thread that cannot be ended, because a system call
     * blocks it, is left behind.
     */
    async stop(timeout) {
        const deadline = node_perf_hooks_1.performance.now() + timeout;
        const last = Math.min(LAST, timeout / 4);
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
