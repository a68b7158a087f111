"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.SocketEvents = void 0;
const protocol_cjs_1 = require("../protocol.cjs");
const sockets_cjs_1 = require("./sockets.cjs");
/** From events of sockets to events of clients. A socket names its client in `data.clientId`. */
class SocketEvents {
    #parts;
    /** Sockets with the id of a client that is already connected. */
    #refused = new WeakSet();
    /** Whether there was ever one: every message looks. */
    #hasRefused = false;
    handler = {
        open: (socket) => this.#open(socket),
        message: (socket, frame) => this.#message(socket, frame),
        close: (socket) => this.#close(socket),
        drain: (socket) => this.#drain(socket),
    };
    constructor(parts) {
        this.#parts = parts;
    }
    /** From now on this socket's events do not concern the client with its id. */
    refuse(socket) {
        this.#hasRefused = true;
        this.#refused.add(socket);
    }
    /** Undoes {@link refuse}. */
    admit(socket) {
        this.#refused.delete(socket);
    }
    #open(socket) {
        const { clientId } = (socket.data ?? {});
        if (clientId)
            this.#parts.connected(clientId, socket);
        else
            (0, sockets_cjs_1.closeSocket)(socket, protocol_cjs_1.CLOSE.missingId, this.#parts.log);
    }
    #message(socket, frame) {
        const { clients, inbound } = this.#parts;
        const clientId = this.#idOf(socket);
        const client = clientId === undefined ? undefined : clients.get(clientId);
        if (client === undefined)
            return;
        const raw = inbound.admit(client, frame);
        if (raw === undefined)
            return;
        client.lastActivity = Date.now();
        this.#parts.message(client.id, raw);
    }
    #close(socket) {
        const clientId = this.#idOf(socket);
        if (clientId !== undefined)
            this.#parts.disconnected(clientId);
    }
    #drain(socket) {
        const clientId = this.#idOf(socket);
        const client = clientId === undefined ? undefined : this.#parts.clients.get(clientId);
        if (client !== undefined)
            client.backpressured = false;
    }
    #idOf(socket) {
        const id = socket.data?.clientId;
        return id && !(this.#hasRefused && this.#refused.has(socket)) ? id : undefined;
    }
}
exports.SocketEvents = SocketEvents;
