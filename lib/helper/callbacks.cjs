"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.continuations = continuations;
exports.inNextMicrotask = inNextMicrotask;
exports.callApplication = callApplication;
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
let continued = 0;
/**
 * How often something of a helper in this thread was left to promises: a caller that sees the
 * number change during a call knows that the call goes on after it.
 */
function continuations() {
    return continued;
}
/** Runs it a microtask later. It should not throw. */
function inNextMicrotask(run) {
    continued++;
    queueMicrotask(run);
}
/**
 * Calls a function of the application, at once. One of `done` and `failed` is called: at once where
 * a value was returned or thrown, later for a promise. A throw is a rejection. Neither should
 * throw: that would be a mistake of ours, which is shown and goes no further.
 */
function callApplication(fn, done, failed) {
    const safely = (then) => (given) => {
        try {
            then(given);
        }
        catch (error) {
            (0, report_cjs_1.reportError)('the server helper failed', error);
        }
    };
    let value;
    try {
        value = fn();
        // Looking for `then` can throw, too.
        if ((0, promises_cjs_1.isThenable)(value)) {
            continued++;
            void Promise.resolve(value).then(safely(done), safely(failed));
            return;
        }
    }
    catch (error) {
        safely(failed)(error);
        return;
    }
    safely(done)(value);
}
