"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.isFulfilled = void 0;
exports.isThenable = isThenable;
exports.within = within;
/** Whether the value has a `then`. Errors of a getter pass through. */
function isThenable(value) {
    return (value !== null &&
        (typeof value === 'object' || typeof value === 'function') &&
        typeof value.then === 'function');
}
const peek = globalThis.Bun?.peek;
/** Whether the promise is known to be fulfilled, so that nothing has to wait: Node cannot tell. */
exports.isFulfilled = peek === undefined
    ? () => false
    : (value) => value instanceof Promise && peek.status(value) === 'fulfilled';
/**
 * Whether the promise resolves within that many milliseconds. A rejection passes through; one that
 * comes later is ignored.
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
