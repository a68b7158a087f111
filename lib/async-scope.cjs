"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.scopeHere = scopeHere;
exports.inScopeHere = inScopeHere;
const node_async_hooks_1 = require("node:async_hooks");
const NAME = 'WSBROKER';
const enter = node_async_hooks_1.AsyncResource.prototype.runInAsyncScope;
/** The context of the caller. */
function scopeHere() {
    if (process.versions['bun'] !== undefined)
        return bunScope();
    // Before Node 24 an AsyncLocalStorage keeps what it holds in resources of async_hooks, and has
    // methods for that.
    return '_enable' in node_async_hooks_1.AsyncLocalStorage.prototype ? new ResourceScope() : new FrameScope(NAME);
}
/** The function, called in this context each time. */
function inScopeHere(fn) {
    return scopeHere().bound(fn, undefined);
}
/** Contexts are immutable values, and leaving one restores the other: about 5 ns a call. */
class FrameScope extends node_async_hooks_1.AsyncResource {
    bound(fn, self) {
        // One function of the engine's, and not one around it, for the same reason.
        return enter.bind(this, fn, self);
    }
    batch(run, ...args) {
        run(...args);
    }
}
FrameScope.prototype.call = enter;
/** The same, but an AsyncResource would make all promises of the thread carry their context. */
function bunScope() {
    const inside = node_async_hooks_1.AsyncLocalStorage.snapshot();
    return {
        bound: (fn, self) => inside.bind(undefined, fn.bind(self)),
        call: (fn, self, ...args) => inside(fn.bind(self), ...args),
        batch: (run, ...args) => run(...args),
    };
}
/** What an AsyncResource calls its numbers before Node 24. */
const IDS = ['async_id_symbol', 'trigger_async_id_symbol'];
/**
 * Here a context is an object, and entering something changes it: the next call finds what the last
 * one left. A new object for each call costs 30 to 40 ns, so all calls use the same one until one
 * of them changes it, and a batch enters it once. After that the application is known to change
 * contexts, and each call has its own.
 */
class ResourceScope {
    /** Only to make others in: nothing of the application's runs in it. */
    #root = new node_async_hooks_1.AsyncResource(NAME);
    #shared;
    #changed = false;
    /** What the batch is in. */
    #in;
    constructor() {
        const resource = new node_async_hooks_1.AsyncResource(NAME);
        // What is assigned to an object that inherits from a proxy comes to that, and what is the
        // object's own is read without asking it: its numbers, at each call.
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
