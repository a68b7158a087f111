"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.workerFile = workerFile;
exports.loadTimeout = loadTimeout;
exports.loadWorker = loadWorker;
const node_fs_1 = require("node:fs");
const node_module_1 = require("node:module");
const node_path_1 = require("node:path");
const node_url_1 = require("node:url");
const node_util_1 = require("node:util");
const advice_cjs_1 = require("../options/advice.cjs");
const errors_cjs_1 = require("../errors.cjs");
const handlers_cjs_1 = require("./handlers.cjs");
const handler_names_cjs_1 = require("./handler-names.cjs");
const register_cjs_1 = require("./register.cjs");
const report_cjs_1 = require("../report.cjs");
const syntax_cjs_1 = require("./syntax.cjs");
const promises_cjs_1 = require("../promises.cjs");
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
        throw (0, advice_cjs_1.noWorkerFile)(path);
    }
}
/**
 * What a module registered by itself when it was first imported: a second import does not run it
 * again.
 */
const registeredBy = new Map();
/** Why a module that did not load within this many milliseconds counts as failed. */
function loadTimeout(file, timeout) {
    const what = `worker ${file} has not loaded within ${timeout} ms ("startTimeout"): a top-level await in it does not settle, or code in it does not return`;
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what);
}
/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports,
 * unless it does so itself.
 *
 * @param timeout milliseconds for the import, 0 = no limit; what it calls at the top level of the
 * module cannot be interrupted from here
 * @param loaded called when the module has been imported, before its `handleStart` is waited for
 * @throws what the module throws, or its `handleStart`, or {@link loadTimeout}; then the thread is
 * no worker
 */
async function loadWorker(file, timeout = 0, loaded = () => undefined) {
    const before = (0, register_cjs_1.currentRegistration)();
    register_cjs_1.thread.loading = true;
    try {
        const imported = load(file);
        if (timeout > 0 && !(await (0, promises_cjs_1.within)(timeout, imported)))
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
        throw (0, syntax_cjs_1.readable)(error);
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
    const again = registeredBy.get(file);
    if (again !== undefined)
        return (0, register_cjs_1.register)(file, again);
    const outer = defaultOf(module);
    const inner = defaultOf(outer);
    const handlers = exportedHandlers(module);
    for (const one of [outer, inner]) {
        if (!(0, handlers_cjs_1.hasHandlers)(one) && (0, handler_names_cjs_1.isClassOfHandlers)(one, handlers))
            throw (0, handler_names_cjs_1.classExported)(file, one);
    }
    const holders = [module, outer, inner];
    if (handlers !== undefined)
        return (0, register_cjs_1.register)(file, handlers, false, holders);
    (0, handler_names_cjs_1.checkNames)(file, holders, undefined);
    (0, report_cjs_1.warnOnce)(`${file} has no handlers: everybody is let in, and messages go nowhere. A worker module exports handleOpen, handleTextMessage … by name or on its default export, ` +
        'or calls registerWorkerThread while it loads');
    return (0, register_cjs_1.register)(file, {}, true);
}
/**
 * Test runners that give modules a context of `node:vm` may refuse `import()` there; what can be
 * required (CommonJS, and on newer runtimes ES modules) is loaded all the same.
 */
async function load(file) {
    try {
        return await import((0, node_url_1.pathToFileURL)(file).href);
    }
    catch (error) {
        if (!isRefusedByVm(error))
            throw error;
        const exported = require(file);
        return node_util_1.types.isModuleNamespaceObject(exported) ? exported : { default: exported };
    }
}
/** As Node says it, and jest where Node asks it. */
function isRefusedByVm(error) {
    const { code, message } = Object(error);
    return (/^ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING/.test(String(code)) ||
        /ES Modules in the VM API/.test(String(message)));
}
/**
 * Handlers are exported by name or on the default export; what a CommonJS module exports is its
 * default. A name counts before a default.
 */
function exportedHandlers(module) {
    const outer = defaultOf(module);
    // What TypeScript and Babel make of a default export in CommonJS.
    const inner = defaultOf(outer);
    const object = (0, handlers_cjs_1.hasHandlers)(outer) ? outer : (0, handlers_cjs_1.hasHandlers)(inner) ? inner : undefined;
    if (!(0, handlers_cjs_1.hasHandlers)(module))
        return object;
    if (object === undefined)
        return module;
    const named = handler_names_cjs_1.HANDLER_NAMES.filter((name) => module[name] !== undefined && module[name] !== object[name]);
    // In the usual case, names of a CommonJS module that Node has found in it, the object itself is
    // `this` of its handlers. Defined, not assigned: what it inherits may be frozen, or a getter.
    return named.length === 0
        ? object
        : Object.create(object, Object.fromEntries(named.map((name) => [name, { value: module[name] }])));
}
function defaultOf(value) {
    return value !== null && (typeof value === 'object' || typeof value === 'function')
        ? value.default
        : undefined;
}
