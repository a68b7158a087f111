"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.warnings = void 0;
exports.errorText = errorText;
exports.complain = complain;
exports.warnOnce = warnOnce;
exports.complainOfHandler = complainOfHandler;
const node_util_1 = require("node:util");
/** The error with its stack and causes; whatever was thrown, this does not throw. */
function errorText(error) {
    try {
        return typeof error === 'string' ? error : (0, node_util_1.inspect)(error);
    }
    catch {
        return 'an error that cannot be shown';
    }
}
/** To stderr. Nothing to write to is no reason to fail. */
function complain(what, error) {
    try {
        process.stderr.write(`wsbroker: ${what}: ${errorText(error)}\n`);
    }
    catch {
        // A closed stderr: nobody is there to be told.
    }
}
/**
 * Where warnings go. A thread of a pool hands its own to the one that watches it, so that what all
 * of them find is said once.
 */
exports.warnings = {
    say: (text) => process.emitWarning(text, { type: 'WSBrokerWarning' }),
};
/** Shared with other copies of the package on this thread. */
const said = (globalThis[Symbol.for('wsbroker.warnings')] ??= new Set());
/** Each text once, for as long as the thread lives. */
function warnOnce(text) {
    if (said.has(text))
        return;
    said.add(text);
    exports.warnings.say(text);
}
/** What `onError` does where a worker has none. */
function complainOfHandler(error, { handler, socketId }) {
    complain(socketId === undefined ? `${handler} failed` : `${handler} failed for socket ${socketId}`, error);
}
