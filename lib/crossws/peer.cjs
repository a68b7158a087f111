"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.CrosswsSocket = exports.CrosswsPeer = void 0;
const node_crypto_1 = require("node:crypto");
const node_util_1 = require("node:util");
const load_cjs_1 = require("../native/load.cjs");
const report_cjs_1 = require("../report.cjs");
const payload_cjs_1 = require("./payload.cjs");
const topics_cjs_1 = require("./topics.cjs");
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** How often `waitForDrain` looks, in milliseconds, unless it is told: as in crossws. */
const POLL_INTERVAL = 100;
/** A connection, as hooks see it: the `Peer` of crossws. */
class CrosswsPeer {
    /** The connection's id in wsbroker, for its functions. */
    socketId;
    remoteAddress;
    request;
    context;
    namespace;
    /** This thread's peers of the same namespace. */
    peers = new Set();
    topics = new Set();
    websocket;
    /** @internal */
    resolved;
    #id;
    constructor(parts) {
        this.socketId = parts.socketId;
        this.remoteAddress = parts.remoteAddress;
        this.request = parts.request;
        this.context = parts.context;
        this.namespace = parts.namespace;
        this.resolved = parts.resolved;
        this.websocket = new CrosswsSocket(parts);
    }
    /** A random UUID: unique in all threads and instances. */
    get id() {
        return (this.#id ??= (0, node_crypto_1.randomUUID)());
    }
    get bufferedAmount() {
        return load_cjs_1.native.bufferedAmount(this.socketId);
    }
    /** Returns what {@link send} of wsbroker returns. */
    send(data, options) {
        return this.websocket.send(data, options);
    }
    subscribe(topic) {
        load_cjs_1.native.subscribeMany(this.socketId, channelsOf(topic, this.namespace));
        this.topics.add(topic);
    }
    unsubscribe(topic) {
        load_cjs_1.native.unsubscribeMany(this.socketId, channelsOf(topic, this.namespace));
        this.topics.delete(topic);
    }
    /** To the subscribers in this namespace on all threads and instances, but not to this peer. */
    publish(topic, data, options) {
        load_cjs_1.native.sendToChannel((0, topics_cjs_1.topicChannel)(topic, this.namespace), (0, payload_cjs_1.payloadOf)(data), {
            exclude: this.socketId,
            ...compression(options),
        });
    }
    close(code, reason) {
        this.websocket.close(code, reason);
    }
    terminate() {
        this.websocket.terminate();
    }
    /** Pings are sent by wsbroker itself (`idleTimeout`). */
    ping() {
        (0, report_cjs_1.warnOnce)('wsbroker/crossws: peer.ping() does nothing; wsbroker sends pings by itself, as often as ' +
            'the option "idleTimeout" of start needs them');
    }
    /**
     * Resolves when no more than `threshold` bytes wait to be sent, or the connection has ended.
     * Rejects with the reason of `signal` when that is aborted.
     */
    async waitForDrain(options = {}) {
        const { threshold = 0, pollInterval = POLL_INTERVAL, signal } = options;
        const isDrained = () => this.bufferedAmount <= threshold || this.websocket.readyState !== OPEN;
        if (isDrained())
            return;
        signal?.throwIfAborted();
        await new Promise((resolve, reject) => {
            const stop = () => {
                clearInterval(timer);
                signal?.removeEventListener('abort', abort);
            };
            const abort = () => {
                stop();
                // The application's own reason.
                // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
                reject(signal?.reason);
            };
            const timer = setInterval(() => {
                if (!isDrained())
                    return;
                stop();
                resolve();
            }, pollInterval);
            timer.unref?.();
            signal?.addEventListener('abort', abort, { once: true });
        });
    }
    toString() {
        return this.id;
    }
    [Symbol.toPrimitive]() {
        return this.id;
    }
    get [Symbol.toStringTag]() {
        return 'WebSocket';
    }
    [node_util_1.inspect.custom]() {
        return { peer: { id: this.id, ip: this.remoteAddress } };
    }
}
exports.CrosswsPeer = CrosswsPeer;
/** `peer.websocket`: what of the `WebSocket` of browsers makes sense on a server. */
class CrosswsSocket {
    /** The form of `message.data`. Undefined: as the message came. */
    binaryType = undefined;
    #socketId;
    #request;
    #protocol;
    #state = OPEN;
    /** Until the 101 has been sent the connection is not open yet, but takes messages. */
    #wasOpen = false;
    constructor({ socketId, request, protocol }) {
        this.#socketId = socketId;
        this.#request = request;
        this.#protocol = protocol;
    }
    /** 1: open. 2: closing. 3: closed. */
    get readyState() {
        if (this.#state !== OPEN)
            return this.#state;
        const isOpen = load_cjs_1.native.isOpen(this.#socketId);
        this.#wasOpen ||= isOpen;
        return isOpen || !this.#wasOpen ? OPEN : CLOSING;
    }
    /** The subprotocol; if none was chosen, what the client has offered, as crossws has it. */
    get protocol() {
        return this.#protocol || (this.#request.headers.get('sec-websocket-protocol') ?? '');
    }
    /** What the client has offered, as crossws has it. */
    get extensions() {
        return this.#request.headers.get('sec-websocket-extensions') ?? '';
    }
    get url() {
        return this.#request.url.replace(/^http/, 'ws');
    }
    get bufferedAmount() {
        return load_cjs_1.native.bufferedAmount(this.#socketId);
    }
    send(data, options) {
        return load_cjs_1.native.send(this.#socketId, (0, payload_cjs_1.payloadOf)(data), compression(options));
    }
    close(code, reason) {
        load_cjs_1.native.close(this.#socketId, code, reason);
        if (this.#state === OPEN)
            this.#state = CLOSING;
    }
    terminate() {
        load_cjs_1.native.terminate(this.#socketId);
        if (this.#state === OPEN)
            this.#state = CLOSING;
    }
    /** @internal */
    ended() {
        this.#state = CLOSED;
    }
}
exports.CrosswsSocket = CrosswsSocket;
function channelsOf(topic, namespace) {
    return [(0, topics_cjs_1.topicChannel)(topic, namespace), (0, topics_cjs_1.topicChannel)(topic)];
}
/** Libraries pass options of other servers, too. */
function compression(options) {
    return options?.compress === undefined ? undefined : { compress: options.compress };
}
