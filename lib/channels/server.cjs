"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ChannelsServer = void 0;
// Not the global functions: test environments that imitate a browser do not have all of them.
const node_timers_1 = require("node:timers");
const node_util_1 = require("node:util");
const recovery_cjs_1 = require("../api/recovery.cjs");
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const history_cjs_1 = require("../options/history.cjs");
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
const handlers_cjs_1 = require("../worker/handlers.cjs");
const client_cjs_1 = require("./client.cjs");
const messages_cjs_1 = require("./messages.cjs");
const options_cjs_1 = require("./options.cjs");
const request_error_cjs_1 = require("./request-error.cjs");
/** A client has this long to say hello, in milliseconds. */
const HELLO_TIMEOUT = 10_000;
/** Channels of a socket that are being decided. */
const MAX_SUBSCRIBING = 1_000;
/** Publishes and requests of a socket that are not answered yet. */
const MAX_IN_HAND = 64;
/** How long a subscription waits for its replay to be within the rate, in milliseconds. */
const MAX_WAIT = 10_000;
/** How often `authorize` is asked about one subscription while something is being revoked. */
const MAX_ASKED = 3;
/** How often Redis is asked about one subscription, if it is lost in between. */
const MAX_FOLLOWED = 3;
/** How {@link native.subscribeClient} is told whether Redis was asked. */
const BUS_ASKED = { no: 0, yes: 1, lost: 2 };
/** Characters of a {@link RequestError} that the client is told. */
const MAX_ERROR = 1_000;
const NO_EPOCH = { offset: 0, epoch: '' };
/** The connections of one worker. */
class ChannelsServer {
    #handlers;
    #options;
    #clients = new Map();
    /** Who has not said hello, and when it is too late for that, the oldest first. */
    #silent = new Map();
    #timer;
    constructor(options) {
        this.#handlers = options.handlers;
        this.#options = options;
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
                if (client.deciding + message.channels.length > MAX_SUBSCRIBING) {
                    throw new messages_cjs_1.InvalidMessage(`more than ${MAX_SUBSCRIBING} channels are being subscribed`);
                }
                for (const wanted of message.channels)
                    this.#subscribe(client, wanted);
                break;
            case 'unsubscribe':
                for (const channel of message.channels)
                    this.#unsubscribe(client, channel);
                break;
            case 'publish':
                if (this.#begin(client, message.id))
                    this.#publish(client, message);
                break;
            case 'request':
                if (this.#begin(client, message.id))
                    void this.#request(client, message);
                break;
            default:
                message;
        }
    }
    #begin(client, id) {
        if (client.inHand >= MAX_IN_HAND) {
            client.send({ type: 'failed', id, reason: 'limit' });
            return false;
        }
        client.inHand++;
        return true;
    }
    // Subscriptions.
    #subscribe(client, { channel, since }) {
        const { token } = client;
        const refuse = (reason) => client.send({ type: 'refused', channel, reason });
        if (client.subscribing.has(channel))
            return refuse('subscribed');
        if (!load_cjs_1.native.isNameAllowed(channel))
            return refuse('limit');
        const subscribing = { cancelled: false };
        client.subscribing.set(channel, subscribing);
        client.deciding++;
        const done = (reason) => {
            client.deciding--;
            if (subscribing.cancelled)
                return;
            client.subscribing.delete(channel);
            if (reason !== undefined)
                refuse(reason);
        };
        void this.#decide(client, token, channel, since, subscribing).then(done, (error) => {
            this.#report(error, 'handleTextMessage', client.id);
            done('unavailable');
        });
    }
    /** Why it is not subscribed; `undefined` if it is, or nobody wants to know any more. */
    async #decide(client, token, channel, since, subscribing) {
        const isOver = () => subscribing.cancelled || client.ended;
        for (let asked = 0; asked < MAX_ASKED; asked++) {
            const revocations = load_cjs_1.native.revocations(client.id);
            if (revocations < 0)
                return undefined;
            const grant = await this.#ask(client, token, channel, 'subscribe', since, isOver);
            if (isOver())
                return undefined;
            if (grant === undefined)
                return 'forbidden';
            const outcome = await this.#subscribeNow(client, channel, since, grant, revocations, isOver);
            if (outcome !== 'revoked')
                return outcome;
        }
        return 'unavailable';
    }
    async #subscribeNow(client, channel, wanted, grant, revocations, isOver) {
        // Before anything is made for a channel whose name a client has chosen.
        if (!load_cjs_1.native.hasFramedHistory(channel))
            return 'forbidden';
        let waited = 0;
        let followed = 0;
        let asked = BUS_ASKED.no;
        for (;;) {
            const outcome = load_cjs_1.native.subscribeClient(client.id, channel, ...(0, history_cjs_1.checkSince)(options_cjs_1.CALL, beginning(channel, wanted, grant.since)), JSON.stringify(channel), grant.maxReplay, revocations, this.#options.socketRate, this.#options.addressRate, asked);
            if (outcome === 'notHere') {
                // Redis is away, or is lost again and again: the client asks again later.
                if (asked === BUS_ASKED.lost || followed++ >= MAX_FOLLOWED)
                    return 'unavailable';
                asked = await load_cjs_1.native.followChannel(channel).then(() => BUS_ASKED.yes, () => BUS_ASKED.lost);
                if (isOver())
                    return undefined;
                continue;
            }
            if (typeof outcome === 'number') {
                waited += outcome;
                if (waited > MAX_WAIT)
                    return 'unavailable';
                await new Promise((resolve) => (0, node_timers_1.setTimeout)(resolve, outcome));
                if (isOver())
                    return undefined;
                asked = BUS_ASKED.no;
                continue;
            }
            switch (outcome) {
                case 'done':
                case 'gone':
                    return undefined;
                case 'noHistory':
                    return 'forbidden';
                default:
                    return outcome;
            }
        }
    }
    #unsubscribe(client, channel) {
        const subscribing = client.subscribing.get(channel);
        if (subscribing !== undefined) {
            subscribing.cancelled = true;
            client.subscribing.delete(channel);
        }
        // The application may have subscribed it to others.
        if (load_cjs_1.native.hasFramedHistory(channel))
            load_cjs_1.native.unsubscribe(client.id, channel);
        client.send({ type: 'unsubscribed', channel });
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
    /**
     * Whether a client may, with the token that it had when it asked; `undefined`: it may not. Never
     * rejects.
     */
    async #ask(client, token, channel, action, since, isOver = () => client.ended) {
        const entered = client.gate.enter();
        if (entered !== undefined)
            await entered;
        try {
            if (isOver())
                return undefined;
            return (0, options_cjs_1.checkGrant)(await this.#inTime('authorize', (handlers) => handlers.authorize(client.id, channel, { token, action, since })));
        }
        catch (error) {
            this.#report(error, 'authorize', client.id);
            return undefined;
        }
        finally {
            client.gate.leave();
        }
    }
    // Publishes and requests.
    #publish(client, message) {
        const { channel } = message;
        const { token } = client;
        const asked = load_cjs_1.native.isNameAllowed(channel)
            ? this.#ask(client, token, channel, 'publish', undefined)
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
            this.#report(error, 'handlePublish', client.id);
            return failed('error');
        }
    }
    /** What is published; `undefined` if nothing is. */
    async #payload(socketId, token, { id, channel, data }, { sender }, failed) {
        if (this.#handlers.handlePublish === undefined)
            return data;
        try {
            const result = await this.#inTime('handlePublish', (handlers) => handlers.handlePublish?.(socketId, channel, data, { id, token, sender }));
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
            this.#failed(error, 'handlePublish', socketId, failed);
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
            const result = await this.#inTime('handleRequest', (handlers) => handlers.handleRequest?.(client.id, data, { token }));
            client.send({ type: 'response', id, data: result ?? null });
        }
        catch (error) {
            this.#failed(error, 'handleRequest', client.id, failed);
        }
        finally {
            client.inHand--;
        }
    }
    #failed(error, handler, socketId, failed) {
        if (error instanceof request_error_cjs_1.RequestError)
            return failed('error', error.message.slice(0, MAX_ERROR));
        this.#report(error, handler, socketId);
        failed('error');
    }
    /** What a handler returns, or an error if it takes too long. */
    async #inTime(name, call) {
        const result = call(this.#handlers);
        if (!(0, promises_cjs_1.isThenable)(result))
            return result;
        const { timeout } = this.#options;
        let timer;
        const late = new Promise((_, reject) => {
            const error = () => new errors_cjs_1.WSBrokerError('ERR_WSBROKER_HANDLER_TIMEOUT', `${name} did not settle within ${timeout} ms ("timeout" of ${options_cjs_1.CALL})`);
            timer = (0, node_timers_1.setTimeout)(() => reject(error()), timeout);
        });
        try {
            return (await Promise.race([result, late]));
        }
        finally {
            (0, node_timers_1.clearTimeout)(timer);
        }
    }
    #report(error, handler, socketId) {
        const context = { handler, socketId };
        const failed = (reason) => {
            (0, report_cjs_1.reportHandlerError)(error, context);
            (0, report_cjs_1.reportHandlerError)(reason, { handler: 'onError', socketId });
        };
        if (this.#handlers.onError === undefined)
            return (0, report_cjs_1.reportHandlerError)(error, context);
        try {
            const result = this.#handlers.onError(error, context);
            if ((0, promises_cjs_1.isThenable)(result))
                Promise.resolve(result).then(undefined, failed);
        }
        catch (reason) {
            failed(reason);
        }
    }
}
exports.ChannelsServer = ChannelsServer;
/** Where it begins: where the client wants to, but not before the place that it may see. */
function beginning(channel, wanted, from) {
    if (from === undefined)
        return wanted ?? 'now';
    if (wanted === undefined || wanted === 'now')
        return wanted ?? from;
    const head = load_cjs_1.native.historyPosition(channel);
    const first = from === 'now' ? head : from;
    const begins = wanted === 'latest' ? { ...head, offset: head.offset - 1 } : wanted;
    // All that an epoch has is newer than what was before it.
    if (begins.epoch !== first.epoch || begins.offset >= first.offset)
        return wanted;
    // It has not seen what it asks for, and never will.
    return wanted === 'latest' ? 'now' : NO_EPOCH;
}
function isData(value) {
    return typeof value === 'string' || node_util_1.types.isUint8Array(value) || node_util_1.types.isArrayBuffer(value);
}
