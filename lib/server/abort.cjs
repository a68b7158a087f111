"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.throwIfAborted = throwIfAborted;
exports.unlessAborted = unlessAborted;
/** @throws the signal's reason, if it has been aborted */
function throwIfAborted(signal) {
    if (signal.aborted)
        throw signal.reason;
}
/**
 * Waits for the promise, but no longer than until the signal is aborted.
 *
 * @throws the signal's reason
 */
async function unlessAborted(signal, promise) {
    throwIfAborted(signal);
    let onAbort = () => undefined;
    const aborted = new Promise((resolve) => {
        onAbort = resolve;
        signal.addEventListener('abort', onAbort);
    });
    try {
        const result = await Promise.race([promise, aborted]);
        throwIfAborted(signal);
        return result;
    }
    finally {
        signal.removeEventListener('abort', onAbort);
    }
}
