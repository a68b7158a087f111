"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Clients = void 0;
function fresh() {
    return {
        finished: false,
        frames: 0,
        cut: false,
        user: undefined,
        unansweredRooms: 0,
        transforms: undefined,
        heldSince: 0,
    };
}
class Clients {
    /** By id. The application gets this map itself. */
    map = new Map();
    #internals = new WeakMap();
    add(id, socket) {
        const now = Date.now();
        const client = {
            id,
            socket,
            state: 'unauthorized',
            rooms: new Set(),
            backpressured: false,
            encrypted: false,
            connectedAt: now,
            lastActivity: now,
        };
        this.#internals.set(client, fresh());
        this.map.set(id, client);
        return client;
    }
    get(id) {
        return this.map.get(id);
    }
    /** Whether this entry is still the one of its id. To be checked after each wait. */
    isHere(client) {
        return this.map.get(client.id) === client;
    }
    internals(client) {
        const internals = this.#internals.get(client);
        if (internals !== undefined)
            return internals;
        // The application has put this entry into the map itself.
        const made = fresh();
        this.#internals.set(client, made);
        return made;
    }
    /** Whether it may do what authenticated clients may. */
    isFinished(client) {
        return client.state === 'authenticated' && this.internals(client).finished;
    }
}
exports.Clients = Clients;
