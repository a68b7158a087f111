"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Everywhere = void 0;
const protocol_cjs_1 = require("../protocol.cjs");
const message_cjs_1 = require("./message.cjs");
/** Sends to clients of all instances: here by `Delivery`, to others through Redis. */
class Everywhere {
    #parts;
    constructor(parts) {
        this.#parts = parts;
    }
    /**
     * To the client or the room of that name, or without `destination` to all authenticated clients.
     *
     * @throws {TypeError} the data cannot be serialized
     */
    send(destination, event, data) {
        const { clients, rooms, delivery, transport } = this.#parts;
        const message = new message_cjs_1.Message(event, data);
        if (!destination) {
            delivery.toAll(message, undefined);
            return this.#publish(protocol_cjs_1.WebSocketChannels.BROADCAST, 'broadcast', undefined, message);
        }
        const { instance } = transport;
        if (clients.get(destination) !== undefined || instance?.isElsewhere(destination)) {
            delivery.toClient(destination, message);
            const channel = protocol_cjs_1.WebSocketChannels.forClient({ clientId: destination });
            return this.#publish(channel, 'client', destination, message);
        }
        if (rooms.count(destination) > 0 || instance?.hasRoom(destination)) {
            delivery.toRoom(destination, message, undefined);
        }
        const channel = protocol_cjs_1.WebSocketChannels.forRoom({ room: destination });
        this.#publish(channel, 'room', destination, message);
    }
    #publish(channel, type, target, message) {
        const { lifecycle, relay } = this.#parts;
        if (!lifecycle.ended)
            relay.publish(channel, type, target, message);
    }
}
exports.Everywhere = Everywhere;
