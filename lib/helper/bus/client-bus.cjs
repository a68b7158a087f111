"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ClientBus = void 0;
const errors_cjs_1 = require("../../errors.cjs");
const promises_cjs_1 = require("../../promises.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
const redis_link_cjs_1 = require("./redis-link.cjs");
// A bus with a Redis client of the application: it uses duplicates of the client.
/** How many milliseconds after a failed subscription the next one is tried. */
const RESUBSCRIBE_AFTER = 1000;
class ClientBus {
    form;
    instanceWide = false;
    #publisher;
    #subscriber;
    #host;
    /**
     * All links have been ready once. From then on messages are refused while the publisher is lost.
     */
    #connected = false;
    #subscribing = false;
    #subscribed = false;
    /**
     * Counts the connections of the subscriber, to ignore what was started on an earlier one.
     */
    #connection = 0;
    #retry;
    /**
     * UTF-16 units of messages that Redis has not answered. The client keeps them, without a limit of
     * its own.
     */
    #unanswered = 0;
    #closed = false;
    /**
     * Duplicates the parent, first for the publisher, then for the subscriber. Nothing else is done
     * with the parent.
     */
    constructor(parent, role, form) {
        this.form = form;
        const publisher = parent.duplicate();
        this.#publisher = new redis_link_cjs_1.RedisLink(publisher, 'publisher');
        if (role === 'emitter')
            return;
        try {
            this.#subscriber = new redis_link_cjs_1.RedisLink(parent.duplicate(), 'subscriber');
        }
        catch (error) {
            disconnect(publisher);
            throw error;
        }
    }
    get publisherReady() {
        return this.#connected && this.#publisher.up;
    }
    get subscriberReady() {
        return this.#subscribed;
    }
    async connect(host) {
        this.#watch(host);
        const ready = Promise.all(this.#links.map((link) => link.ready(protocol_cjs_1.LIMITS.redisReady)));
        for (const link of this.#links)
            link.start();
        try {
            await ready;
        }
        catch (error) {
            for (const link of this.#links)
                link.giveUp();
            throw error;
        }
        this.#connected = true;
    }
    async subscribe() {
        this.#subscribing = true;
        try {
            await this.#subscribeAll();
        }
        catch (error) {
            this.#subscribing = false;
            throw error;
        }
    }
    publish(channel, text, failed) {
        if (this.#refuses)
            return failed(this.#refusal());
        // A message that exceeds the limit by itself passes if nothing else is in flight, as on the
        // native bus.
        if (this.#unanswered > 0 && this.#unanswered + text.length > protocol_cjs_1.LIMITS.maxUnanswered) {
            return failed(new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', 'too much is waiting to be sent to Redis'));
        }
        try {
            const given = this.#publisher.client.publish(channel, text);
            if (!(0, promises_cjs_1.isThenable)(given))
                return;
            this.#unanswered += text.length;
            const answered = () => void (this.#unanswered -= text.length);
            Promise.resolve(given).then(answered, (error) => {
                answered();
                failed(error);
            });
        }
        catch (error) {
            failed(error);
        }
    }
    async request(channel, text) {
        if (this.#refuses)
            throw this.#refusal();
        await this.#publisher.client.publish(channel, text);
    }
    counts() {
        return { invalid: 0, dropped: 0 };
    }
    async close() {
        this.#closed = true;
        clearTimeout(this.#retry);
        for (const link of this.#links)
            link.close();
        await Promise.all(this.#links.map((link) => this.#quit(link)));
    }
    get #links() {
        return this.#subscriber === undefined ? [this.#publisher] : [this.#publisher, this.#subscriber];
    }
    /** Before the first `connect` it is up to the client. */
    get #refuses() {
        return this.#closed || (this.#connected && !this.#publisher.up);
    }
    #refusal() {
        return this.#closed
            ? new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'the connection to Redis has been closed')
            : new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', 'the connection to Redis is lost; the message was not sent');
    }
    /** Adds listeners, once: they are never removed. */
    #watch(host) {
        if (this.#host !== undefined)
            return;
        this.#host = host;
        this.#publisher.watch(host.logger, () => this.#changed());
        const { client } = this.#subscriber ?? {};
        this.#subscriber?.watch(host.logger, (up) => up ? this.#subscribeAgain() : this.#lostSubscriber());
        client?.on('message', (_channel, text) => this.#received(text));
        client?.on('pmessage', (_pattern, _channel, text) => this.#received(text));
    }
    #received(text) {
        if (!this.#closed)
            this.#host?.received(String(text));
    }
    #changed() {
        if (!this.#closed)
            this.#host?.changed();
    }
    #lostSubscriber() {
        this.#connection++;
        clearTimeout(this.#retry);
        if (!this.#subscribed)
            return;
        this.#subscribed = false;
        this.#changed();
    }
    /** The client may have renewed its subscriptions by itself. Subscribing again confirms that. */
    #subscribeAgain() {
        if (!this.#subscribing || this.#subscribed || this.#closed)
            return;
        this.#subscribeAll().catch((error) => {
            if (this.#closed || !this.#subscriber?.up)
                return;
            this.#host?.logger.error(`subscribing to Redis failed; trying again in ${RESUBSCRIBE_AFTER} ms`, error);
            this.#retry = setTimeout(() => this.#subscribeAgain(), RESUBSCRIBE_AFTER);
            this.#retry.unref?.();
        });
    }
    async #subscribeAll() {
        const { client } = this.#subscriber ?? {};
        if (client === undefined)
            return;
        const connection = this.#connection;
        await Promise.all([
            call(() => client.subscribe(protocol_cjs_1.WebSocketChannels.BROADCAST)),
            call(() => client.psubscribe(protocol_cjs_1.WebSocketChannels.forRoomPattern())),
            call(() => client.psubscribe(protocol_cjs_1.WebSocketChannels.forClientPattern())),
            call(() => client.psubscribe(protocol_cjs_1.WebSocketChannels.forUserPattern())),
        ]);
        // The connection was lost meanwhile: the next one subscribes.
        if (connection !== this.#connection || this.#closed)
            return;
        this.#subscribed = true;
        this.#changed();
    }
    async #quit({ client, name }) {
        try {
            if (await (0, promises_cjs_1.within)(protocol_cjs_1.LIMITS.redisQuit, call(() => client.quit()))) {
                return;
            }
            this.#host?.logger.warn(`the ${name} did not quit within ${protocol_cjs_1.LIMITS.redisQuit} ms`);
        }
        catch (error) {
            this.#host?.logger.warn(`the ${name} did not quit`, error);
        }
        try {
            disconnect(client);
        }
        catch (error) {
            this.#host?.logger.warn(`the ${name} did not disconnect`, error);
        }
    }
}
exports.ClientBus = ClientBus;
/** Turns a throw into a rejection. */
async function call(fn) {
    return fn();
}
function disconnect(client) {
    client.disconnect?.();
}
