"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.NestServer = exports.NestClient = void 0;
const load_cjs_1 = require("../native/load.cjs");
const rooms_cjs_1 = require("./rooms.cjs");
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** What handlers of a gateway get as their client: `@ConnectedSocket()`. */
class NestClient {
    /** The connection's id in wsbroker, for its functions. */
    id;
    /** The upgrade request. */
    request;
    /** For the application. */
    data = {};
    /** @internal */
    path;
    /** What handlers return and has not ended. @internal */
    subscriptions = new Set();
    /** @internal */
    bound = [];
    /** @internal */
    onClose = [];
    #closeCode;
    #state = OPEN;
    /** @internal */
    constructor(id, request, path) {
        this.id = id;
        this.request = request;
        this.path = path;
    }
    /** 1: open. 2: closing. 3: closed. */
    get readyState() {
        return this.#state;
    }
    /** A string is sent as a text message, bytes as a binary message. Returns what `send` returns. */
    send(data) {
        return load_cjs_1.native.send(this.id, data);
    }
    /** Sends `{ event, data }` as JSON. */
    emit(event, data) {
        return this.send(JSON.stringify({ event, data }));
    }
    /**
     * Adds the client to a room of its gateway. Rooms are channels: they span threads and instances.
     */
    join(room) {
        load_cjs_1.native.subscribe(this.id, (0, rooms_cjs_1.roomChannel)(this.path, room));
    }
    leave(room) {
        load_cjs_1.native.unsubscribe(this.id, (0, rooms_cjs_1.roomChannel)(this.path, room));
    }
    /** Everyone in a room but this client. */
    to(room) {
        return target((0, rooms_cjs_1.roomChannel)(this.path, room), this.id);
    }
    /** Everyone connected to the gateway but this client. */
    get broadcast() {
        return target((0, rooms_cjs_1.gatewayChannel)(this.path), this.id);
    }
    close(code, reason) {
        load_cjs_1.native.close(this.id, code, reason);
        if (this.#state === OPEN)
            this.#state = CLOSING;
    }
    terminate() {
        load_cjs_1.native.terminate(this.id);
        if (this.#state === OPEN)
            this.#state = CLOSING;
    }
    /** With what the connection was closed, as `handleClose` has it; `undefined` until then. */
    get closeCode() {
        return this.#closeCode;
    }
    /** @internal */
    ended(code, reason) {
        this.#state = CLOSED;
        this.#closeCode = code;
        for (const subscription of this.subscriptions)
            subscription.unsubscribe();
        for (const callback of this.onClose)
            callback(reason);
    }
}
exports.NestClient = NestClient;
/** What a gateway gets as `@WebSocketServer()`. */
class NestServer {
    path;
    /** The clients that are connected to this thread. */
    clients = new Set();
    /** @internal */
    onConnection = [];
    /** @internal */
    constructor(path) {
        this.path = path;
    }
    /** To everyone connected to the gateway, on all threads and instances. */
    emit(event, data) {
        return target((0, rooms_cjs_1.gatewayChannel)(this.path)).emit(event, data);
    }
    /** To everyone in a room. */
    to(room) {
        return target((0, rooms_cjs_1.roomChannel)(this.path, room));
    }
}
exports.NestServer = NestServer;
function target(channel, exclude) {
    return {
        emit: (event, data) => load_cjs_1.native.sendToChannel(channel, JSON.stringify({ event, data }), exclude === undefined ? {} : { exclude }),
    };
}
