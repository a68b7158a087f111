"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.closeSocket = closeSocket;
exports.delay = delay;
const checks_cjs_1 = require("../../options/checks.cjs");
/** Closes; the close event may run before it returns, and a socket that is gone may throw. */
function closeSocket(socket, [code, reason], log) {
    try {
        socket.close(code, reason);
    }
    catch (error) {
        log.error(`closing a socket with ${code} failed`, error);
    }
}
/** A delay as timers take it: one that is longer than they can would end at once. */
function delay(ms) {
    return ms > checks_cjs_1.MAX_DURATION ? checks_cjs_1.MAX_DURATION : ms;
}
