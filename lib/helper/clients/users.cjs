"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Users = void 0;
/** Which clients a user has, by `String(userId)`. */
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
        const hidden = this.#clients.hidden(client);
        if (hidden.user !== undefined)
            return;
        // Kept apart: the application may change the entry, and it must be found again.
        hidden.user = user;
        const known = this.#users.get(user);
        if (known === undefined)
            this.#users.set(user, new Set([client]));
        else
            known.add(client);
        this.#instance()?.addMember(client.id, 'user', user);
    }
    /** The instance is not told: `removeClient` takes all with it. */
    remove(client) {
        const hidden = this.#clients.hidden(client);
        if (hidden.user === undefined)
            return;
        const known = this.#users.get(hidden.user);
        known?.delete(client);
        if (known?.size === 0)
            this.#users.delete(hidden.user);
        hidden.user = undefined;
    }
    of(userId) {
        return [...(this.#users.get(String(userId)) ?? [])];
    }
    clear() {
        this.#users.clear();
    }
}
exports.Users = Users;
