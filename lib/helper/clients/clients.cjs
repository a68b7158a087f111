"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Clients = void 0;
function fresh() {
    return {
        finished: false,
        frames: 0,
        cut: false,
        user: undefined,
        asked: 0,
        line: undefined,
        heldSince: 0,
    };
}
class Clients {
    /** By id; this very map is shown. */
    map = new Map();
    #hidden = new WeakMap();
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
        this.#hidden.set(client, fresh());
        this.map.set(id, client);
        return client;
    }
    get(id) {
        return this.map.get(id);
    }
    /** Whether this very entry is the one of its id: asked behind each wait. */
    isHere(client) {
        return this.map.get(client.id) === client;
    }
    hidden(client) {
        const hidden = this.#hidden.get(client);
        if (hidden !== undefined)
            return hidden;
        // An entry that the application has put into the map itself.
        const made = fresh();
        this.#hidden.set(client, made);
        return made;
    }
    /** May it do what authenticated clients may? */
    isFinished(client) {
        return client.state === 'authenticated' && this.hidden(client).finished;
    }
}
exports.Clients = Clients;
