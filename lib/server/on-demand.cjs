"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.serving = serving;
const copies_cjs_1 = require("../native/copies.cjs");
const register_cjs_1 = require("../worker/register.cjs");
// What servers begin and end with is loaded by the first call that needs it. A worker thread rarely
// makes one, and would keep all of it in memory.
/** The functions of `serving.cts`. */
function serving() {
    return require('./serving.cjs');
}
// Until then this thread has no server, but it may be a worker. `lifecycle.cts` replaces this.
(0, copies_cjs_1.setCopyLifecycle)({
    isActive: () => (0, register_cjs_1.currentRegistration)() !== undefined,
    shutdown: (code, timeout) => serving().shutdownHere(code, timeout),
});
