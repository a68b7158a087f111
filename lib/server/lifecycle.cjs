"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.startServer = startServer;
exports.shutdownAll = shutdownAll;
const node_perf_hooks_1 = require("node:perf_hooks");
const node_util_1 = require("node:util");
const node_worker_threads_1 = require("node:worker_threads");
const advice_cjs_1 = require("../options/advice.cjs");
const process_cjs_1 = require("../options/process.cjs");
const cluster_cjs_1 = require("../options/cluster.cjs");
const copies_cjs_1 = require("../native/copies.cjs");
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const modules_cjs_1 = require("../worker/modules.cjs");
const pool_cjs_1 = require("../pool/pool.cjs");
const redis_cjs_1 = require("../options/redis.cjs");
const register_cjs_1 = require("../worker/register.cjs");
const report_cjs_1 = require("../report.cjs");
const async_scope_cjs_1 = require("../async-scope.cjs");
const syntax_cjs_1 = require("../worker/syntax.cjs");
const threads_cjs_1 = require("../options/threads.cjs");
const tls_cjs_1 = require("../options/tls.cjs");
/** For a Redis that is required. */
const BUS_TIMEOUT = 10_000;
/** For `handleStop` of workers that must go because another did not load. */
const UNDO_TIMEOUT = 5_000;
/**
 * The last part of the time that `shutdown` has, an eighth within these bounds, is for `handleStop`
 * and the end of threads.
 */
const LEAST_FOR_WORKERS = 100;
const MOST_FOR_WORKERS = 1_000;
const servers = new Map();
/** Each as it is called, by what was given. */
const watchers = new Map();
let workers;
let agreed;
let joined;
/** Aborted by `shutdown`: a `start` before it gives up. */
let era = new AbortController();
/** When the next shutdown, or the one under way, must be over. */
let due = Infinity;
let last = Promise.resolve();
function startServer(request) {
    if (register_cjs_1.thread.inPool && request.workerPath !== undefined) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_IN_WORKER', 'start: a worker of the pool cannot start workers; call start with "workerPath" on the thread that is to own them');
    }
    const file = request.workerPath === undefined ? undefined : (0, modules_cjs_1.workerFile)(request.workerPath);
    let begun = false;
    return unlessAborted(request.signal, (signal) => {
        const started = inTurn(() => {
            begun = true;
            return start(request, file, signal);
        });
        // While another one is under way there is nothing to undo.
        const early = new Promise((_, reject) => signal.addEventListener('abort', () => !begun && reject(signal.reason)));
        return Promise.race([started, early]);
    });
}
/**
 * @param own the application's signal: aborted before the start is done, the start rejects with its
 * reason (at once if it has not begun); afterwards it closes the server
 * @param begin is given one that shutdown aborts, too, with an error as its reason
 */
