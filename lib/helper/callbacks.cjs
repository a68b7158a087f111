"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.continuations = continuations;
exports.inNextMicrotask = inNextMicrotask;
exports.callApplication = callApplication;
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
let continued = 0;
/**
 * How many times a helper in this thread has left something to a promise. If the number changes
 * during a call, part of that call goes on after it has returned.
 */
function continuations() {
    return continued;
}
/** Runs it in the next microtask. It should not throw. */
function inNextMicrotask(run) {
    continued++;
    queueMicrotask(run);
}
/**
 * Calls a function of the application, at once. Then one of `done` and `failed` is called: at once
 * if the function returned a value or threw, later if it returned a promise. A throw counts as a
 * rejection. Neither of the two should throw: that would be a fault of ours, which is reported and
 * goes no further.
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
        // Reading `then` can throw, too.
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
