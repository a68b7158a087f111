"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ChannelsServer = void 0;
// Not the global functions: test environments that imitate a browser do not have all of them.
const node_timers_1 = require("node:timers");
const load_cjs_1 = require("../native/load.cjs");
const promises_cjs_1 = require("../promises.cjs");
const handlers_cjs_1 = require("../worker/handlers.cjs");
const client_calls_cjs_1 = require("./client-calls.cjs");
const client_subscriptions_cjs_1 = require("./client-subscriptions.cjs");
const client_cjs_1 = require("./client.cjs");
const handler_calls_cjs_1 = require("./handler-calls.cjs");
const messages_cjs_1 = require("./messages.cjs");
/** A client has this long to say hello, in milliseconds. */
const HELLO_TIMEOUT = 10_000;
/** The connections of one worker. */
class ChannelsServer {
    #handlers;
    #subscriptions;
    #calls;
    #clients = new Map();
    /** Who has not said hello, and when it is too late for that, the oldest first. */
    #silent = new Map();
    #timer;
    constructor(options) {
        this.#handlers = options.handlers;
        const calls = new handler_calls_cjs_1.HandlerCalls(options);
        this.#subscriptions = new client_subscriptions_cjs_1.ClientSubscriptions(calls, options);
        this.#calls = new client_calls_cjs_1.ClientCalls(calls, options);
    }
    worker() {
        const handlers = this.#handlers;
        const { handleDrain, handleStart, handleStop, onError } = handlers;
        return {
            ...{ [handlers_cjs_1.PINNED]: true },
            handleOpen: (id, ip, headers, request) => this.#open(id, ip, headers, request),
            handleTextMessage: (text, id, token) => this.#text(text, id, token),
            handleBinaryMessage: (bytes, id, token) => this.#binary(bytes, id, token),
            handleClose: (id, token, code, reason) => {
                this.#closed(id);
                return handlers.handleClose?.(id, token, code, reason);
            },
            handleLost: (id, channel, position) => this.#lost(id, channel, position),
            ...(handleDrain && { handleDrain: handleDrain.bind(handlers) }),
            ...(handleStart && { handleStart: handleStart.bind(handlers) }),
            ...(handleStop && { handleStop: handleStop.bind(handlers) }),
            ...(onError && { onError: onError.bind(handlers) }),
        };
    }
    // Connections.
    #open(id, ip, headers, request) {
        const { handleOpen } = this.#handlers;
        const verdict = handleOpen === undefined ? true : handleOpen.call(this.#handlers, id, ip, headers, request);
        return (0, promises_cjs_1.isThenable)(verdict)
            ? Promise.resolve(verdict).then((one) => this.#verdict(id, request, one))
            : this.#verdict(id, request, verdict);
    }
    /** Agrees on the subprotocol, unless the application has chosen another. */
    #verdict(id, { protocols }, verdict) {
        if (!protocols.includes(messages_cjs_1.SUBPROTOCOL))
            return verdict;
        if (verdict === undefined || verdict === true) {
            this.#awaitHello(id);
            return { protocol: messages_cjs_1.SUBPROTOCOL };
        }
        // What is no verdict is reported where it is used.
        if (typeof verdict !== 'object' || verdict === null || 'status' in verdict)
            return verdict;
        if (verdict.protocol !== undefined && verdict.protocol !== messages_cjs_1.SUBPROTOCOL)
            return verdict;
        this.#awaitHello(id);
        return { ...verdict, protocol: messages_cjs_1.SUBPROTOCOL };
    }
    #awaitHello(id) {
        this.#silent.set(id, Date.now() + HELLO_TIMEOUT);
        this.#timer ??= this.#later(HELLO_TIMEOUT);
    }
    #later(timeout) {
        const timer = (0, node_timers_1.setTimeout)(() => this.#closeSilent(), timeout);
        timer.unref?.();
        return timer;
    }
    #closeSilent() {
        this.#timer = undefined;
        const now = Date.now();
        for (const [id, deadline] of this.#silent) {
            // Not beyond the timeout, if the clock was set back.
            if (deadline > now) {
                this.#timer = this.#later(Math.min(deadline - now, HELLO_TIMEOUT));
                return;
            }
            this.#silent.delete(id);
            if (load_cjs_1.native.speaksChannels(id))
                load_cjs_1.native.close(id, 4401, 'hello expected');
        }
    }
    #closed(id) {
        this.#silent.delete(id);
        if (this.#silent.size === 0) {
            (0, node_timers_1.clearTimeout)(this.#timer);
            this.#timer = undefined;
        }
        const client = this.#clients.get(id);
        if (client === undefined)
            return;
        client.ended = true;
        this.#clients.delete(id);
    }
    // Messages.
    #text(text, id, token) {
        const client = this.#clients.get(id);
        if (client === undefined && !load_cjs_1.native.speaksChannels(id)) {
            return this.#handlers.handleTextMessage?.(text, id, token);
        }
        if (client?.ended === true)
            return undefined;
        try {
            this.#take(id, client, (0, messages_cjs_1.readMessage)(text));
        }
        catch (error) {
            if (!(error instanceof messages_cjs_1.InvalidMessage))
                throw error;
            this.#violated(id, client, error.message);
        }
        return undefined;
    }
    #binary(bytes, id, token) {
        const client = this.#clients.get(id);
        if (client === undefined && !load_cjs_1.native.speaksChannels(id)) {
            return this.#handlers.handleBinaryMessage?.(bytes, id, token);
        }
        if (client?.ended !== true)
            this.#violated(id, client, 'binary message');
        return undefined;
    }
    #violated(id, client, what) {
        if (client === undefined)
            load_cjs_1.native.close(id, 4400, what);
        else
            client.close(4400, what);
    }
    #take(id, client, message) {
        if (client === undefined) {
            if (message.type !== 'hello')
                return load_cjs_1.native.close(id, 4401, 'hello expected');
            const made = new client_cjs_1.ChannelsClient(id, message.client, message.token);
            this.#silent.delete(id);
            this.#clients.set(id, made);
            made.send({ type: 'welcome' });
            return;
        }
        switch (message.type) {
            case 'hello':
                throw new messages_cjs_1.InvalidMessage('a second hello');
            case 'token':
                client.token = message.token;
                break;
            case 'subscribe':
                this.#subscriptions.subscribe(client, message.channels);
                break;
            case 'unsubscribe':
                for (const channel of message.channels)
                    this.#subscriptions.unsubscribe(client, channel);
                break;
            case 'publish':
                this.#calls.publish(client, message);
                break;
            case 'request':
                this.#calls.request(client, message);
                break;
            default:
                message;
        }
    }
    #lost(id, channel, position) {
        if (load_cjs_1.native.speaksChannels(id)) {
            const message = { type: 'lost', channel: String(channel), position };
            load_cjs_1.native.send(id, JSON.stringify(message));
            return undefined;
        }
        if (this.#handlers.handleLost === undefined) {
            load_cjs_1.native.close(id, 4009, 'history lost');
            return undefined;
        }
        return this.#handlers.handleLost(id, channel, position);
    }
}
exports.ChannelsServer = ChannelsServer;
