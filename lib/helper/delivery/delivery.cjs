"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Delivery = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
const log_cjs_1 = require("../log.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
const deadlines_cjs_1 = require("./deadlines.cjs");
const message_cjs_1 = require("./message.cjs");
const transform_queue_cjs_1 = require("./transform-queue.cjs");
/** How many milliseconds after the transport has reported drops it may report again. */
const REPORT_AGAIN_AFTER = 1000;
/** Sends to clients of this instance, as docs/design/helper.md says. */
class Delivery {
    #parts;
    /**
     * The encrypted clients. Natively they are sent to one by one; a publish to ten thousand others
     * must not look at each client.
     */
    #encrypted = new Set();
    #drops;
    #failures;
    #unanswered;
    #deadlines = new deadlines_cjs_1.Deadlines(protocol_cjs_1.LIMITS.transform);
    #dropped = 0;
    /** How many of the transport's drops have been logged. */
    #logged = 0;
    #again;
    constructor(parts) {
        this.#parts = parts;
        this.#failures = new log_cjs_1.RateLimitedErrors(parts.log);
        this.#unanswered = new log_cjs_1.RateLimitedLine((count) => parts.log.error(`${count} message(s) dropped: outboundTransformer took too long (the limit is ` +
            `${protocol_cjs_1.LIMITS.transform / 1000} s)`));
        this.#drops = new log_cjs_1.RateLimitedLine((count) => parts.log.warn(`${count} message(s) to clients dropped: their sockets are over the limit or ` +
            'closing, or too much was waiting'));
    }
    get framesDropped() {
        return this.#dropped + this.#parts.transport.dropped(false);
    }
    /** @throws {TypeError} the data cannot be serialized, and its text is needed at once */
    toClient(clientId, message) {
        const { clients, transport } = this.#parts;
        const client = clients.get(clientId);
        if (client !== undefined)
            return this.#deliver(client, message, undefined);
        const { instance } = transport;
        if (instance?.isElsewhere(clientId) !== true)
            return;
        if (instance.sendElsewhere(clientId, message.frame) === 0)
            this.drop();
    }
    /** @throws as {@link toClient} */
    toUser(userId, message) {
        const { users, transport } = this.#parts;
        if (transport.native)
            this.#publish({ type: 'user', name: String(userId) }, message, []);
        else
            this.#each(users.of(userId), message);
    }
    /** @throws as {@link toClient} */
    toRoom(room, message, exclude) {
        const { rooms, settings, transport } = this.#parts;
        const excluded = excludedIn(exclude);
        if (transport.native)
            this.#publish({ type: 'room', name: room }, message, excluded);
        else if (excluded.length === 0 && settings.outboundTransformer === undefined) {
            transport.publish(room, message.frame);
        }
        else {
            this.#each(without(rooms.of(room), excluded), message);
        }
    }
    /** @throws as {@link toClient} */
    toAll(message, exclude) {
        const { clients, settings, transport } = this.#parts;
        const excluded = excludedIn(exclude);
        if (transport.native)
            this.#publish({ type: 'broadcast', name: '' }, message, excluded);
        else if (excluded.length === 0 && settings.outboundTransformer === undefined) {
            transport.publish(protocol_cjs_1.WebSocketDefaults.BROADCAST_TOPIC, message.frame);
        }
        else {
            this.#each(without([...clients.map.values()].filter((client) => clients.isFinished(client)), excluded), message);
        }
    }
    /** Sends to clients here what another helper of the instance asks for. */
    receive(operation) {
        const message = message_cjs_1.Message.from(operation.frame);
        if (operation.op === 'publish') {
            return this.#toEncrypted(operation.audience, message, operation.exclude, operation.epoch);
        }
        const client = this.#parts.clients.get(operation.clientId);
        if (client !== undefined)
            this.#deliver(client, message, undefined);
    }
    /** From now on this client is sent to individually. */
    hold(client) {
        this.#encrypted.add(client);
    }
    forget(client) {
        this.#encrypted.delete(client);
    }
    /** Counts messages that will not arrive. */
    drop(count = 1) {
        this.#dropped += count;
        this.#drops.add(count);
    }
    /** The transport has dropped messages. It reports that again only when it is asked to. */
    transportDropped() {
        const { transport } = this.#parts;
        const dropped = transport.dropped(false);
        this.#drops.add(dropped - this.#logged);
        this.#logged = dropped;
        // As often as a line may be written.
        this.#again ??= setTimeout(() => {
            this.#again = undefined;
            if (transport.dropped(true) > this.#logged)
                this.transportDropped();
        }, REPORT_AGAIN_AFTER);
        this.#again.unref?.();
    }
    // Natively: one publish reaches all clients that are not encrypted. Encrypted clients get it one
    // by one, from the helper that has them.
    #publish(audience, message, excluded) {
        const { instance } = this.#parts.transport;
        if (instance !== undefined) {
            const unposted = instance.publish(audience, message.frame, excluded);
            if (unposted > 0)
                this.drop(unposted);
        }
        this.#toEncrypted(audience, message, excluded, Infinity);
    }
    /**
     * Sends to clients that were already encrypted in the epoch of the publish; the others have
     * received it directly.
     */
    #toEncrypted(audience, message, excluded, epoch) {
        if (this.#encrypted.size === 0)
            return;
        if (this.#parts.settings.outboundTransformer === undefined &&
            excluded.length === 0 &&
            audience.type !== 'user') {
            return;
        }
        const { clients } = this.#parts;
        this.#each(without(this.#encryptedIn(audience), excluded).filter((client) => clients.internals(client).heldSince <= epoch), message);
    }
    #encryptedIn({ type: kind, name }) {
        const { clients, users, rooms } = this.#parts;
        switch (kind) {
            case 'user':
                return users.of(name).filter((client) => client.encrypted);
            case 'room':
                // The smaller set of the two is searched.
                if (rooms.count(name) < this.#encrypted.size) {
                    return rooms.of(name).filter((client) => client.encrypted);
                }
                return [...this.#encrypted].filter((client) => rooms.has(client, name));
            case 'broadcast':
                return [...this.#encrypted].filter((client) => clients.isFinished(client));
        }
        kind;
    }
    /** Sends one by one. Messages that pass through the transformer share a limit. */
    #each(clients, message) {
        if (clients.length === 0)
            return;
        // Data that cannot be serialized fails before the first client has got anything.
        if (clients.some((client) => !this.#transforms(client)))
            void message.frame;
        const limit = new transform_queue_cjs_1.ConcurrencyLimit(this.#parts.settings.encryptedBatchLimit);
        for (const client of clients) {
            // The `send` to an earlier client may have closed this one.
            if (this.#parts.clients.isHere(client))
                this.#deliver(client, message, limit);
        }
    }
    #transforms(client) {
        return client.encrypted && this.#parts.settings.outboundTransformer !== undefined;
    }
    #deliver(client, message, limit) {
        if (!this.#transforms(client))
            return this.#send(client, message.frame);
        const internals = this.#parts.clients.internals(client);
        internals.transforms ??= this.#queueOf(client);
        internals.transforms.push(message, limit);
    }
    #queueOf(client) {
        const { clients, settings, log } = this.#parts;
        return new transform_queue_cjs_1.TransformQueue({
            maxPending: settings.maxPendingTransforms,
            isHere: () => clients.isHere(client),
            run: (message, settled) => this.#transform(client, message, settled),
            dropped: (message) => {
                log.debug(`${(0, log_cjs_1.quoted)(message.event)} for client ${client.id} dropped: too much is waiting for ` +
                    'outboundTransformer');
                this.drop();
            },
        });
    }
    #transform(client, message, settled) {
        const { clients, settings } = this.#parts;
        let over = false;
        let cancelDeadline;
        // A call that hangs must not block its client and its permit for ever. A result after the
        // deadline is ignored.
        const end = (how) => {
            if (over)
                return;
            over = true;
            cancelDeadline?.();
            how();
            settled();
        };
        (0, callbacks_cjs_1.callApplication)(() => settings.outboundTransformer?.({ client, event: message.event, data: message.data }), (result) => end(() => {
            try {
                if (clients.isHere(client))
                    this.#send(client, textOf(result, message));
            }
            catch (error) {
                this.#failures.add(`${(0, log_cjs_1.quoted)(message.event)} for client ${client.id} dropped: the result of ` +
                    'outboundTransformer cannot be sent', error);
            }
        }), (error) => end(() => this.#failures.add(`${(0, log_cjs_1.quoted)(message.event)} for client ${client.id} dropped: outboundTransformer failed`, error)));
        if (over)
            return;
        cancelDeadline = this.#deadlines.begin(() => end(() => {
            if (!clients.isHere(client))
                return;
            this.#dropped++;
            this.#unanswered.add();
        }));
    }
    #send(client, text) {
        let result;
        try {
            result = client.socket.send(text);
        }
        catch (error) {
            this.#parts.log.error(`send failed for client ${client.id}`, error);
            return;
        }
        if (result === 0)
            this.drop();
        else if (result === -1)
            client.backpressured = true;
    }
}
exports.Delivery = Delivery;
/**
 * The text of a transformer's result. Without a result the original is sent in clear. Anything else
 * than an object is an error, and must not become a message in clear.
 */
function textOf(result, message) {
    if (result === undefined || result === null)
        return message.frame;
    if (typeof result !== 'object') {
        throw new TypeError(`outboundTransformer must return { event, data }, null or undefined, got ${typeof result}`);
    }
    return JSON.stringify(result);
}
/** Only arrays count. */
function excludedIn(exclude) {
    return Array.isArray(exclude) ? exclude.map(String) : [];
}
function without(clients, excluded) {
    if (excluded.length === 0)
        return clients;
    const ids = new Set(excluded);
    return clients.filter((client) => !ids.has(client.id));
}
