"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.ChannelsClient = void 0;
const node_crypto_1 = require("node:crypto");
const load_cjs_1 = require("../native/load.cjs");
const gate_cjs_1 = require("./gate.cjs");
/** Calls of `authorize` at a time. */
const MAX_ASKING = 8;
/** Bytes of a sender's name that stand in ids as they are: ids have 128 at most. */
const MAX_SENDER = 56;
/** A connection that has said hello. */
class ChannelsClient {
    id;
    /** Made by the client at random, and known to nobody else. */
    client;
    token;
    /** It has closed, or is being closed. */
    ended = false;
    /** Publishes and requests that are not answered yet. */
    inHand = 0;
    gate = new gate_cjs_1.Gate(MAX_ASKING);
    subscribing = new Map();
    /** How many of them have not come to an end, the cancelled included: those wait as well. */
    deciding = 0;
    /** The last publish on its way, by channel: they keep their order. */
    publishing = new Map();
    constructor(id, client, token) {
        this.id = id;
        this.client = client;
        this.token = token;
    }
    send(message) {
        if (!this.ended)
            load_cjs_1.native.send(this.id, JSON.stringify(message));
    }
    close(code, reason) {
        this.ended = true;
        load_cjs_1.native.close(this.id, code, reason);
    }
    /**
     * The id of a publish, so that no sender can suppress the message of another. A client's id has
     * no space, so the last one ends the sender.
     */
    publishId(sender, id) {
        if (sender === undefined)
            return `client ${this.client} ${id}`;
        if (Buffer.byteLength(sender) <= MAX_SENDER)
            return `sender ${sender} ${id}`;
        return `hash ${(0, node_crypto_1.createHash)('sha256').update(sender).digest('base64url')} ${id}`;
    }
}
exports.ChannelsClient = ChannelsClient;