async function unlessAborted(own, begin) {
    const isAborted = () => own?.aborted === true;
    if (isAborted())
        throw own?.reason;
    const either = new AbortController();
    const onShutdown = () => either.abort(new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'start: shutdown was called before it was done'));
    const onAbort = () => either.abort(own?.reason);
    const { signal: shut } = era;
    shut.addEventListener('abort', onShutdown);
    own?.addEventListener('abort', onAbort);
    try {
        const server = await begin(either.signal);
        if (isAborted()) {
            await server.close();
            throw own?.reason;
        }
        return server;
    }
    finally {
        shut.removeEventListener('abort', onShutdown);
        own?.removeEventListener('abort', onAbort);
    }
}
function shutdownAll(code, timeout) {
    if (register_cjs_1.thread.inPool)
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_IN_WORKER', 'shutdown: a worker of the pool cannot end itself; call shutdown on the thread that called start');
    const others = (0, copies_cjs_1.activeOthers)();
    return others.length === 0
        ? shutdownHere(code, timeout)
        : holding(() => shutdownCopies([...others, { shutdown: shutdownHere }], code, timeout));
}
(0, copies_cjs_1.endBy)({
    isActive: () => busy > 0 ||
        servers.size > 0 ||
        workers !== undefined ||
        agreed !== undefined ||
        joined !== undefined ||
        (0, register_cjs_1.currentRegistration)() !== undefined,
    shutdown: shutdownHere,
});
function shutdownHere(code, timeout) {
    const deadline = node_perf_hooks_1.performance.now() + timeout;
    due = Math.min(due, deadline);
    era.abort();
    era = new AbortController();
    return inTurn(() => shutdown(code, timeout, deadline));
}
/** One after the other, since they may share a broker. */
async function shutdownCopies(copies, code, timeout) {
    const deadline = node_perf_hooks_1.performance.now() + timeout;
    const all = { closed: 0, terminated: 0 };
    for (const copy of copies) {
        const { closed, terminated } = await copy.shutdown(code, Math.max(0, Math.floor(deadline - node_perf_hooks_1.performance.now())));
        all.closed += closed;
        all.terminated += terminated;
    }
    return all;
}
async function start(request, file, signal) {
    const undo = [];
    let listened = false;
    try {
        checkShutdown(signal);
        const options = agree(request.process);
        checkWorkers(file, request.process.threads, request.threads);
        if (agreed === undefined) {
            agreed = options;
            undo.push(() => (agreed = undefined));
        }
        const { onWorker } = request;
        if (onWorker !== undefined && !watchers.has(onWorker)) {
            watchers.set(onWorker, (0, async_scope_cjs_1.inScopeHere)(onWorker));
            undo.push(() => watchers.delete(onWorker));
        }
        if (request.cluster !== undefined && !isJoined(request.cluster)) {
            (0, cluster_cjs_1.join)(request.cluster);
            joined = request.cluster;
            undo.push(async () => {
                // Others may use the broker: then it stays joined, and who tries again agrees with that.
                if (await load_cjs_1.native.leaveCluster())
                    joined = undefined;
            });
        }
        // The address first: who cannot have it need not load anything.
        const tls = request.tls === undefined
            ? undefined
            : await unlessShutdown(signal, (0, tls_cjs_1.readTls)('start', request.tls));
        listened = true;
        if (!node_worker_threads_1.isMainThread)
            load_cjs_1.native.endWithThread();
        const listener = await listen({ ...request.listener, tls, process: (0, process_cjs_1.toNative)(options) });
        undo.push(() => load_cjs_1.native.closeListener(listener));
        checkShutdown(signal);
        if (request.cluster?.required === true)
            await unlessShutdown(signal, (0, cluster_cjs_1.busReady)(BUS_TIMEOUT));
        await readyWorkers(file, request, signal, undo);
        load_cjs_1.native.watchWorkers(tellOfStuck);
        const place = load_cjs_1.native.listenerAddress(listener);
        load_cjs_1.native.serve(listener);
        return server(listener, place, request.tls, request.signal);
    }
    catch (error) {
        for (const step of undo.reverse())
            await attempt(step);
        // Who did not get that far leaves nothing behind; a broker that is there then is another
        // thread's.
        if (listened)
            await attempt(dropUnusedBroker);
        throw error;
    }
}
async function listen(options) {
    try {
        return await load_cjs_1.native.listen(options);
    }
    catch (error) {
        throw (0, advice_cjs_1.addressFailed)((0, errors_cjs_1.fromNative)(error), options.bind, options.reusePort);
    }
}
/** The failure that led here is the one to be told. */
async function attempt(step) {
    try {
        await step();
    }
    catch {
        // Nothing is left to be done about it.
    }
}
function server(listener, { address, port, url }, tls, signal) {
    let closing;
    let reloaded = Promise.resolve();
    const close = async () => {
        if (!servers.has(listener))
            return;
        forget();
        await load_cjs_1.native.closeListener(listener);
        servers.delete(listener);
    };
    const reload = async (wanted) => {
        if (tls === undefined)
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_TLS', 'reloadTls: this server was started without "tls"');
        const next = wanted ?? tls;
        const pem = await (0, tls_cjs_1.readTls)('reloadTls', next);
        if (closing !== undefined || !servers.has(listener))
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_TLS', 'reloadTls: this server is closed');
        try {
            load_cjs_1.native.reloadTls(listener, pem);
        }
        catch (error) {
            throw (0, errors_cjs_1.fromNative)(error);
        }
        tls = next;
    };
    const holds = (ref) => {
        const listening = servers.get(listener);
        if (listening !== undefined)
            listening.ref = ref;
        holdIfNeeded();
        return self;
    };
    const self = {
        address,
        port,
        url,
        close: () => (closing ??= holding(close)),
        ref: () => holds(true),
        unref: () => holds(false),
        // Node before 18.18 has no such symbol.
        ...(Symbol.asyncDispose !== undefined && {
            [Symbol.asyncDispose]: () => self.close(),
        }),
        async reloadTls(options) {
            const wanted = options === undefined ? undefined : (0, tls_cjs_1.tlsRequest)('reloadTls', options);
            // One after the other, so that the last call's certificate is the one that stays.
            const result = reloaded.then(() => reload(wanted));
            reloaded = result.catch(() => undefined);
            return result;
        },
        async reloadBus(redis) {
            const next = (0, redis_cjs_1.redisRequest)('reloadBus', 'redis', redis);
            try {
                await load_cjs_1.native.reloadCluster(next);
            }
            catch (error) {
                throw (0, errors_cjs_1.fromNative)(error);
            }
            // A later start with these agrees with what is there.
            if (joined !== undefined)
                joined = { ...joined, native: { ...joined.native, redis: next } };
        },
    };
    const onAbort = () => void self
        .close()
        .catch((error) => (0, report_cjs_1.complain)('a server whose signal was aborted did not close', error));
    const forget = () => signal?.removeEventListener('abort', onAbort);
    signal?.addEventListener('abort', onAbort);
    servers.set(listener, { ref: true, forget });
    return self;
}
/** It is over at the deadline, whatever hangs. */
async function shutdown(code, timeout, deadline) {
    const left = () => Math.max(0, deadline - node_perf_hooks_1.performance.now());
    const pool = workers !== undefined && 'pool' in workers ? workers.pool : undefined;
    pool?.hurry();
    const forWorkers = Math.max(LEAST_FOR_WORKERS, Math.min(MOST_FOR_WORKERS, timeout / 8));
    const { closed, terminated } = await load_cjs_1.native.shutdownBroker(code, Math.max(0, left() - forWorkers), pool !== undefined);
    // What was joined before there was anything to shut down.
    await load_cjs_1.native.leaveCluster();
    for (const { forget } of servers.values())
        forget();
    servers.clear();
    const rest = Math.max(LEAST_FOR_WORKERS, left());
    await Promise.all([pool?.stop(rest), (0, register_cjs_1.currentRegistration)()?.stop(rest)]);
    workers = undefined;
    agreed = undefined;
    joined = undefined;
    due = Infinity;
    load_cjs_1.native.watchWorkers();
    watchers.clear();
    return { closed, terminated };
}
/** For `handleStop` of workers that must end because a `start` failed: less if a shutdown waits. */
function undoTimeout() {
    return Math.max(LEAST_FOR_WORKERS, Math.min(UNDO_TIMEOUT, due - node_perf_hooks_1.performance.now()));
}
/** Called by the addon, once each time a worker is stuck, whichever thread owns it. */
function tellOfStuck(workerId) {
    const what = `worker ${workerId} has taken nothing for a second, though something waits for it: the usual cause is a handler that does not return; new connections go to other workers, if there are any`;
    const reason = new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_STUCK', what);
    if (watchers.size === 0)
        (0, report_cjs_1.complain)(`worker ${workerId} is stuck`, reason.message);
    (0, pool_cjs_1.tellWatchers)(watchers.values(), { type: 'stuck', workerId, reason });
}
// Options.
/** The process-wide options with this call's, which may not differ from an earlier one's. */
function agree({ threads: _, ...given }) {
    if (agreed === undefined)
        return (0, process_cjs_1.following)(load_cjs_1.native, given, false);
    for (const [name, value] of Object.entries(given)) {
        const before = agreed[name];
        if (value !== before)
            throw conflict(name, before, value);
    }
    return agreed;
}
/** An earlier `start` of this thread has joined with the same options. */
function isJoined({ native: options, onBus }) {
    return (joined !== undefined && joined.onBus === onBus && (0, node_util_1.isDeepStrictEqual)(joined.native, options));
}
function conflict(name, before, now) {
    const was = before === undefined ? 'off' : String(before);
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `start: "${name}" holds for the whole process and is ${was} since an earlier start, got ${String(now)}; ${advice_cjs_1.START_OVER}`);
}
// Workers.
function checkWorkers(file, threads, given) {
    if (given !== undefined &&
        workers !== undefined &&
        !('pool' in workers && (0, threads_cjs_1.sameThreads)(workers.pool.given, given))) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `start: "worker" holds for the whole process, and an earlier start gave other values; ${advice_cjs_1.START_OVER}`);
    }
    if (given !== undefined && workers === undefined && file === undefined)
        throw new errors_cjs_1.WSBrokerRangeError('start: "worker" needs "workerPath", the module that the worker threads load');
    if (file === undefined) {
        if (workers !== undefined || (0, register_cjs_1.currentRegistration)() !== undefined || load_cjs_1.native.workerCount() > 0)
            return;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_NO_WORKER', 'start: "workerPath" is needed, since no worker is registered (registerWorkerThread)');
    }
    if (workers === undefined) {
        if (threads !== 0 || (0, register_cjs_1.currentRegistration)() === undefined)
            return;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', 'start: "threads" is 0, but this thread has registered handlers already');
    }
    if (workers.file !== file)
        throw conflict('workerPath', workers.file, file);
    const running = 'pool' in workers ? workers.pool.threads : 0;
    if (threads !== undefined && threads !== running)
        throw conflict('threads', running, threads);
}
async function readyWorkers(file, request, signal, undo) {
    const { process: { threads }, threads: given, startTimeout, } = request;
    try {
        await unlessShutdown(signal, (0, register_cjs_1.currentRegistration)()?.ready ?? Promise.resolve());
        if (file === undefined || workers !== undefined)
            return;
        if (threads === 0) {
            const loading = (0, modules_cjs_1.loadWorker)(file, startTimeout);
            undo.push(() => void loading.then((late) => late.stop(undoTimeout()), () => undefined));
            workers = { file, registration: await unlessShutdown(signal, loading) };
        }
        else {
            const pool = new pool_cjs_1.Pool(file, threads ?? Math.max(4, load_cjs_1.native.brokerDefaults().cpus), given ?? threads_cjs_1.NO_THREAD_OPTIONS, watchers, startTimeout);
            undo.push(() => pool.stop(undoTimeout()));
            await unlessShutdown(signal, pool.start());
            workers = { file, pool };
        }
        undo.push(() => (workers = undefined));
    }
    catch (error) {
        const refused = (0, threads_cjs_1.threadFailed)(error);
        if (refused !== error || (signal.aborted && error === signal.reason))
            throw refused;
        const more = file === undefined
            ? ''
            : await unlessShutdown(signal, (0, syntax_cjs_1.moreAbout)(file, error instanceof errors_cjs_1.WSBrokerError ? error.cause : error)).catch(() => '');
        if (error instanceof errors_cjs_1.WSBrokerError && error.code === 'ERR_WSBROKER_WORKER_FAILED') {
            error.message += more;
            throw error;
        }
        const message = error?.message;
        const what = `start: worker ${file ?? 'of this thread'} failed to load: ${typeof message === 'string' ? message : (0, report_cjs_1.errorText)(error)}${more}`;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what, { cause: error });
    }
}
/**
 * A `start` that failed leaves no broker with its options behind, unless another thread uses it.
 */
