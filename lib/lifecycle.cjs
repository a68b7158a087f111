"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.startServer = startServer;
exports.shutdownAll = shutdownAll;
const node_perf_hooks_1 = require("node:perf_hooks");
const node_util_1 = require("node:util");
const agreed_cjs_1 = require("./agreed.cjs");
const cluster_cjs_1 = require("./cluster.cjs");
const redis_cjs_1 = require("./redis.cjs");
const errors_cjs_1 = require("./errors.cjs");
const load_cjs_1 = require("./load.cjs");
const modules_cjs_1 = require("./modules.cjs");
const pool_cjs_1 = require("./pool.cjs");
const register_cjs_1 = require("./register.cjs");
const report_cjs_1 = require("./report.cjs");
const tls_cjs_1 = require("./tls.cjs");
/** For a Redis that is required. */
const BUS_TIMEOUT = 10_000;
/** For `handleStop` of workers that must go because another did not load. */
const UNDO_TIMEOUT = 5_000;
/** For `handleStop` even if connections have used up the time that `shutdown` has. */
const LEAST_TIMEOUT = 1_000;
const servers = new Set();
const watchers = new Set();
let workers;
let agreed;
let joined;
/** Aborted by `shutdown`: a `start` before it gives up. */
let era = new AbortController();
let last = Promise.resolve();
function startServer(request) {
    if (register_cjs_1.thread.inPool && request.workerPath !== undefined) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_IN_WORKER', 'start: a worker of the pool cannot start workers; call start with "workerPath" on the thread that shall own them');
    }
    const file = request.workerPath === undefined ? undefined : (0, modules_cjs_1.workerFile)(request.workerPath);
    const { signal } = era;
    return inTurn(() => start(request, file, signal));
}
function shutdownAll(code, timeout) {
    if (register_cjs_1.thread.inPool)
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_IN_WORKER', 'shutdown: a worker of the pool cannot end itself; call shutdown on the thread that called start');
    era.abort();
    era = new AbortController();
    return inTurn(() => shutdown(code, timeout));
}
async function start(request, file, signal) {
    const undo = [];
    let listened = false;
    try {
        checkShutdown(signal);
        const options = agree(request.process);
        checkWorkers(file, request.process.threads);
        if (agreed === undefined) {
            agreed = options;
            undo.push(() => (agreed = undefined));
        }
        const { onWorker } = request;
        if (onWorker !== undefined && !watchers.has(onWorker)) {
            watchers.add(onWorker);
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
        const tls = request.tls === undefined ? undefined : await unlessShutdown(signal, (0, tls_cjs_1.readTls)('start', request.tls));
        listened = true;
        const listener = await listen({ ...request.listener, tls, process: (0, agreed_cjs_1.toNative)(options) });
        undo.push(() => load_cjs_1.native.closeListener(listener));
        checkShutdown(signal);
        if (request.cluster?.required === true)
            await unlessShutdown(signal, (0, cluster_cjs_1.busReady)(BUS_TIMEOUT));
        await readyWorkers(file, request.process.threads, signal, undo);
        const place = load_cjs_1.native.listenerAddress(listener);
        load_cjs_1.native.serve(listener);
        servers.add(listener);
        return server(listener, place, request.tls);
    }
    catch (error) {
        for (const step of undo.reverse())
            await attempt(step);
        // Who did not get that far leaves nothing behind; a broker that is there then is another thread's.
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
        throw (0, errors_cjs_1.fromNative)(error);
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
function server(listener, { address, port, url }, tls) {
    let closing;
    let reloaded = Promise.resolve();
    const close = async () => {
        if (!servers.has(listener))
            return;
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
    return {
        address,
        port,
        url,
        close: () => (closing ??= holding(close)),
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
}
async function shutdown(code, timeout) {
    const deadline = node_perf_hooks_1.performance.now() + timeout;
    const pool = workers !== undefined && 'pool' in workers ? workers.pool : undefined;
    const { closed, terminated } = await load_cjs_1.native.shutdownBroker(code, timeout, pool !== undefined);
    // What was joined before there was anything to shut down.
    await load_cjs_1.native.leaveCluster();
    servers.clear();
    const left = Math.max(LEAST_TIMEOUT, deadline - node_perf_hooks_1.performance.now());
    await Promise.all([pool?.stop(left), (0, register_cjs_1.currentRegistration)()?.stop(left)]);
    workers = undefined;
    agreed = undefined;
    joined = undefined;
    watchers.clear();
    return { closed, terminated };
}
// Options.
/** The process-wide options with this call's, which may not differ from an earlier one's. */
function agree({ threads: _, ...given }) {
    if (agreed === undefined)
        return (0, agreed_cjs_1.following)(load_cjs_1.native, given, false);
    for (const [name, value] of Object.entries(given)) {
        const before = agreed[name];
        if (value !== before)
            throw conflict(name, before, value);
    }
    return agreed;
}
/** An earlier `start` of this thread has joined with the same options. */
function isJoined({ native: options, onBus }) {
    return joined !== undefined && joined.onBus === onBus && (0, node_util_1.isDeepStrictEqual)(joined.native, options);
}
function conflict(name, before, now) {
    const was = before === undefined ? 'off' : String(before);
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `start: "${name}" holds for the whole process and is ${was} since an earlier start, got ${String(now)}`);
}
// Workers.
function checkWorkers(file, threads) {
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
async function readyWorkers(file, threads, signal, undo) {
    try {
        await unlessShutdown(signal, (0, register_cjs_1.currentRegistration)()?.ready ?? Promise.resolve());
        if (file === undefined || workers !== undefined)
            return;
        if (threads === 0) {
            const loading = (0, modules_cjs_1.loadWorker)(file);
            undo.push(() => void loading.then((late) => late.stop(UNDO_TIMEOUT), () => undefined));
            workers = { file, registration: await unlessShutdown(signal, loading) };
        }
        else {
            const pool = new pool_cjs_1.Pool(file, threads ?? Math.max(4, load_cjs_1.native.brokerDefaults().cpus), watchers);
            undo.push(() => pool.stop(UNDO_TIMEOUT));
            await unlessShutdown(signal, pool.start());
            workers = { file, pool };
        }
        undo.push(() => (workers = undefined));
    }
    catch (error) {
        if (error instanceof errors_cjs_1.WSBrokerError && ['ERR_WSBROKER_WORKER_FAILED', 'ERR_WSBROKER_SHUT_DOWN'].includes(error.code))
            throw error;
        const message = error?.message;
        const what = `start: worker ${file ?? 'of this thread'} failed to load: ${typeof message === 'string' ? message : (0, report_cjs_1.errorText)(error)}`;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what, { cause: error });
    }
}
/** A `start` that failed leaves no broker with its options behind, unless another thread uses it. */
async function dropUnusedBroker() {
    if (servers.size > 0 || agreed !== undefined || (0, register_cjs_1.currentRegistration)() !== undefined || load_cjs_1.native.workerCount() > 0 || load_cjs_1.native.instanceCount() > 0)
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
    hold ??= setInterval(() => undefined, 2 ** 30);
    try {
        return await task();
    }
    finally {
        busy--;
        if (busy === 0 && servers.size === 0) {
            clearInterval(hold);
            hold = undefined;
        }
    }
}
function checkShutdown(signal) {
    if (signal.aborted)
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'start: shutdown was called before it was done');
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
