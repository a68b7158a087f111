"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.HeartbeatCheck = void 0;
const protocol_cjs_1 = require("../protocol.cjs");
const sockets_cjs_1 = require("./sockets.cjs");
/** Closes clients that have been silent for too long. The server itself sends no heartbeat. */
class HeartbeatCheck {
    #clients;
    #silence;
    #log;
    #timer;
    constructor(clients, silence, log) {
        this.#clients = clients;
        this.#silence = silence;
        this.#log = log;
    }
    /** Keeps the process alive until `stop`. */
    start(interval) {
        this.stop();
        this.#timer = setInterval(() => this.run(), (0, sockets_cjs_1.delay)(interval));
    }
    stop() {
        clearInterval(this.#timer);
        this.#timer = undefined;
    }
    /** A client that is still there at the next check is closed again. */
    run() {
        const now = Date.now();
        for (const client of this.#clients.map.values()) {
            if (now - client.lastActivity > this.#silence && this.#clients.isFinished(client)) {
                (0, sockets_cjs_1.closeSocket)(client.socket, protocol_cjs_1.CLOSE.heartbeatTimeout, this.#log);
            }
        }
    }
}
exports.HeartbeatCheck = HeartbeatCheck;
