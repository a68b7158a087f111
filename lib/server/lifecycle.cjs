"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.startServer = startServer;
exports.shutdownAll = shutdownAll;
exports.shutdownHere = shutdownHere;
exports.untilNextShutdown = untilNextShutdown;
exports.inTurn = inTurn;
const node_perf_hooks_1 = require("node:perf_hooks");
const node_util_1 = require("node:util");
const node_worker_threads_1 = require("node:worker_threads");
const async_scope_cjs_1 = require("../async-scope.cjs");
const errors_cjs_1 = require("../errors.cjs");
const copies_cjs_1 = require("../native/copies.cjs");
const join_cluster_cjs_1 = require("../native/join-cluster.cjs");
const load_cjs_1 = require("../native/load.cjs");
const advice_cjs_1 = require("../options/advice.cjs");
const process_cjs_1 = require("../options/process.cjs");
const tls_cjs_1 = require("../options/tls.cjs");
const pool_cjs_1 = require("../pool/pool.cjs");
const report_cjs_1 = require("../report.cjs");
const dispatch_cjs_1 = require("../worker/dispatch.cjs");
const module_file_cjs_1 = require("../worker/module-file.cjs");
const register_cjs_1 = require("../worker/register.cjs");
const abort_cjs_1 = require("./abort.cjs");
const keep_alive_cjs_1 = require("./keep-alive.cjs");
const http_server_cjs_1 = require("./http-server.cjs");
const server_object_cjs_1 = require("./server-object.cjs");
const workers_cjs_1 = require("./workers.cjs");
// `start` and `shutdown`, and the servers and workers of this thread. Calls of `start` and
// `shutdown` run one after the other, so that none of them sees another one half done.
/** How long `start` waits for a Redis that is required, in milliseconds. */
const BUS_TIMEOUT = 10_000;
/** For `handleStop` of workers that end because another one did not load. */
const UNDO_TIMEOUT = 5_000;
/**
 * The last part of the time that `shutdown` has, an eighth within these bounds, is for `handleStop`
 * and the end of threads.
 */
const LEAST_FOR_WORKERS = 100;
const MOST_FOR_WORKERS = 1_000;
/** The functions that `onWorker` gave, each with the one that calls it in its async context. */
const watchers = new Map();
let processOptions;
let joined;
/** Aborted by `shutdown`, so that a `start` under way gives up. */
let untilShutdown = new AbortController();
/** When the next shutdown, or the one that is under way, must be over. */
let nextDeadline = Infinity;
let lastTask = Promise.resolve();
function startServer(request) {
    if (register_cjs_1.thread.inPool && request.workerPath !== undefined) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_IN_WORKER', 'start: a worker module cannot start workers; it is loaded in every worker thread, so call ' +
            'start with "workerPath" in another module, which your program runs');
    }
    const file = request.workerPath === undefined ? undefined : (0, module_file_cjs_1.findModuleFile)(request.workerPath);
    let begun = false;
    return withSignals(request.signal, (signal) => {
        const started = inTurn(() => {
            begun = true;
            return start(request, file, signal);
        });
        // While an earlier call is under way, this one has nothing to undo.
        const early = new Promise((_, reject) => signal.addEventListener('abort', () => !begun && reject(signal.reason)));
        return Promise.race([started, early]);
    });
}
/**
 * @param own the application's signal: if it is aborted before the start is done, the start rejects
 * with its reason, at once if it has not begun
 * @param begin gets a signal that `shutdown` aborts, too, with an error as its reason
 */
