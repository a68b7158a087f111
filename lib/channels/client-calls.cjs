"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ClientCalls = void 0;
const node_util_1 = require("node:util");
const recovery_cjs_1 = require("../api/recovery.cjs");
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
/** Publishes and requests of a socket that are not answered yet. */
const MAX_IN_HAND = 64;
/** What clients publish and request. */
class ClientCalls {
    #calls;
    #handlers;
    constructor(calls, { handlers }) {
        this.#calls = calls;
        this.#handlers = handlers;
    }
    publish(client, message) {
        if (this.#begin(client, message.id))
            this.#publish(client, message);
    }
    request(client, message) {
        if (this.#begin(client, message.id))
            void this.#request(client, message);
    }
    #begin(client, id) {
        if (client.inHand >= MAX_IN_HAND) {
            client.send({ type: 'failed', id, reason: 'limit' });
            return false;
        }
        client.inHand++;
        return true;
    }
    #publish(client, message) {
        const { channel } = message;
        const { token } = client;
        const asked = load_cjs_1.native.isNameAllowed(channel)
            ? this.#calls.ask(client, token, channel, 'publish', undefined)
            : undefined;
        const previous = client.publishing.get(channel);
        const done = this.#publishBehind(client, token, message, asked, previous).finally(() => {
            client.inHand--;
            if (client.publishing.get(channel) === done)
                client.publishing.delete(channel);
        });
        client.publishing.set(channel, done);
    }
    /** Never rejects. */
    async #publishBehind(client, token, { id, channel, data }, asked, previous) {
        const failed = (reason, message) => client.send({ type: 'failed', id, reason, ...(message !== undefined && { message }) });
        if (asked === undefined)
            return failed('limit');
        const grant = await asked;
        await previous;
        // Its client publishes it again when it comes back.
        if (client.ended)
            return undefined;
        if (grant === undefined || !load_cjs_1.native.hasFramedHistory(channel))
            return failed('forbidden');
        const payload = await this.#payload(client.id, token, { id, channel, data }, grant, failed);
        if (payload === undefined || client.ended)
            return undefined;
        try {
            const receipt = await (0, recovery_cjs_1.publish)(channel, payload, { id: client.publishId(grant.sender, id) });
            const position = { offset: receipt.offset ?? 0, epoch: receipt.epoch ?? '' };
            const duplicate = receipt.duplicate === true;
            return client.send({ type: 'published', id, position, duplicate });
        }
        catch (error) {
            const stored = error.stored;
            if (stored === false)
                return failed('unavailable');
            if (stored === 'unknown')
                return failed('unknown');
            this.#calls.report(error, 'handlePublish', client.id);
            return failed('error');
        }
    }
    /** What is published; `undefined` if nothing is. */
    async #payload(socketId, token, { id, channel, data }, { sender }, failed) {
        if (this.#handlers.handlePublish === undefined)
            return data;
        try {
            const result = await this.#calls.inTime('handlePublish', (handlers) => handlers.handlePublish?.(socketId, channel, data, { id, token, sender }));
            if (result === undefined || result === true)
                return data;
            if (result === false) {
                failed('forbidden');
                return undefined;
            }
            if (isData(result))
                return result;
            throw new errors_cjs_1.WSBrokerTypeError('handlePublish: the result must be a boolean, undefined, a string, ArrayBuffer or ' +
                `Uint8Array, got ${(0, checks_cjs_1.typeName)(result)}. Nothing was published`);
        }
        catch (error) {
            this.#calls.failed(error, 'handlePublish', socketId, failed);
            return undefined;
        }
    }
    /** Never rejects. */
    async #request(client, { id, data }) {
        const failed = (reason, message) => client.send({ type: 'failed', id, reason, ...(message !== undefined && { message }) });
        const { token } = client;
        try {
            if (this.#handlers.handleRequest === undefined) {
                return failed('error', 'this server answers no requests');
            }
            const result = await this.#calls.inTime('handleRequest', (handlers) => handlers.handleRequest?.(client.id, data, { token }));
            client.send({ type: 'response', id, data: result ?? null });
        }
        catch (error) {
            this.#calls.failed(error, 'handleRequest', client.id, failed);
        }
        finally {
            client.inHand--;
        }
    }
}
exports.ClientCalls = ClientCalls;
function isData(value) {
    return typeof value === 'string' || node_util_1.types.isUint8Array(value) || node_util_1.types.isArrayBuffer(value);
}
