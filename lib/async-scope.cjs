"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.scopeHere = scopeHere;
exports.inScopeHere = inScopeHere;
exports.onceInScopeHere = onceInScopeHere;
const node_async_hooks_1 = require("node:async_hooks");
const NAME = 'WSBROKER';
const enter = node_async_hooks_1.AsyncResource.prototype.runInAsyncScope;
/** The context of the caller. */
function scopeHere() {
    if (process.versions['bun'] !== undefined)
        return bunScope();
    // Before Node 24 an AsyncLocalStorage keeps its values in resources of async_hooks, with this
    // method.
    return '_enable' in node_async_hooks_1.AsyncLocalStorage.prototype ? new ResourceScope() : new FrameScope(NAME);
}
/** The function, called in this context each time. */
function inScopeHere(fn) {
    return scopeHere().bound(fn, undefined);
}
/** The function, to be called once, in this context. */
function onceInScopeHere(fn) {
    if (process.versions['bun'] !== undefined) {
        const inside = node_async_hooks_1.AsyncLocalStorage.snapshot();
        return () => inside(fn);
    }
    const here = new node_async_hooks_1.AsyncResource(NAME);
    return () => here.runInAsyncScope(fn);
}
/**
 * Here contexts are immutable values, and leaving one restores the previous one: about 5 ns a call.
 */
class FrameScope extends node_async_hooks_1.AsyncResource {
    bound(fn, self) {
        // A bound function, not one that calls `enter`, for the same reason.
        return enter.bind(this, fn, self);
    }
    batch(run, ...args) {
        run(...args);
    }
}
FrameScope.prototype.call = enter;
/**
 * The same on Bun, where an AsyncResource would make all promises of the thread carry their
 * context.
 */
function bunScope() {
    const inside = node_async_hooks_1.AsyncLocalStorage.snapshot();
    return {
        bound: (fn, self) => inside.bind(undefined, fn.bind(self)),
        call: (fn, self, ...args) => inside(fn.bind(self), ...args),
        batch: (run, ...args) => run(...args),
    };
}
/** The names of an AsyncResource's ids before Node 24. */
const IDS = ['async_id_symbol', 'trigger_async_id_symbol'];
/**
 * Before Node 24 a context is an object, which `enterWith` changes: the next call would find what
 * the last one left. A new object for each call costs 30 to 40 ns, so all calls use the same one
 * until one of them changes it, and a batch enters it once. From then on each call has its own.
 */
class ResourceScope {
    /** New contexts are made in this one. No function of the application runs in it. */
    #root = new node_async_hooks_1.AsyncResource(NAME);
    #shared;
    #changed = false;
    /** The context of the current batch. */
    #in;
    constructor() {
        const resource = new node_async_hooks_1.AsyncResource(NAME);
        // Assignments to an object that inherits from a proxy reach the proxy. Own properties, such as
        // the ids, which every call reads, are read without it.
        const watched = new Proxy(resource, {
            set: (_, key, value, receiver) => {
                this.#changed = true;
                return Reflect.defineProperty(receiver, key, {
                    value: value,
                    configurable: true,
                    enumerable: true,
                    writable: true,
                });
            },
        });
        const numbers = Object.getOwnPropertySymbols(resource).filter((key) => IDS.includes(String(key.description)));
        this.#shared = Object.create(watched, Object.fromEntries(numbers.map((key) => [key, Object.getOwnPropertyDescriptor(resource, key)])));
    }
    bound(fn, self) {
        return (...args) => this.call(fn, self, ...args);
    }
    call(fn, self, ...args) {
        if (!this.#changed) {
            return this.#in === undefined
                ? enter.call(this.#shared, fn, self, ...args)
                : Reflect.apply(fn, self, args);
        }
        const own = this.#in === this.#root ? newResource() : this.#root.runInAsyncScope(newResource);
        return own.runInAsyncScope(fn, self, ...args);
    }
    batch(run, ...args) {
        this.#in = this.#changed ? this.#root : this.#shared;
        try {
            enter.call(this.#in, run, undefined, ...args);
        }
        finally {
            this.#in = undefined;
        }
    }
}
const newResource = () => new node_async_hooks_1.AsyncResource(NAME);
