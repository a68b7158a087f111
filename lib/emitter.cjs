"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Emitter = exports.WSBrokerError = void 0;
const emitter_client_cjs_1 = require("./emitter-client.cjs");
const emitter_numbering_cjs_1 = require("./emitter-numbering.cjs");
const errors_cjs_1 = require("./errors.cjs");
const join_cluster_cjs_1 = require("./native/join-cluster.cjs");
const load_cjs_1 = require("./native/load.cjs");
const checks_cjs_1 = require("./options/checks.cjs");
const cluster_cjs_1 = require("./options/cluster.cjs");
const history_cjs_1 = require("./options/history.cjs");
const bus_receipt_cjs_1 = require("./server/bus-receipt.cjs");
var errors_cjs_2 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_2.WSBrokerError; } });
/**
 * Publishes to channels from a process without sockets of its own, such as a cron job or an API.
 * Subscribers on all instances get the messages as from `sendToChannel`.
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
    #hasHistory;
    #close;
    #waiting = new Set();
    #closed = false;
    /**
     * Connects in the background, and reconnects whenever the connection is lost.
     *
     * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
     */
    constructor(options) {
        const bag = (0, checks_cjs_1.knownKeys)('Emitter', 'options', options, KNOWN_OPTIONS);
        const timeout = (0, checks_cjs_1.duration)('Emitter', 'timeout', bag['timeout'], 0) ?? 5_000;
        const history = (0, history_cjs_1.checkHistory)('Emitter', bag['history']) ?? [];
        const client = bag['redis'];
        if ((0, emitter_client_cjs_1.isClient)(client)) {
            const request = (0, cluster_cjs_1.checkClusterOptions)('Emitter', 'options', { ...bag, redis: 'redis://127.0.0.1' }, KNOWN_OPTIONS);
            const { prefix } = request.native;
            const plain = (0, emitter_client_cjs_1.publisherFor)(client, prefix, timeout);
            const numbering = history.length === 0 ? undefined : (0, emitter_numbering_cjs_1.numberingFor)(client, prefix, history, timeout);
            this.#hasHistory = (channel) => numbering?.hasHistory(channel) ?? false;
            this.#publish = (channel, data, id) => numbering?.hasHistory(channel)
                ? numbering.publish(channel, data, id)
                : plain(channel, data).then(() => ({}));
            this.#close = () => undefined;
            return;
        }
        const request = (0, cluster_cjs_1.checkClusterOptions)('Emitter', 'options', bag, KNOWN_OPTIONS);
        let emitter;
        try {
            emitter = new load_cjs_1.native.NativeEmitter(request.native, history, (0, join_cluster_cjs_1.busEventReporter)(request.onBus));
        }
        catch (error) {
            throw (0, errors_cjs_1.fromNative)(error);
        }
        this.#hasHistory = (channel) => emitter.hasHistory(channel);
        this.#publish = async (channel, data, id) => {
            const receipt = await emitter.publish(channel, data, id, timeout);
            return receipt === null ? {} : (0, bus_receipt_cjs_1.storedOrThrow)(receipt);
        };
        this.#close = () => emitter.close();
    }
    /**
     * Publishes to every subscriber of the channel. Messages to one channel arrive in the order of
     * the calls. A message that is rejected uses up a number: receivers see a gap when a later one
     * arrives.
     *
     * On a channel with `history` nothing is missed: instances that do not hear the message find it
     * in Redis.
     *
     * @param channel as in `sendToChannel`
     * @param data a string is sent as a text message, bytes as a binary message
     * @returns a promise that resolves when Redis has the message; the number of subscribers is not
     * known
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
     * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: `id` is empty or longer than 128 bytes, or
     * the channel has no history
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis cannot be reached, was lost before it
     * answered, or refused the message; no instance was heard again in time; or more than 8 MiB are
     * waiting for Redis. On a channel with `history`, `stored` is `false` or, where Redis may have
     * it, `'unknown'`: publish it again with the same `id`. ERR_WSBROKER_SHUT_DOWN: {@link close} was
     * called
     */
    async publish(channel, data, options) {
        if (this.#closed) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'publish: the emitter is closed');
        }
        const to = Buffer.from(bytes('channel', channel));
        const id = checkId(options);
        if (id !== undefined && !this.#hasHistory(to)) {
            const expected = 'a publish to a channel with "history", which the emitter has to be given, too';
            throw (0, checks_cjs_1.wrongValue)('publish', 'id', expected, to.toString());
        }
        const task = this.#publish(to, typeof data === 'string' ? data : bytes('data', data), id);
        const settled = task.catch(() => undefined);
        this.#waiting.add(settled);
        // A pending promise of the addon does not keep the process alive.
        const alive = setInterval(() => undefined, 2 ** 30);
        try {
            return await task;
        }
        catch (error) {
            throw error instanceof errors_cjs_1.WSBrokerError ? error : (0, errors_cjs_1.fromNative)(error);
        }
        finally {
            clearInterval(alive);
            this.#waiting.delete(settled);
        }
    }
    /**
     * Waits for publishes that are under way, each within its timeout, and ends the connection.
     * Afterwards nothing keeps the process alive.
     */
    async close() {
        this.#closed = true;
        await Promise.all(this.#waiting);
        this.#close();
    }
}
exports.Emitter = Emitter;
/** Bytes. */
const MAX_ID = 128;
const KNOWN_OPTIONS = ['redis', 'prefix', 'timeout', 'history', 'onBus'];
function bytes(name, value) {
    if (typeof value === 'string')
        return Buffer.from(value);
    if (value instanceof ArrayBuffer)
        return Buffer.from(value);
    if (value instanceof Uint8Array) {
        return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    throw (0, checks_cjs_1.wrongType)('publish', name, 'a string, ArrayBuffer or Uint8Array', value);
}
function checkId(options) {
    if (options === undefined)
        return undefined;
    const bag = (0, checks_cjs_1.knownKeys)('publish', 'options', options, ['id']);
    const id = (0, checks_cjs_1.optional)('publish', 'id', bag['id'], 'string');
    if (id !== undefined && (id === '' || Buffer.byteLength(id) > MAX_ID)) {
        throw (0, checks_cjs_1.wrongValue)('publish', 'id', `1 to ${MAX_ID} bytes`, id);
    }
    return id;
}
