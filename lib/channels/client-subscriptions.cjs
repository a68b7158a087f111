"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ClientSubscriptions = void 0;
const node_timers_1 = require("node:timers");
const load_cjs_1 = require("../native/load.cjs");
const history_cjs_1 = require("../options/history.cjs");
const messages_cjs_1 = require("./messages.cjs");
const options_cjs_1 = require("./options.cjs");
/** Channels of a socket that are being decided. */
const MAX_SUBSCRIBING = 1_000;
/** How long a subscription waits for its replay to be within the rate, in milliseconds. */
const MAX_WAIT = 10_000;
/** How often `authorize` is asked about one subscription while something is being revoked. */
const MAX_ASKED = 3;
/** How often Redis is asked about one subscription, if it is lost in between. */
const MAX_FOLLOWED = 3;
/** How {@link native.subscribeClient} is told whether Redis was asked. */
const BUS_ASKED = { no: 0, yes: 1, lost: 2 };
const NO_EPOCH = { offset: 0, epoch: '' };
/** What clients subscribe to, and what they leave. */
class ClientSubscriptions {
    #calls;
    #socketRate;
    #addressRate;
    constructor(calls, { socketRate, addressRate }) {
        this.#calls = calls;
        this.#socketRate = socketRate;
        this.#addressRate = addressRate;
    }
    /** Each channel gets an answer of its own. */
    subscribe(client, channels) {
        if (client.deciding + channels.length > MAX_SUBSCRIBING) {
            throw new messages_cjs_1.InvalidMessage(`more than ${MAX_SUBSCRIBING} channels are being subscribed`);
        }
        for (const wanted of channels)
            this.#subscribe(client, wanted);
    }
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
            this.#calls.report(error, 'handleTextMessage', client.id);
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
            const grant = await this.#calls.ask(client, token, channel, 'subscribe', since, isOver);
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
            const outcome = load_cjs_1.native.subscribeClient(client.id, channel, ...(0, history_cjs_1.checkSince)(options_cjs_1.CALL, beginning(channel, wanted, grant.since)), JSON.stringify(channel), grant.maxReplay, revocations, this.#socketRate, this.#addressRate, asked);
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
    unsubscribe(client, channel) {
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
}
exports.ClientSubscriptions = ClientSubscriptions;
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
