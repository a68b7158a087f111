"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.PinnedSockets = void 0;
const async_scope_cjs_1 = require("../async-scope.cjs");
const load_cjs_1 = require("../native/load.cjs");
const verdict_cjs_1 = require("./verdict.cjs");
/**
 * What a thread knows of its connections, for handlers that keep it to themselves: see
 * {@link PINNED}.
 */
class PinnedSockets {
    #sockets = new Map();
    #opened;
    /**
     * @param opened called once for each connection, when its verdict is certain and not yet given:
     * what it subscribes and sends takes effect with the 101
     */
    constructor(opened) {
        this.#opened = opened;
    }
    /**
     * The verdict of `handleOpen` for a connection that is to be kept.
     *
     * @param make makes what is kept. If it throws, the connection is refused with 500
     */
    accept(socketId, verdict, make) {
        const accepted = (0, async_scope_cjs_1.onceInScopeHere)(() => {
            const socket = make();
            this.#sockets.set(socketId, socket);
            this.#opened(socket);
        });
        return { ...verdict, ...{ [verdict_cjs_1.WHEN_ACCEPTED]: accepted } };
    }
    /** The connection of an event. */
    find(socketId) {
        return this.#sockets.get(socketId);
    }
    /**
     * The same, for a message. An unknown connection is closed: it was accepted by a worker that has
     * ended and was not pinned.
     */
    ofMessage(socketId) {
        const socket = this.#sockets.get(socketId);
        if (socket === undefined)
            load_cjs_1.native.close(socketId, 1012, 'Worker ended');
        return socket;
    }
    /** The connection has ended. `undefined` if it belonged to a worker that has ended. */
    end(socketId) {
        const socket = this.#sockets.get(socketId);
        this.#sockets.delete(socketId);
        return socket;
    }
    /** All that have not ended. */
    all() {
        return [...this.#sockets.values()];
    }
}
exports.PinnedSockets = PinnedSockets;
