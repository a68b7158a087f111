"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.warnings = void 0;
exports.errorText = errorText;
exports.reportError = reportError;
exports.warnOnce = warnOnce;
exports.reportHandlerError = reportHandlerError;
const node_util_1 = require("node:util");
/** The error with its stack and causes. Never throws, whatever the error is. */
function errorText(error) {
    try {
        return typeof error === 'string' ? error : (0, node_util_1.inspect)(error);
    }
    catch {
        return 'an error that cannot be shown';
    }
}
/** Writes to stderr. Never throws. */
function reportError(what, error) {
    try {
        process.stderr.write(`wsbroker: ${what}: ${errorText(error)}\n`);
    }
    catch {
        // Stderr is closed.
    }
}
/**
 * Where warnings go. A thread of a pool passes its warnings on to the thread that started it, so
 * that a warning of all threads appears once.
 */
exports.warnings = {
    emit: (text) => process.emitWarning(text, { type: 'WSBrokerWarning' }),
};
/** Shared with other copies of the package on this thread. */
const emitted = (globalThis[Symbol.for('wsbroker.warnings')] ??= new Set());
/** Each text once in the life of the thread. */
function warnOnce(text) {
    if (emitted.has(text))
        return;
    emitted.add(text);
    exports.warnings.emit(text);
}
/** For workers without `onError`. */
function reportHandlerError(error, { handler, socketId }) {
    reportError(socketId === undefined ? `${handler} failed` : `${handler} failed for socket ${socketId}`, error);
}
