"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ofThisRealm = ofThisRealm;
const node_util_1 = require("node:util");
const errors_cjs_1 = require("../errors.cjs");
// Test runners such as jest give modules a context of `node:vm`, with an `Error` of its own, while
// the addon belongs to the thread's first one. So its errors are made again there; elsewhere its
// functions are used as they are.
/** The addon, with errors of this module's context. */
function ofThisRealm(addon) {
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
/** Methods of an object of the addon's, which know it by itself. */
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
/** What the application's own code has thrown, in a getter for example, stays what it is. */
function rethrow(error) {
    throw error instanceof Error ? error : (0, errors_cjs_1.fromNative)(error);
}
