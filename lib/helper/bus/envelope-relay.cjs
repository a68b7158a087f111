"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.EnvelopeRelay = void 0;
const errors_cjs_1 = require("../../errors.cjs");
const log_cjs_1 = require("../log.cjs");
const envelope_cjs_1 = require("./envelope.cjs");
/** Sends envelopes to other instances, delivers theirs, and counts those that fail. */
class EnvelopeRelay {
    #parts;
    #refusedLine;
    #failedLine;
    #invalidLine;
    #deliveryErrors;
    #refused = 0;
    #failed = 0;
    #invalid = 0;
    #lastError;
    constructor(parts) {
        this.#parts = parts;
        const { log } = parts;
        this.#refusedLine = new log_cjs_1.RateLimitedLine((count) => log.warn(`${count} message(s) not sent to Redis: it is lost, or too much is waiting`));
        this.#failedLine = new log_cjs_1.RateLimitedLine((count) => log.error(`${count} message(s) to Redis failed; the last error:`, this.#lastError));
        this.#deliveryErrors = new log_cjs_1.RateLimitedErrors(log);
        this.#invalidLine = new log_cjs_1.RateLimitedLine((count) => log.warn(`${count} message(s) from Redis ignored: they are not envelopes`));
    }
    get refused() {
        return this.#refused;
    }
    get failed() {
        return this.#failed;
    }
    get invalid() {
        return this.#invalid + this.#parts.bus.counts().invalid;
    }
    /** Does not wait, and does not throw: failures are counted and logged. */
    publish(channel, type, target, message) {
        let text;
        try {
            text = (0, envelope_cjs_1.envelopeAround)(message.frame, this.#parts.serverId(), type, target);
        }
        catch (error) {
            return this.#fail(error);
        }
        this.#parts.bus.publish(channel, text, (error) => {
            if (error instanceof errors_cjs_1.WSBrokerError && error.code === 'ERR_WSBROKER_BUS_LOST') {
                this.#refused++;
                this.#refusedLine.add();
            }
            else {
                this.#fail(error);
            }
        });
    }
    /** The publisher is ready again: logs refusals that have not been logged yet. */
    settle() {
        this.#refusedLine.flush();
    }
    /** Delivers a text from Redis: by its type, not by its channel. It is never published again. */
    receive(text) {
        const message = (0, envelope_cjs_1.parseEnvelope)(text);
        if (message === undefined) {
            this.#invalid++;
            this.#invalidLine.add();
            return;
        }
        if (message.serverId === this.#parts.serverId())
            return;
        try {
            this.#deliver(message.type, message.target, message);
        }
        catch (error) {
            this.#deliveryErrors.add('a message from Redis cannot be delivered', error);
        }
    }
    #deliver(type, target, { event, data, exclude }) {
        const { deliver } = this.#parts;
        const excluded = Array.isArray(exclude) ? { exclude: exclude } : {};
        if (type === 'broadcast')
            return deliver.broadcast({ event, data, ...excluded });
        if (!target)
            return;
        // Whatever it is: names of clients, users and rooms are text.
        const name = String(target);
        if (type === 'client')
            deliver.client({ clientId: name, event, data });
        else if (type === 'user')
            deliver.user({ userId: name, event, data });
        else if (type === 'room')
            deliver.room({ room: name, event, data, ...excluded });
    }
    #fail(error) {
        this.#failed++;
        this.#lastError = error;
        this.#failedLine.add();
    }
}
exports.EnvelopeRelay = EnvelopeRelay;
