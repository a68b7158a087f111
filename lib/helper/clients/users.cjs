"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Users = void 0;
/** The clients of each user, by `String(userId)`. */
class Users {
    #users = new Map();
    #clients;
    #instance;
    constructor(clients, instance) {
        this.#clients = clients;
        this.#instance = instance;
    }
    add(client) {
        if (!client.userId)
            return;
        const user = String(client.userId);
        const internals = this.#clients.internals(client);
        if (internals.user !== undefined)
            return;
        // Kept apart from the entry, which the application may change: the client must be found again.
        internals.user = user;
        const known = this.#users.get(user);
        if (known === undefined)
            this.#users.set(user, new Set([client]));
        else
            known.add(client);
        this.#instance()?.addMember(client.id, 'user', user);
    }
    /** The instance is not told: `removeClient` removes all memberships. */
    remove(client) {
        const internals = this.#clients.internals(client);
        if (internals.user === undefined)
            return;
        const known = this.#users.get(internals.user);
        known?.delete(client);
        if (known?.size === 0)
            this.#users.delete(internals.user);
        internals.user = undefined;
    }
    of(userId) {
        return [...(this.#users.get(String(userId)) ?? [])];
    }
    clear() {
        this.#users.clear();
    }
}
exports.Users = Users;
