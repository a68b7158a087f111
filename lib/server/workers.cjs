"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.hasWorkers = hasWorkers;
exports.currentPool = currentPool;
exports.forgetWorkers = forgetWorkers;
exports.checkWorkers = checkWorkers;
exports.startWorkers = startWorkers;
exports.explain = explain;
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const advice_cjs_1 = require("../options/advice.cjs");
const threads_cjs_1 = require("../options/threads.cjs");
const pool_cjs_1 = require("../pool/pool.cjs");
const report_cjs_1 = require("../report.cjs");
const load_errors_cjs_1 = require("../worker/load-errors.cjs");
const modules_cjs_1 = require("../worker/modules.cjs");
const register_cjs_1 = require("../worker/register.cjs");
const abort_cjs_1 = require("./abort.cjs");
let workers;
function hasWorkers() {
    return workers !== undefined;
}
function currentPool() {
    return workers !== undefined && 'pool' in workers ? workers.pool : undefined;
}
/** To be called when they have been stopped. */
function forgetWorkers() {
    workers = undefined;
}
/**
 * Checks that a call of `start` agrees with the workers that there are.
 *
 * @throws {WSBrokerError | RangeError} it does not, or there would be no worker
 */
function checkWorkers(file, threads, given) {
    if (given !== undefined && workers !== undefined) {
        if (!('pool' in workers && (0, threads_cjs_1.sameThreadOptions)(workers.pool.given, given))) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', 'start: "worker" applies to the whole process, and an earlier start gave other values; ' +
                advice_cjs_1.START_OVER);
        }
    }
    if (given !== undefined && workers === undefined && file === undefined) {
        throw new errors_cjs_1.WSBrokerRangeError('start: "worker" requires "workerPath", the module that the worker threads load');
    }
    if (file === undefined) {
        if (workers !== undefined || (0, register_cjs_1.currentRegistration)() !== undefined || load_cjs_1.native.workerCount() > 0) {
            return;
        }
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_NO_WORKER', 'start: "workerPath" is missing, and no worker is registered; pass "workerPath", the module ' +
            'with your handlers, or call registerWorkerThread with them first');
    }
    if (workers === undefined) {
        if (threads !== 0 || (0, register_cjs_1.currentRegistration)() === undefined)
            return;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', 'start: "threads" is 0, but this thread has already registered handlers; leave out ' +
            '"workerPath" to use those, or "threads" to start worker threads');
    }
    const loaded = 'pool' in workers ? workers.pool.file : workers.file;
    if (loaded !== file)
        throw (0, advice_cjs_1.conflictWithEarlier)('workerPath', loaded, file);
    const running = 'pool' in workers ? workers.pool.threads : 0;
    if (threads !== undefined && threads !== running) {
        throw (0, advice_cjs_1.conflictWithEarlier)('threads', running, threads);
    }
}
/**
 * Resolves when the workers are ready, those that this call starts and those that there are.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED
 */
async function startWorkers(file, options, { signal, watchers, undo, undoTimeout }) {
    const { threads } = options.process;
    try {
        await (0, abort_cjs_1.unlessAborted)(signal, (0, register_cjs_1.currentRegistration)()?.ready ?? Promise.resolve());
        if (file === undefined || workers !== undefined)
            return;
        if (threads === 0) {
            const loading = (0, modules_cjs_1.loadWorker)(file, options.startTimeout);
            const stopWhenLoaded = () => void loading.then((late) => late.stop(undoTimeout()), () => undefined);
            undo.push(stopWhenLoaded);
            workers = { file, registration: await (0, abort_cjs_1.unlessAborted)(signal, loading) };
        }
        else {
            const count = threads ?? Math.max(4, load_cjs_1.native.brokerDefaults().cpus);
            const given = options.threads ?? threads_cjs_1.NO_THREAD_OPTIONS;
            const pool = new pool_cjs_1.Pool(file, count, given, watchers, options.startTimeout);
            undo.push(() => pool.stop(undoTimeout()));
            await (0, abort_cjs_1.unlessAborted)(signal, pool.start());
            workers = { pool };
        }
        undo.push(forgetWorkers);
    }
    catch (error) {
        throw await explain(file, error, signal);
    }
}
/** The error of a worker that did not load, with what to do about it. */
async function explain(file, error, signal) {
    const refused = (0, threads_cjs_1.explainThreadError)(error);
    if (refused !== error || (signal.aborted && error === signal.reason))
        return refused;
    const own = error instanceof errors_cjs_1.WSBrokerError ? error.cause : error;
    const more = file === undefined
        ? ''
        : await (0, abort_cjs_1.unlessAborted)(signal, (0, load_errors_cjs_1.explainLoadError)(file, own)).catch(() => '');
    if (error instanceof errors_cjs_1.WSBrokerError && error.code === 'ERR_WSBROKER_WORKER_FAILED') {
        error.message += more;
        return error;
    }
    const message = error?.message;
    const what = typeof message === 'string' ? message : (0, report_cjs_1.errorText)(error);
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_FAILED', `start: worker ${file ?? 'of this thread'} failed to load: ${what}${more}`, { cause: error });
}
