"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Delivery = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
const log_cjs_1 = require("../log.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
const deadlines_cjs_1 = require("./deadlines.cjs");
const message_cjs_1 = require("./message.cjs");
const transform_queue_cjs_1 = require("./transform-queue.cjs");
/** How long after the transport has reported drops it is asked to report again, in ms. */
const DROPS_AGAIN_AFTER = 1000;
/** Sends to clients of this instance: section 10 of the specification. */
class Delivery {
    #parts;
    /**
     * Those that are encrypted: natively they are served singly, and a publish to ten thousand others
     * must not look at each.
     */
    #encrypted = new Set();
    #drops;
    #failures;
    #unanswered;
    #deadlines = new deadlines_cjs_1.Deadlines(protocol_cjs_1.LIMITS.transform);
    #dropped = 0;
    /** How many of the transport's drops are in the log. */
    #noted = 0;
    #again;
    constructor(parts) {
        this.#parts = parts;
        this.#failures = new log_cjs_1.RateLimitedErrors(parts.log);
        this.#unanswered = new log_cjs_1.RateLimitedLine((count) => parts.log.error(`outboundTransformer did not answer for ${count} message(s) in time (${protocol_cjs_1.LIMITS.transform / 1000} s at most): dropped`));
        this.#drops = new log_cjs_1.RateLimitedLine((count) => parts.log.warn(`${count} message(s) to clients dropped: their sockets are over the limit or closing, or too much was waiting`));
    }
    get framesDropped() {
        return this.#dropped + this.#parts.transport.dropped(false);
    }
    /** @throws {TypeError} the data cannot be serialised, and the text is needed now */
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
        else if (excluded.length === 0 && settings.outboundTransformer === undefined)
            transport.publish(room, message.frame);
        else
            this.#each(without(rooms.of(room), excluded), message);
    }
    /** @throws as {@link toClient} */
    toAll(message, exclude) {
        const { clients, settings, transport } = this.#parts;
        const excluded = excludedIn(exclude);
        if (transport.native)
            this.#publish({ type: 'broadcast', name: '' }, message, excluded);
        else if (excluded.length === 0 && settings.outboundTransformer === undefined)
            transport.publish(protocol_cjs_1.WebSocketDefaults.BROADCAST_TOPIC, message.frame);
        else
            this.#each(without([...clients.map.values()].filter((client) => clients.isFinished(client)), excluded), message);
    }
    /** What another helper of the instance asks to be sent to clients here. */
    receive(operation) {
        const message = message_cjs_1.Message.from(operation.frame);
        if (operation.op === 'publish')
            return this.#toHeld(operation.audience, message, operation.exclude, operation.epoch);
        const client = this.#parts.clients.get(operation.clientId);
        if (client !== undefined)
            this.#deliver(client, message, undefined);
    }
    /** From now on it is served singly. */
    hold(client) {
        this.#encrypted.add(client);
    }
    forget(client) {
        this.#encrypted.delete(client);
    }
    /** Counts a message that will not arrive. */
    drop(count = 1) {
        this.#dropped += count;
        this.#drops.add(count);
    }
    /** The transport has dropped messages, and says so again when it is asked to. */
    transportDropped() {
        const { transport } = this.#parts;
        const dropped = transport.dropped(false);
        this.#drops.add(dropped - this.#noted);
        this.#noted = dropped;
        // As often as there may be a line.
        this.#again ??= setTimeout(() => {
            this.#again = undefined;
            if (transport.dropped(true) > this.#noted)
                this.transportDropped();
        }, DROPS_AGAIN_AFTER);
        this.#again.unref?.();
    }
    // Natively: one publish for those that are not encrypted, wherever they are; here singly to the
    // others, elsewhere by their owners.
    #publish(audience, message, excluded) {
        const { instance } = this.#parts.transport;
        if (instance !== undefined) {
            const unposted = instance.publish(audience, message.frame, excluded);
            if (unposted > 0)
                this.drop(unposted);
        }
        this.#toHeld(audience, message, excluded, Infinity);
    }
    /**
     * To those that were encrypted when it was published, in this epoch; the others received it
     * directly.
     */
    #toHeld(audience, message, excluded, epoch) {
        if (this.#encrypted.size === 0)
            return;
        if (this.#parts.settings.outboundTransformer === undefined &&
            excluded.length === 0 &&
            audience.type !== 'user')
            return;
        const { clients } = this.#parts;
        this.#each(without(this.#heldIn(audience), excluded).filter((client) => clients.internals(client).heldSince <= epoch), message);
    }
    #heldIn({ type: kind, name }) {
        const { clients, users, rooms } = this.#parts;
        switch (kind) {
            case 'user':
                return users.of(name).filter((client) => client.encrypted);
            case 'room':
                // The smaller of the two is looked through.
                if (rooms.count(name) < this.#encrypted.size)
                    return rooms.of(name).filter((client) => client.encrypted);
                return [...this.#encrypted].filter((client) => rooms.has(client, name));
            case 'broadcast':
                return [...this.#encrypted].filter((client) => clients.isFinished(client));
        }
        kind;
    }
    /** One by one; those that pass the transformer share a window. */
    #each(clients, message) {
        if (clients.length === 0)
            return;
        // Text that cannot be made fails before the first of them has got anything.
        if (clients.some((client) => !this.#transforms(client)))
            void message.frame;
        const window = new transform_queue_cjs_1.ConcurrencyLimit(this.#parts.settings.encryptedBatchLimit);
        for (const client of clients) {
            // An earlier one's `send` may have closed this one.
            if (this.#parts.clients.isHere(client))
                this.#deliver(client, message, window);
        }
    }
    #transforms(client) {
        return client.encrypted && this.#parts.settings.outboundTransformer !== undefined;
    }
    #deliver(client, message, window) {
        if (!this.#transforms(client))
            return this.#send(client, message.frame);
        const internals = this.#parts.clients.internals(client);
        internals.line ??= this.#line(client);
        internals.line.push(message, window);
    }
    #line(client) {
        const { clients, settings, log } = this.#parts;
        return new transform_queue_cjs_1.TransformQueue({
            maxPending: settings.maxPendingTransforms,
            isHere: () => clients.isHere(client),
            run: (message, settled) => this.#transform(client, message, settled),
            dropped: (message) => {
                log.debug(`too much waits for the transformer of client ${client.id}: ${(0, log_cjs_1.shown)(message.event)} dropped`);
                this.drop();
            },
        });
    }
    #transform(client, message, settled) {
        const { clients, settings } = this.#parts;
        let over = false;
        let intime;
        // A call that hangs must not hold its client's line and its slot for ever; an answer after that
        // is too late.
        const end = (how) => {
            if (over)
                return;
            over = true;
            intime?.();
            how();
            settled();
        };
        (0, callbacks_cjs_1.callApplication)(() => settings.outboundTransformer?.({ client, event: message.event, data: message.data }), (result) => end(() => {
            try {
                if (clients.isHere(client))
                    this.#send(client, textOf(result, message));
            }
            catch (error) {
                this.#failures.add(`what outboundTransformer made of ${(0, log_cjs_1.shown)(message.event)} for client ${client.id} cannot be sent: dropped`, error);
            }
        }), (error) => end(() => this.#failures.add(`outboundTransformer failed for client ${client.id}: ${(0, log_cjs_1.shown)(message.event)} dropped`, error)));
        if (over)
            return;
        intime = this.#deadlines.begin(() => end(() => {
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
 * Nothing: the original, in clear. An object: that. Anything else is a mistake, and must not become
 * a message in clear.
 */
function textOf(result, message) {
    if (result === undefined || result === null)
        return message.frame;
    if (typeof result !== 'object')
        throw new TypeError(`outboundTransformer must give { event, data }, null or undefined, got ${typeof result}`);
    return JSON.stringify(result);
}
/** Arrays only; an empty one counts as none. */
function excludedIn(exclude) {
    return Array.isArray(exclude) ? exclude.map(String) : [];
}
function without(clients, excluded) {
    if (excluded.length === 0)
        return clients;
    const ids = new Set(excluded);
    return clients.filter((client) => !ids.has(client.id));
}
