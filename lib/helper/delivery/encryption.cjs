"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Encryption = void 0;
const protocol_cjs_1 = require("../protocol.cjs");
/** Takes clients out of their channels, whose messages are in clear, to be sent to one by one. */
class Encryption {
    #parts;
    constructor(parts) {
        this.#parts = parts;
    }
    /** Once for each client: it cannot be undone. */
    begin(client) {
        if (client.encrypted)
            return;
        const { settings, delivery, transport, log } = this.#parts;
        client.encrypted = true;
        delivery.hold(client);
        if (transport.instance !== undefined)
            this.enter(client, transport.instance);
        for (const channel of [protocol_cjs_1.WebSocketDefaults.BROADCAST_TOPIC, client.id, ...client.rooms]) {
            try {
                client.socket.unsubscribe(channel);
            }
            catch (error) {
                log.error(`unsubscribe failed for client ${client.id}`, error);
            }
        }
        if (settings.outboundTransformer === undefined) {
            log.warn(`client ${client.id} is encrypted, but there is no outboundTransformer: messages to ` +
                'it alone, to its user, or with exclude are sent in clear, all others not at all');
        }
    }
    /** Tells the instance of an encrypted client. */
    enter(client, instance) {
        this.#parts.clients.internals(client).heldSince = instance.encryptClient(client.id);
    }
}
exports.Encryption = Encryption;
