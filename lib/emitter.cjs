"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Emitter = exports.WSBrokerError = void 0;
const node_crypto_1 = require("node:crypto");
const errors_cjs_1 = require("./errors.cjs");
const join_cluster_cjs_1 = require("./native/join-cluster.cjs");
const load_cjs_1 = require("./native/load.cjs");
const checks_cjs_1 = require("./options/checks.cjs");
const cluster_cjs_1 = require("./options/cluster.cjs");
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
        const client = bag['redis'];
        if (isClient(client)) {
            const request = (0, cluster_cjs_1.checkClusterOptions)('Emitter', 'options', { ...bag, redis: 'redis://127.0.0.1' }, KNOWN_OPTIONS);
            this.#publish = publisherFor(client, request.native.prefix, timeout);
            this.#close = () => undefined;
            return;
        }
        const request = (0, cluster_cjs_1.checkClusterOptions)('Emitter', 'options', bag, KNOWN_OPTIONS);
        let emitter;
        try {
            emitter = new load_cjs_1.native.NativeEmitter(request.native, (0, join_cluster_cjs_1.busEventReporter)(request.onBus));
        }
        catch (error) {
            throw (0, errors_cjs_1.fromNative)(error);
        }
        this.#publish = (channel, data) => emitter.publish(channel, data, timeout);
        this.#close = () => emitter.close();
    }
    /**
     * Publishes to every subscriber of the channel. Messages to one channel arrive in the order of
     * the calls. A message that is rejected uses up a number: receivers see a gap when a later one
     * arrives.
     *
     * @param channel as in `sendToChannel`
     * @param data a string is sent as a text message, bytes as a binary message
     * @returns a promise that resolves when Redis has the message; the number of subscribers is not
     * known
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis cannot be reached, was lost before it
     * answered, or refused the message; no instance was heard again in time; or more than 8 MiB are
     * waiting for Redis. ERR_WSBROKER_SHUT_DOWN: {@link close} was called
     */
    async publish(channel, data) {
        if (this.#closed) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'publish: the emitter is closed');
        }
        const to = bytes('channel', channel);
        const task = this.#publish(Buffer.from(to), typeof data === 'string' ? data : bytes('data', data));
        const settled = task.catch(() => undefined);
        this.#waiting.add(settled);
        // A pending promise of the addon does not keep the process alive.
        const alive = setInterval(() => undefined, 2 ** 30);
        try {
            await task;
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
const KNOWN_OPTIONS = ['redis', 'prefix', 'timeout', 'onBus'];
function isClient(value) {
    return (typeof value === 'object' &&
        value !== null &&
        typeof value.publish === 'function');
}
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
/**
 * How many channels have their numbers remembered. Any other starts a new epoch, which receivers do
 * not take for a gap.
 */
const MAX_CHANNELS = 10_000;
/**
 * How many bytes a client of the application may keep for us; each message counts this many more.
 */
const MAX_PENDING = 2 ** 23;
const OVERHEAD = 256;
/**
 * How many milliseconds an answer may take if `timeout` is 0, which allows no time for connecting.
 */
const ANSWER_TIMEOUT = 2_500;
/**
 * Numbers and envelopes as the addon makes them (crates/wsbroker-redis/src/bus/bus_envelope.rs),
 * for a Redis client of the application.
 */
function publisherFor(client, prefix, timeout) {
    const instance = (0, node_crypto_1.randomBytes)(8);
    const sequences = new Map();
    let epochs = 0;
    // Bytes that the client has not settled: it also keeps messages that were given up.
    let pending = 0;
    const mark = prefix.includes(':')
        ? Buffer.from([0x18, ...varint(Buffer.byteLength(prefix))])
        : Buffer.alloc(0);
    return async (channel, data) => {
        const key = channel.toString('latin1');
        const sequence = sequences.get(key) ?? { epoch: ++epochs, next: 1 };
        // The channel that was used last comes last.
        sequences.delete(key);
        sequences.set(key, sequence);
        if (sequences.size > MAX_CHANNELS)
            sequences.delete(sequences.keys().next().value);
        // Also for a message that is not sent, so that receivers notice a gap.
        const number = sequence.next++;
        const size = Buffer.byteLength(data) + channel.length + OVERHEAD;
        if (pending > 0 && pending + size > MAX_PENDING) {
            throw lost(`too much is waiting for Redis: ${pending} of at most ${MAX_PENDING} bytes`);
        }
        if (timeout === 0 && client.status !== undefined && client.status !== 'ready') {
            throw lost(`the client is not connected (${client.status}), and "timeout" is 0`);
        }
        const payload = Buffer.from(data);
        const kind = typeof data === 'string' ? 0 : 1;
        const envelope = Buffer.concat([
            mark,
            Buffer.from([0x10]),
            instance,
            varint(sequence.epoch),
            varint(number),
            varint(payload.length * 8 + kind),
            payload,
        ]);
        const name = Buffer.concat([Buffer.from(`${prefix}:`), channel]);
        const send = async () => void (await (client.isCluster === true && client.spublish !== undefined
            ? client.spublish(name, envelope)
            : client.publish(name, envelope)));
        pending += size;
        const sent = send().finally(() => (pending -= size));
        let timer;
        const late = new Promise((_, reject) => {
            const limit = timeout === 0 ? ANSWER_TIMEOUT : timeout;
            timer = setTimeout(() => reject(new Error(`Redis did not answer within ${limit} ms; the message may still arrive`)), limit);
        });
        try {
            await Promise.race([sent, late]);
        }
        catch (error) {
            throw lost(error.message, error);
        }
        finally {
            clearTimeout(timer);
        }
    };
}
function lost(why, cause) {
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${why}`, cause === undefined ? undefined : { cause });
}
function varint(number) {
    const bytes = [];
    for (; number >= 0x80; number = Math.floor(number / 0x80))
        bytes.push((number % 0x80) + 0x80);
    return Buffer.from([...bytes, number]);
}