async function dropUnusedBroker() {
    if (servers.size > 0 ||
        agreed !== undefined ||
        (0, register_cjs_1.currentRegistration)() !== undefined ||
        load_cjs_1.native.workerCount() > 0 ||
        load_cjs_1.native.instanceCount() > 0)
        return;
    await load_cjs_1.native.shutdownBroker(1001, 0);
}
// Turns, and who keeps the process alive.
function inTurn(task) {
    const result = holding(() => last.then(task));
    last = result.catch(() => undefined);
    return result;
}
let busy = 0;
let hold;
/** While the task runs, and while a server listens, the process does not exit by itself. */
async function holding(task) {
    busy++;
    holdIfNeeded();
    try {
        return await task();
    }
    finally {
        busy--;
        holdIfNeeded();
    }
}
function holdIfNeeded() {
    if (busy > 0 || [...servers.values()].some(({ ref }) => ref)) {
        hold ??= setInterval(() => undefined, 2 ** 30);
    }
    else {
        clearInterval(hold);
        hold = undefined;
    }
}
function checkShutdown(signal) {
    if (signal.aborted)
        throw signal.reason;
}
async function unlessShutdown(signal, promise) {
    checkShutdown(signal);
    let onAbort = () => undefined;
    const aborted = new Promise((resolve) => {
        onAbort = resolve;
        signal.addEventListener('abort', onAbort);
    });
    try {
        const result = await Promise.race([promise, aborted]);
        checkShutdown(signal);
        return result;
    }
    finally {
        signal.removeEventListener('abort', onAbort);
    }
}
