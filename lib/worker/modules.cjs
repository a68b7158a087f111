"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.loadTimeoutError = loadTimeoutError;
exports.loadWorker = loadWorker;
const node_fs_1 = require("node:fs");
const node_url_1 = require("node:url");
const node_util_1 = require("node:util");
const errors_cjs_1 = require("../errors.cjs");
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
const handler_names_cjs_1 = require("./handler-names.cjs");
const handlers_cjs_1 = require("./handlers.cjs");
const load_errors_cjs_1 = require("./load-errors.cjs");
const register_cjs_1 = require("./register.cjs");
/**
 * What a module registered by itself when it was first imported. A second import does not run it
 * again.
 */
const registeredBy = new Map();
/** The error of a module that did not load in time. */
function loadTimeoutError(file, timeout) {
    const what = `worker ${file} did not load within ${timeout} ms ("startTimeout"): a top-level await ` +
        'does not settle, or top-level code does not return';
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what);
}
/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports,
 * unless the module has done so itself.
 *
 * @param timeout how long the import may take, in milliseconds; 0: no limit. Synchronous code
 * cannot be interrupted from here
 * @param loaded called when the module has been imported, before its `handleStart` is awaited
 * @throws what the module or its `handleStart` throws, or {@link loadTimeoutError}; then the thread
 * is not a worker
 */
async function loadWorker(file, timeout = 0, loaded = () => undefined) {
    const before = (0, register_cjs_1.currentRegistration)();
    register_cjs_1.thread.loading = true;
    try {
        const imported = load(file);
        if (timeout > 0 && !(await (0, promises_cjs_1.within)(timeout, imported))) {
            throw giveUp(file, imported, loadTimeoutError(file, timeout));
        }
        const registration = importedWorker(file, await imported, before);
        loaded();
        await registration.ready;
        return registration;
    }
    catch (error) {
        const itself = (0, register_cjs_1.currentRegistration)();
        if (itself !== before)
            itself?.drop();
        throw (0, load_errors_cjs_1.readableError)(error);
    }
    finally {
        register_cjs_1.thread.loading = false;
    }
}
/**
 * `start` has failed, but the import goes on. Until it settles, a registration by the module itself
 * is refused with this error.
 */
function giveUp(file, imported, error) {
    // The two ways in which a stack names the module: by `import` and by `require`.
    const real = (0, node_fs_1.realpathSync)(file);
    const late = { names: [(0, node_url_1.pathToFileURL)(real).href, real], error };
    register_cjs_1.thread.late.add(late);
    const settled = () => void register_cjs_1.thread.late.delete(late);
    imported.then(settled, settled);
    return error;
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
    (0, report_cjs_1.warnOnce)(`${file} has no handlers: every connection is accepted, and messages are discarded. ` +
        'Export handleOpen, handleTextMessage and so on, by name or on the default export, ' +
        'or call registerWorkerThread while the module loads');
    return (0, register_cjs_1.register)(file, {}, true);
}
/**
 * Test runners that run modules in a context of `node:vm` may refuse `import()` there. Modules that
 * can be required (CommonJS, and on newer runtimes ES modules) are loaded in that way.
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
/** The error of Node, or of jest. */
function isRefusedByVm(error) {
    const { code, message } = Object(error);
    return (/^ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING/.test(String(code)) ||
        /ES Modules in the VM API/.test(String(message)));
}
/**
 * Handlers are exported by name or on the default export. `module.exports` of CommonJS is a default
 * export. A named export takes precedence.
 */
function exportedHandlers(module) {
    const outer = defaultOf(module);
    // TypeScript and Babel compile a default export to this in CommonJS.
    const inner = defaultOf(outer);
    const object = (0, handlers_cjs_1.hasHandlers)(outer) ? outer : (0, handlers_cjs_1.hasHandlers)(inner) ? inner : undefined;
    if (!(0, handlers_cjs_1.hasHandlers)(module))
        return object;
    if (object === undefined)
        return module;
    const named = handler_names_cjs_1.HANDLER_NAMES.filter((name) => module[name] !== undefined && module[name] !== object[name]);
    // Usually the names are those that Node has found in a CommonJS module: then the object itself is
    // `this` of its handlers. Otherwise properties are defined, not assigned: inherited ones may be
    // frozen, or getters.
    return named.length === 0
        ? object
        : Object.create(object, Object.fromEntries(named.map((name) => [name, { value: module[name] }])));
}
function defaultOf(value) {
    return value !== null && (typeof value === 'object' || typeof value === 'function')
        ? value.default
        : undefined;
}
