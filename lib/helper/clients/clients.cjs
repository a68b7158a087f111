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
/**
 * Every message asks for them: a property is found in a tenth of the time of an entry in a WeakMap.
 */
const INTERNALS = Symbol('internals');
class Clients {
    /** By id. The application gets this map itself. */
    map = new Map();
    /** Of entries to which nothing can be added. */
    #apart = new WeakMap();
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
        this.#add(client);
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
        // The application may have put this entry into the map itself.
        return client[INTERNALS] ?? this.#apart.get(client) ?? this.#add(client);
    }
    #add(client) {
        const internals = fresh();
        // Not enumerable, so that a copy of the entry does not share them.
        if (!Reflect.defineProperty(client, INTERNALS, { value: internals })) {
            this.#apart.set(client, internals);
        }
        return internals;
    }
    /** Whether it may do what authenticated clients may. */
    isFinished(client) {
        return client.state === 'authenticated' && this.internals(client).finished;
    }
}
exports.Clients = Clients;
