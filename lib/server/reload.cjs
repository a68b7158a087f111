"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.reload = reload;
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const module_file_cjs_1 = require("../worker/module-file.cjs");
const register_cjs_1 = require("../worker/register.cjs");
const abort_cjs_1 = require("./abort.cjs");
const keep_alive_cjs_1 = require("./keep-alive.cjs");
const lifecycle_cjs_1 = require("./lifecycle.cjs");
const workers_cjs_1 = require("./workers.cjs");
// `reloadWorkers`. Until the new threads have taken over, other calls of `start` and `shutdown`
// wait; while the old threads end, only another `reloadWorkers` does.
let lastReload = Promise.resolve();
function reload(request) {
    if (register_cjs_1.thread.inPool) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_IN_WORKER', 'reloadWorkers: a worker of the pool cannot reload the workers; call reloadWorkers on the ' +
            'thread that called start');
    }
    const file = request.workerPath === undefined ? undefined : (0, module_file_cjs_1.findModuleFile)(request.workerPath);
    const shut = (0, lifecycle_cjs_1.untilNextShutdown)();
    const report = (0, keep_alive_cjs_1.keepingAlive)(async () => {
        await lastReload;
        const { left } = await (0, lifecycle_cjs_1.inTurn)(() => takeOver(request, file, shut));
        return await left;
    });
    lastReload = report.catch(() => undefined);
    return report;
}
/** @param shut aborted by the next `shutdown` */
async function takeOver({ threads, timeout }, given, shut) {
    if (shut.aborted)
        throw shutDownError();
    const pool = (0, workers_cjs_1.currentPool)();
    if (pool === undefined)
        throw noPool();
    const file = given ?? pool.file;
    const shutdown = new AbortController();
    const onShutdown = () => shutdown.abort(shutDownError());
    shut.addEventListener('abort', onShutdown);
    try {
        return await pool.takeOver(file, threads ?? pool.threads, timeout, (ready) => (0, abort_cjs_1.unlessAborted)(shutdown.signal, ready));
    }
    catch (error) {
        throw await (0, workers_cjs_1.explain)(file, error, shutdown.signal);
    }
    finally {
        shut.removeEventListener('abort', onShutdown);
    }
}
function shutDownError() {
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'reloadWorkers: shutdown was called before the new workers were ready');
}
function noPool() {
    if ((0, register_cjs_1.currentRegistration)() !== undefined || load_cjs_1.native.workerCount() > 0) {
        return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', 'reloadWorkers: the workers are not threads of the pool, but of the application (threads: 0 ' +
            'or registerWorkerThread), and only those of the pool can be reloaded');
    }
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_NO_WORKER', 'reloadWorkers: there are no workers; call it after start, on the same thread');
}
