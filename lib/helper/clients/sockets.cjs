"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.closeSocket = closeSocket;
exports.delay = delay;
const checks_cjs_1 = require("../../options/checks.cjs");
/**
 * Closes a socket. The close event may run before this returns. A socket that is gone may throw.
 */
function closeSocket(socket, [code, reason], log) {
    try {
        socket.close(code, reason);
    }
    catch (error) {
        log.error(`closing a socket with ${code} failed`, error);
    }
}
/** A delay for a timer: one that is longer than timers allow would end at once. */
function delay(ms) {
    return ms > checks_cjs_1.MAX_DURATION ? checks_cjs_1.MAX_DURATION : ms;
}
