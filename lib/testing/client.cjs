"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.TestClient = void 0;
exports.testError = testError;
const errors_cjs_1 = require("../errors.cjs");
/** A client of a {@link TestServer}. Messages that nobody has taken yet are kept. */
class TestClient {
    /** The socket of the package ws, for everything else. */
    socket;
    #headers;
    #messages;
    #closed;
    #timeout;
    /** Those that wait, by what they wait for. */
    #wake = new Set();
    #end;
    /** @internal */
    constructor(socket, headers, messages, timeout) {
        this.socket = socket;
        this.#headers = headers;
        this.#messages = messages;
        this.#timeout = timeout;
        socket.on('message', () => this.#changed());
        this.#closed = new Promise((resolve) => {
            socket.on('close', (code, reason) => {
                this.#end = { code, reason: Buffer.from(reason).toString() };
                resolve(this.#end);
                this.#changed();
            });
        });
    }
    /** The subprotocol, or ''. */
    get protocol() {
        return this.socket.protocol;
    }
    /** The headers of the 101 response, by name in lower case. On Bun there are none. */
    get headers() {
        return this.#headers();
    }
    /** Messages that have come and were not taken. */
    get waiting() {
        return this.#messages;
    }
    /** A string is sent as a text message, bytes as a binary message. */
    send(data) {
        this.socket.send(data);
    }
    /**
     * Takes the next message: a string, or a `Buffer` of a binary message.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: none came within the timeout, or the connection was
     * closed and no message is left
     */
    async next() {
        await this.#until(() => this.#messages.length > 0 || this.#end !== undefined, 'no message came');
        const message = this.#messages.shift();
        if (message === undefined)
            throw testError(`no message is left, ${this.#state()}`);
        return message;
    }
    /**
     * Takes the next message and parses it.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: as {@link next}, or it is not JSON
     */
    async nextJson() {
        const text = String(await this.next());
        try {
            return JSON.parse(text);
        }
        catch (cause) {
            throw testError(`the message is not JSON: ${text.slice(0, 200)}`, cause);
        }
    }
    /**
     * Takes messages until one is equal to `message`, or fulfills it, and returns that.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: as {@link next}
     */
    async nextMatching(message) {
        for (;;) {
            const next = await this.next();
            if (typeof message === 'string' ? next === message : message(next))
                return next;
        }
    }
    /**
     * Starts the closing handshake, and resolves when the connection has ended.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: that took longer than the timeout
     */
    async close(code, reason) {
        this.socket.close(code, reason);
        return this.closed();
    }
    /**
     * Resolves when the connection has ended.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_TEST: it did not end within the timeout
     */
    async closed() {
        await this.#until(() => this.#end !== undefined, 'the connection was not closed');
        return this.#closed;
    }
    /** Cuts the connection without a closing handshake. */
    terminate() {
        this.socket.terminate();
    }
    #changed() {
        for (const wake of [...this.#wake])
            wake();
    }
    async #until(holds, otherwise) {
        if (holds())
            return;
        let wake = () => undefined;
        let timer;
        try {
            await new Promise((resolve, reject) => {
                wake = () => {
                    if (holds())
                        resolve();
                };
                this.#wake.add(wake);
                timer = setTimeout(() => {
                    reject(testError(`${otherwise} within ${this.#timeout} ms; ${this.#state()}`));
                }, this.#timeout);
            });
        }
        finally {
            this.#wake.delete(wake);
            clearTimeout(timer);
        }
    }
    #state() {
        if (this.#end !== undefined) {
            const { code, reason } = this.#end;
            return `the connection was closed with ${code}${reason === '' ? '' : ` (${reason})`}`;
        }
        const count = this.#messages.length;
        return `the connection is open, and ${count === 1 ? '1 message waits' : `${count} messages wait`}`;
    }
}
exports.TestClient = TestClient;
function testError(message, cause) {
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_TEST', message, cause === undefined ? undefined : { cause });
}
