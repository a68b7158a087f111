"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.isFulfilled = void 0;
exports.isThenable = isThenable;
exports.within = within;
/** Whether it has a `then` to be waited for. A getter's throw passes through. */
function isThenable(value) {
    return (value !== null &&
        (typeof value === 'object' || typeof value === 'function') &&
        typeof value.then === 'function');
}
const peek = globalThis.Bun?.peek;
/**
 * Whether it is known to be over and well, so that nobody has to wait for it: Bun can tell, Node
 * cannot.
 */
exports.isFulfilled = peek === undefined
    ? () => false
    : (value) => value instanceof Promise && peek.status(value) === 'fulfilled';
/**
 * Whether the promise resolved within that many milliseconds; a rejection passes through, one that
 * comes later is let go.
 */
async function within(timeout, promise) {
    let timer;
    const late = new Promise((resolve) => {
        timer = setTimeout(() => resolve(false), timeout);
    });
    try {
        return await Promise.race([promise.then(() => true), late]);
    }
    finally {
        clearTimeout(timer);
    }
}
