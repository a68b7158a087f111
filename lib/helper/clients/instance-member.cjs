"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.InstanceMember = void 0;
/** The helper among those that share its instance: each has clients of its own. */
class InstanceMember {
    #parts;
    constructor(parts) {
        this.#parts = parts;
    }
    /** Registers the clients that were here before the instance was joined. */
    enter(instance) {
        const { clients, encryption } = this.#parts;
        for (const client of clients.map.values()) {
            instance.addClient(client.id, client.socket);
            if (client.encrypted)
                encryption.enter(client, instance);
            const { finished, user } = clients.internals(client);
            if (finished)
                instance.finishClient(client.id);
            if (user !== undefined)
                instance.addMember(client.id, 'user', user);
            for (const room of client.rooms)
                instance.addMember(client.id, 'room', room);
        }
    }
    /** For a client of any helper of the instance. */
    changeRoom(op, { clientId, room }) {
        const { clients, rooms, delivery, transport } = this.#parts;
        const client = clients.get(clientId);
        if (client !== undefined)
            return rooms[op](client, room);
        const { instance } = transport;
        if (instance?.isElsewhere(clientId) && !instance.post(clientId, { op, clientId, room })) {
            delivery.drop();
        }
    }
    /** Does what another helper asks for. Does not throw. */
    receive(operation) {
        const { clients, rooms, delivery, log } = this.#parts;
        try {
            switch (operation.op) {
                case 'publish':
                case 'send':
                    return delivery.receive(operation);
                case 'join':
                case 'leave': {
                    const client = clients.get(operation.clientId);
                    if (client !== undefined)
                        rooms[operation.op](client, operation.room);
                    return;
                }
            }
            operation;
        }
        catch (error) {
            log.error('an operation of another helper of the instance failed', error);
        }
    }
}
exports.InstanceMember = InstanceMember;
