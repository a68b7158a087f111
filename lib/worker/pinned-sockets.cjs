"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.PinnedSockets = void 0;
// Not the global function: test environments that imitate a browser do not have it.
const node_timers_1 = require("node:timers");
const load_cjs_1 = require("../native/load.cjs");
/**
 * What a thread knows of its connections, for handlers that keep it to themselves: see
 * {@link PINNED}. Each is opened once, when its verdict is on its way and before its first event.
 */
class PinnedSockets {
    #sockets = new Map();
    #open;
    /** @param open called once for each connection */
    constructor(open) {
        this.#open = open;
    }
    /** `handleOpen` is about to accept. */
    accept(socketId, socket) {
        const entry = { socket, opened: false };
        this.#sockets.set(socketId, entry);
        // Behind the verdict.
        (0, node_timers_1.setImmediate)(() => {
            if (this.#sockets.has(socketId))
                this.#opened(entry);
        });
    }
    /** The connection of an event, opened. */
    find(socketId) {
        const entry = this.#sockets.get(socketId);
        return entry === undefined ? undefined : this.#opened(entry);
    }
    /**
     * The same, for a message. An unknown connection is closed: it was accepted by a worker that has
     * ended, just before its 101.
     */
    ofMessage(socketId) {
        const socket = this.find(socketId);
        if (socket === undefined)
            load_cjs_1.native.close(socketId, 1012, 'Worker ended');
        return socket;
    }
    /**
     * The connection has ended. `undefined` if it was lost before it was opened, or belonged to a
     * worker that has ended.
     */
    end(socketId) {
        const entry = this.#sockets.get(socketId);
        this.#sockets.delete(socketId);
        return entry?.opened === true ? entry.socket : undefined;
    }
    /** All that have not ended. */
    all() {
        return [...this.#sockets.values()].map(({ socket }) => socket);
    }
    #opened(entry) {
        if (!entry.opened) {
            entry.opened = true;
            this.#open(entry.socket);
        }
        return entry.socket;
    }
}
exports.PinnedSockets = PinnedSockets;
