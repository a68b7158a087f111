"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.withErrorsOfThisContext = withErrorsOfThisContext;
const node_util_1 = require("node:util");
const errors_cjs_1 = require("../errors.cjs");
// Test runners such as jest run modules in a context of `node:vm`, which has its own `Error`. The
// addon belongs to the thread's first context, so its errors are made again there. Anywhere else
// the functions of the addon are used as they are.
/** The addon, with errors of this module's context. */
function withErrorsOfThisContext(addon) {
    if (addon.send instanceof Function)
        return addon;
    const handler = {
        apply: (target, self, args) => translated(() => Reflect.apply(target, self, args)),
        construct: (target, args) => translated(() => new Proxy(Reflect.construct(target, args), methods)),
    };
    const entries = Object.entries(addon);
    return Object.fromEntries(entries.map(([name, value]) => [
        name,
        typeof value === 'function' ? new Proxy(value, handler) : value,
    ]));
}
/** Calls methods of an object of the addon on that object, not on its proxy. */
const methods = {
    get(target, name) {
        const value = Reflect.get(target, name, target);
        return typeof value === 'function'
            ? (...args) => translated(() => Reflect.apply(value, target, args))
            : value;
    },
};
function translated(call) {
    try {
        const result = call();
        return node_util_1.types.isPromise(result) ? Promise.resolve(result).catch(rethrow) : result;
    }
    catch (error) {
        return rethrow(error);
    }
}
/** Errors of the application's own code, for example of a getter, stay what they are. */
function rethrow(error) {
    throw error instanceof Error ? error : (0, errors_cjs_1.fromNative)(error);
}
