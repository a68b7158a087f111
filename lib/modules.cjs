"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.workerFile = workerFile;
exports.loadTimeout = loadTimeout;
exports.loadWorker = loadWorker;
const node_fs_1 = require("node:fs");
const node_module_1 = require("node:module");
const node_path_1 = require("node:path");
const node_url_1 = require("node:url");
const errors_cjs_1 = require("./errors.cjs");
const handlers_cjs_1 = require("./handlers.cjs");
const register_cjs_1 = require("./register.cjs");
const time_cjs_1 = require("./time.cjs");
/**
 * The worker module's file, an extension added as `require` would.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND naming the path that was tried
 */
function workerFile(path) {
    const file = (0, node_path_1.resolve)(path);
    if ((0, node_fs_1.statSync)(file, { throwIfNoEntry: false })?.isFile())
        return file;
    try {
        return (0, node_module_1.createRequire)((0, node_path_1.join)(process.cwd(), 'x.js')).resolve(file);
    }
    catch {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_NOT_FOUND', `start: "workerPath" names no module: there is no file ${file}`);
    }
}
/** What a module registered by itself when it was first imported: a second import does not run it again. */
const registeredBy = new Map();
/** Why a module that was waited for so many milliseconds counts as failed. */
function loadTimeout(file, timeout) {
    const what = `worker ${file} has not loaded within ${timeout} ms ("startTimeout"): a top-level await of it does not settle, or code of it does not return`;
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what);
}
/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports, unless it does so itself.
 *
 * @param timeout milliseconds for the import, 0 = no limit; what it calls at the top level of the module cannot be interrupted from here
 * @param loaded called when the module has been imported, before its `handleStart` is waited for
 * @throws what the module throws, or its `handleStart`, or {@link loadTimeout}; then the thread is no worker
 */
async function loadWorker(file, timeout = 0, loaded = () => undefined) {
    const before = (0, register_cjs_1.currentRegistration)();
    register_cjs_1.thread.loading = true;
    try {
        const imported = import((0, node_url_1.pathToFileURL)(file).href);
        if (timeout > 0 && !(await (0, time_cjs_1.within)(timeout, imported)))
            throw loadTimeout(file, timeout);
        const registration = importedWorker(file, await imported, before);
        loaded();
        await registration.ready;
        return registration;
    }
    catch (error) {
        const itself = (0, register_cjs_1.currentRegistration)();
        if (itself !== before)
            itself?.drop();
        throw error;
    }
    finally {
        register_cjs_1.thread.loading = false;
    }
}
function importedWorker(file, module, before) {
    const itself = (0, register_cjs_1.currentRegistration)();
    if (itself !== undefined && itself !== before) {
        registeredBy.set(file, itself.handlers);
        return itself;
    }
    const handlers = registeredBy.get(file) ?? exportedHandlers(module);
    if (handlers !== undefined)
        return (0, register_cjs_1.register)(file, handlers);
    // A module need not have handlers. But one whose only handler is misspelt looks just like that.
    const outer = defaultOf(module);
    (0, handlers_cjs_1.warnOfTypos)([module, outer, defaultOf(outer)]);
    return (0, register_cjs_1.register)(file, {}, true);
}
/** Handlers are exported by name or on the default export; what a CommonJS module exports is its default. A name counts before a default. */
function exportedHandlers(module) {
    const outer = defaultOf(module);
    // What TypeScript and Babel make of a default export in CommonJS.
    const inner = defaultOf(outer);
    const object = (0, handlers_cjs_1.hasHandlers)(outer) ? outer : (0, handlers_cjs_1.hasHandlers)(inner) ? inner : undefined;
    if (!(0, handlers_cjs_1.hasHandlers)(module))
        return object;
    if (object === undefined)
        return module;
    const named = handlers_cjs_1.HANDLER_NAMES.filter((name) => module[name] !== undefined && module[name] !== object[name]);
    // In the usual case, names of a CommonJS module that Node has found in it, the object itself is `this` of its handlers.
    // Defined, not assigned: what it inherits may be frozen, or a getter.
    return named.length === 0 ? object : Object.create(object, Object.fromEntries(named.map((name) => [name, { value: module[name] }])));
}
function defaultOf(value) {
    return value !== null && (typeof value === 'object' || typeof value === 'function') ? value.default : undefined;
}
