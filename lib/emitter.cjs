"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Emitter = exports.WSBrokerError = void 0;
const node_crypto_1 = require("node:crypto");
const cluster_cjs_1 = require("./cluster.cjs");
const checks_cjs_1 = require("./checks.cjs");
const errors_cjs_1 = require("./errors.cjs");
const load_cjs_1 = require("./load.cjs");
var errors_cjs_2 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_2.WSBrokerError; } });
/**
 * Publishes to channels from a process that serves no sockets: a cron job, an API. Subscribers on all instances get it as from `sendToChannel`.
 *
 * @example
 * ```js
 * import { Emitter } from 'wsbroker/emitter';
 *
 * const emitter = new Emitter({ redis: 'redis://127.0.0.1' });
 * await emitter.publish('news', 'The shop is open');
 * await emitter.close();
 * ```
 */
class Emitter {
    #publish;
    #close;
    #waiting = new Set();
    #closed = false;
    /**
     * Connects in the background, and again without end.
     *
     * @throws {TypeError | WSBrokerError} naming the option that is wrong
     */
    constructor(options) {
        const bag = (0, checks_cjs_1.optionBag)('Emitter', 'options', options, KNOWN);
        const timeout = (0, checks_cjs_1.integer)('Emitter', 'timeout', bag['timeout'], 0, checks_cjs_1.MAX_DURATION) ?? 5_000;
        const client = bag['redis'];
        if (isClient(client)) {
            const request = (0, cluster_cjs_1.clusterRequest)('Emitter', 'options', { ...bag, redis: 'redis://127.0.0.1' }, KNOWN);
            this.#publish = foreign(client, request.native.prefix);
            this.#close = () => undefined;
            return;
        }
        const request = (0, cluster_cjs_1.clusterRequest)('Emitter', 'options', bag, KNOWN);
        let emitter;
        try {
            emitter = new load_cjs_1.native.NativeEmitter(request.native, (0, cluster_cjs_1.teller)(request.onBus));
        }
        catch (error) {
            throw (0, errors_cjs_1.fromNative)(error);
        }
        this.#publish = (channel, data) => emitter.publish(channel, data, timeout);
        this.#close = () => emitter.close();
    }
    /**
     * Publishes to every subscriber of the channel. Messages to one channel arrive in the order of the calls.
     *
     * @param channel as in `sendToChannel`
     * @param data a string is sent as a text message, bytes as a binary one
     * @returns a promise that resolves when Redis has the message; how many subscribers there are is not known
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis is not there, was lost before it answered, or refused the message. ERR_WSBROKER_SHUT_DOWN: after {@link close}
     */
    async publish(channel, data) {
        if (this.#closed)
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'publish: this emitter is closed');
        const to = bytes('channel', channel);
        const task = this.#publish(Buffer.from(to), typeof data === 'string' ? data : bytes('data', data));
        const settled = task.catch(() => undefined);
        this.#waiting.add(settled);
        // A waiting promise of the addon does not keep the process alive.
        const alive = setInterval(() => undefined, 2 ** 30);
        try {
            await task;
        }
        catch (error) {
            throw (0, errors_cjs_1.fromNative)(error);
        }
        finally {
            clearInterval(alive);
            this.#waiting.delete(settled);
        }
    }
    /** Waits for what is being published, and ends the connection. Afterwards nothing keeps the process alive. */
    async close() {
        this.#closed = true;
        await Promise.all(this.#waiting);
        this.#close();
    }
}
exports.Emitter = Emitter;
const KNOWN = ['redis', 'prefix', 'timeout', 'onBus'];
function isClient(value) {
    return typeof value === 'object' && value !== null && typeof value.publish === 'function';
}
function bytes(name, value) {
    if (typeof value === 'string')
        return Buffer.from(value);
    if (value instanceof ArrayBuffer)
        return Buffer.from(value);
    if (value instanceof Uint8Array)
        return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    throw (0, checks_cjs_1.wrongType)('publish', name, 'a string, ArrayBuffer or Uint8Array', value);
}
/** Channels whose numbers are remembered; of another the receivers see a new epoch, which is no gap. */
const MOST_CHANNELS = 10_000;
/** Numbers and envelopes as the addon makes them (crates/wsbroker-core/src/cluster/envelope.rs), for a client that is not ours. */
function foreign(client, prefix) {
    const instance = (0, node_crypto_1.randomBytes)(8);
    const lines = new Map();
    let epochs = 0;
    const mark = prefix.includes(':') ? Buffer.from([0x18, ...varint(Buffer.byteLength(prefix))]) : Buffer.alloc(0);
    return async (channel, data) => {
        const key = channel.toString('latin1');
        const line = lines.get(key) ?? { epoch: ++epochs, next: 1 };
        // The one that was used last stands last.
        lines.delete(key);
        lines.set(key, line);
        if (lines.size > MOST_CHANNELS)
            lines.delete(lines.keys().next().value);
        const payload = Buffer.from(data);
        const kind = typeof data === 'string' ? 0 : 1;
        const envelope = Buffer.concat([mark, Buffer.from([0x10]), instance, varint(line.epoch), varint(line.next++), varint(payload.length * 8 + kind), payload]);
        const name = Buffer.concat([Buffer.from(`${prefix}:`), channel]);
        try {
            await (client.isCluster === true && client.spublish !== undefined ? client.spublish(name, envelope) : client.publish(name, envelope));
        }
        catch (error) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${error.message}`, { cause: error });
        }
    };
}
function varint(number) {
    const bytes = [];
    for (; number >= 0x80; number = Math.floor(number / 0x80))
        bytes.push((number % 0x80) + 0x80);
    return Buffer.from([...bytes, number]);
}