async function withSignals(own, begin) {
    const isAborted = () => own?.aborted === true;
    if (isAborted())
        throw own?.reason;
    const either = new AbortController();
    const onShutdown = () => either.abort(new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'start: shutdown was called before the server was ready'));
    const onAbort = () => either.abort(own?.reason);
    const { signal: shut } = untilShutdown;
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
    if (register_cjs_1.thread.inPool) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_IN_WORKER', 'shutdown: a worker of the pool cannot shut down; call shutdown on the thread that ' +
            'called start');
    }
    const others = (0, copies_cjs_1.otherActiveCopies)();
    return others.length === 0
        ? shutdownHere(code, timeout)
        : (0, keep_alive_cjs_1.keepingAlive)(() => shutdownCopies([...others, { shutdown: shutdownHere }], code, timeout));
}
(0, copies_cjs_1.setCopyLifecycle)({
    isActive: () => (0, keep_alive_cjs_1.hasTasks)() ||
        keep_alive_cjs_1.servers.size > 0 ||
        (0, workers_cjs_1.hasWorkers)() ||
        processOptions !== undefined ||
        joined !== undefined ||
        (0, register_cjs_1.currentRegistration)() !== undefined,
    shutdown: shutdownHere,
});
/** Shuts down what this copy of the package has in this thread. */
function shutdownHere(code, timeout) {
    const deadline = node_perf_hooks_1.performance.now() + timeout;
    nextDeadline = Math.min(nextDeadline, deadline);
    untilShutdown.abort();
    untilShutdown = new AbortController();
    return inTurn(() => shutdown(code, timeout, deadline));
}
/** One after the other, because they may share a broker. */
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
        (0, abort_cjs_1.throwIfAborted)(signal);
        const options = mergeProcessOptions(request.process);
        // A listener without paths takes no sockets, so that it needs no worker.
        if (file !== undefined || request.listener.paths.length > 0) {
            (0, workers_cjs_1.checkWorkers)(file, request.process.threads, request.threads);
        }
        if (processOptions === undefined) {
            processOptions = options;
            undo.push(() => (processOptions = undefined));
        }
        const { onWorker } = request;
        if (onWorker !== undefined && !watchers.has(onWorker)) {
            watchers.set(onWorker, (0, async_scope_cjs_1.inScopeHere)(onWorker));
            undo.push(() => watchers.delete(onWorker));
        }
        if (request.cluster !== undefined && !isJoined(request.cluster)) {
            (0, join_cluster_cjs_1.joinCluster)(request.cluster);
            joined = request.cluster;
            undo.push(async () => {
                // If others use the broker, it stays joined, and the next attempt finds the same options.
                if (await load_cjs_1.native.leaveCluster())
                    joined = undefined;
            });
        }
        // The address comes first: without it there is no need to load anything.
        const tls = request.tls === undefined
            ? undefined
            : await (0, abort_cjs_1.unlessAborted)(signal, (0, tls_cjs_1.readTls)('start', request.tls));
        const target = request.http?.target;
        let inner;
        if (target !== undefined) {
            const opened = (inner = await (0, http_server_cjs_1.openInnerServer)(target));
            undo.push(() => opened.close());
        }
        (0, abort_cjs_1.throwIfAborted)(signal);
        listened = true;
        if (!node_worker_threads_1.isMainThread)
            load_cjs_1.native.endWithThread();
        const listener = await listen({
            ...request.listener,
            tls,
            http: request.http && {
                ...request.http.native,
                forward: inner?.forward,
                identity: inner?.identity,
            },
            process: (0, process_cjs_1.toNativeProcessOptions)(options),
        });
        undo.push(() => load_cjs_1.native.closeListener(listener));
        (0, abort_cjs_1.throwIfAborted)(signal);
        if (request.cluster?.required === true) {
            await (0, abort_cjs_1.unlessAborted)(signal, (0, join_cluster_cjs_1.busReady)(BUS_TIMEOUT));
            load_cjs_1.native.requireCluster();
        }
        await (0, workers_cjs_1.startWorkers)(file, request, { signal, watchers, undo, undoTimeout });
        load_cjs_1.native.watchWorkers(watchStuckWorkers);
        if (Object.keys(request.process).some((name) => name.startsWith('watchdog.'))) {
            load_cjs_1.native.watchIdleWorkers();
        }
        const location = load_cjs_1.native.listenerAddress(listener);
        load_cjs_1.native.serve(listener);
        return (0, server_object_cjs_1.createServer)({
            listener,
            location,
            inner,
            tls: request.tls,
            signal: request.signal,
            busReloaded: (redis) => {
                // A later start with these settings agrees with them.
                if (joined !== undefined)
                    joined = { ...joined, native: { ...joined.native, redis } };
            },
        });
    }
    catch (error) {
        for (const step of undo.reverse())
            await attempt(step);
        // A start that did not get that far made no broker; one that exists belongs to another thread.
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
        throw (0, advice_cjs_1.explainBindError)((0, errors_cjs_1.fromNative)(error), options.bind, options.reusePort);
    }
}
/** Ignores errors: the one that led here is reported. */
async function attempt(step) {
    try {
        await step();
    }
    catch {
        // As above.
    }
}
/** Is over at the deadline, whatever hangs. */
async function shutdown(code, timeout, deadline) {
    const left = () => Math.max(0, deadline - node_perf_hooks_1.performance.now());
    const pool = (0, workers_cjs_1.currentPool)();
    pool?.hurry();
    const forWorkers = Math.max(LEAST_FOR_WORKERS, Math.min(MOST_FOR_WORKERS, timeout / 8));
    const { closed, terminated } = await load_cjs_1.native.shutdownBroker(code, Math.max(0, left() - forWorkers), pool !== undefined);
    // In case it was joined before there was a broker to shut down.
    await load_cjs_1.native.leaveCluster();
    const inner = [...keep_alive_cjs_1.servers.values()].map(({ closeInner }) => closeInner());
    for (const { forgetSignal } of keep_alive_cjs_1.servers.values())
        forgetSignal();
    keep_alive_cjs_1.servers.clear();
    const rest = Math.max(LEAST_FOR_WORKERS, left());
    await Promise.all([pool?.stop(rest), (0, register_cjs_1.currentRegistration)()?.stop(rest), ...inner]);
    (0, workers_cjs_1.forgetWorkers)();
    processOptions = undefined;
    joined = undefined;
    nextDeadline = Infinity;
    load_cjs_1.native.watchWorkers();
    watchers.clear();
    return { closed, terminated };
}
/** For `handleStop` of workers that end because a `start` failed: less if a shutdown waits. */
function undoTimeout() {
    return Math.max(LEAST_FOR_WORKERS, Math.min(UNDO_TIMEOUT, nextDeadline - node_perf_hooks_1.performance.now()));
}
/** Called by the addon, once each time that a worker of any thread is stuck. */
function watchStuckWorkers({ thread: workerId, duration, kind, socketId }) {
    const handler = kind === undefined ? undefined : dispatch_cjs_1.HANDLER_OF_EVENT[kind];
    const at = handler === undefined
        ? 'something on its thread, not necessarily a handler, does not return'
        : `${handler} of socket ${socketId} does not return`;
    const reason = new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_STUCK', `worker ${workerId} has not returned to its event loop for ${duration / 1000} s: ${at}; ` +
        'new connections go to other workers, if there are any');
    if (watchers.size === 0)
        (0, report_cjs_1.reportError)(`worker ${workerId} is stuck`, reason.message);
    (0, pool_cjs_1.notifyWatchers)(watchers.values(), {
        type: 'stuck',
        workerId,
        reason,
        duration,
        ...(handler !== undefined && { handler }),
        ...(handler !== undefined && socketId !== undefined && { socketId }),
    });
    if (processOptions?.['watchdog.action'] === 'replace') {
        void (0, workers_cjs_1.currentPool)()?.replaceStuck(workerId, reason);
    }
}
// Options.
/** The process-wide options with those of this call, which must not contradict earlier ones. */
function mergeProcessOptions({ threads: _, ...given }) {
    if (processOptions === undefined)
        return (0, process_cjs_1.processOptionsWith)(load_cjs_1.native, given, false);
    for (const [name, value] of Object.entries(given)) {
        const before = processOptions[name];
        if (!(0, node_util_1.isDeepStrictEqual)(value, before))
            throw (0, advice_cjs_1.conflictWithEarlier)(name, before, value);
    }
    return processOptions;
}
/** Whether an earlier `start` of this thread has joined with the same options. */
function isJoined({ native: options, onBus }) {
    return (joined !== undefined && joined.onBus === onBus && (0, node_util_1.isDeepStrictEqual)(joined.native, options));
}
/**
 * A `start` that failed leaves no broker with its options behind, unless another thread uses one.
 */
async function dropUnusedBroker() {
    if (keep_alive_cjs_1.servers.size > 0 ||
        processOptions !== undefined ||
        (0, register_cjs_1.currentRegistration)() !== undefined ||
        load_cjs_1.native.workerCount() > 0 ||
        load_cjs_1.native.instanceCount() > 0) {
        return;
    }
    await load_cjs_1.native.shutdownBroker(1001, 0);
}
/** Aborted by the next `shutdown`, with an error as its reason. */
function untilNextShutdown() {
    return untilShutdown.signal;
}
/** One task after the other. */
function inTurn(task) {
    const result = (0, keep_alive_cjs_1.keepingAlive)(() => lastTask.then(task));
    lastTask = result.catch(() => undefined);
    return result;
}
