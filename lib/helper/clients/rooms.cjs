"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Rooms = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
const log_cjs_1 = require("../log.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
/**
 * How many names of one client may wait for `validateRoomFn`, in multiples of `maxRoomsPerClient`.
 * A join beyond that is ignored.
 */
const MAX_UNANSWERED = 4;
/** The members of rooms, and the requests of clients to join and leave them. */
class Rooms {
    #rooms = new Map();
    #settings;
    #clients;
    #instance;
    #log;
    // A client can cause these lines as often as it likes, so they are limited.
    #ignoredJoins;
    #roomsOverLimit;
    #unknownNames;
    #failures;
    /** The client that caused the last of these lines. */
    #lastId = '';
    constructor(settings, clients, instance, log) {
        this.#settings = settings;
        this.#clients = clients;
        this.#instance = instance;
        this.#log = log;
        this.#failures = new log_cjs_1.RateLimitedErrors(log);
        const { maxRoomsPerClient: most } = settings;
        this.#ignoredJoins = new log_cjs_1.RateLimitedLine((count) => log.warn(`${count} join(s) were cut to ${most} rooms or ignored: they name too many rooms, or ` +
            'earlier joins of the client are not answered yet; the last was from client ' +
            `${this.#lastId}`));
        this.#roomsOverLimit = new log_cjs_1.RateLimitedLine((count) => log.warn(`${count} room(s) not joined: a client may be in ${most} rooms; the last was for ` +
            `client ${this.#lastId}`));
        this.#unknownNames = new log_cjs_1.RateLimitedLine((count) => log.warn(`validateRoomFn answered ${count} join(s) only with names that were not asked for, ` +
            'so nothing was joined: it can only choose from the names it is given. To use other ' +
            `names, call joinRoom. The last was from client ${this.#lastId}`));
    }
    /** Adds a client to a room with any name, in any state. Joining twice has no effect. */
    join(client, room) {
        const known = this.#rooms.get(room);
        if (known === undefined)
            this.#rooms.set(room, new Set([client]));
        else
            known.add(client);
        if (!client.rooms.has(room)) {
            client.rooms.add(room);
            this.#instance()?.addMember(client.id, 'room', room);
        }
        if (!client.encrypted)
            this.#onSocket('subscribe', client, room);
    }
    leave(client, room) {
        this.#drop(client, room);
        if (client.rooms.delete(room))
            this.#instance()?.removeMember(client.id, 'room', room);
        this.#onSocket('unsubscribe', client, room);
    }
    /** Removes a client that has gone. Its socket is not touched. */
    forget(client) {
        for (const room of client.rooms)
            this.#drop(client, room);
    }
    of(room) {
        return [...(this.#rooms.get(room) ?? [])];
    }
    count(room) {
        return this.#rooms.get(room)?.size ?? 0;
    }
    has(client, room) {
        return this.#rooms.get(room)?.has(client) ?? false;
    }
    clear() {
        this.#rooms.clear();
    }
    /**
     * Handles the `join` of a client: joins the rooms that the application allows. There is no
     * response.
     */
    joinAsked(client, data) {
        const asked = roomsIn(data);
        if (asked === undefined)
            return;
        const { maxRoomsPerClient, validateRoomFn } = this.#settings;
        const considered = asked.length > maxRoomsPerClient ? asked.slice(0, maxRoomsPerClient) : asked;
        if (considered.length < asked.length)
            this.#logOf(client, this.#ignoredJoins);
        const rooms = considered.filter((room) => typeof room === 'string' &&
            room.length > 0 &&
            room.length <= protocol_cjs_1.LIMITS.maxRoomName &&
            !room.startsWith(protocol_cjs_1.RESERVED_PREFIX));
        if (rooms.length === 0) {
            this.#log.debug(`client ${client.id} asks for no room that it could join`);
            return;
        }
        if (validateRoomFn === undefined) {
            this.#log.debug(`client ${client.id} asks for rooms, and there is no validateRoomFn`);
            return;
        }
        const internals = this.#clients.internals(client);
        if (internals.unansweredRooms + rooms.length > MAX_UNANSWERED * maxRoomsPerClient) {
            this.#logOf(client, this.#ignoredJoins);
            return;
        }
        internals.unansweredRooms += rooms.length;
        (0, callbacks_cjs_1.callApplication)(
        // A copy: the application may change it.
        () => validateRoomFn({
            clientId: client.id,
            userId: client.userId,
            rooms: [...rooms],
        }), (allowed) => {
            internals.unansweredRooms -= rooms.length;
            this.#joinAllowed(client, new Set(rooms), allowed);
        }, (error) => {
            internals.unansweredRooms -= rooms.length;
            this.#failures.add(`validateRoomFn failed for client ${client.id}`, error);
        });
    }
    /** Handles the `leave` of a client. There is no response. */
    leaveAsked(client, data) {
        for (const room of roomsIn(data) ?? []) {
            if (client.rooms.has(room))
                this.leave(client, room);
        }
    }
    #joinAllowed(client, asked, allowed) {
        if (!this.#clients.isHere(client))
            return;
        if (!Array.isArray(allowed) || allowed.length === 0) {
            this.#log.debug(`client ${client.id} may join none of the rooms it asks for`);
            return;
        }
        if (!allowed.some((room) => asked.has(room))) {
            return this.#logOf(client, this.#unknownNames);
        }
        let refused = 0;
        for (const room of allowed) {
            if (!asked.has(room))
                continue;
            if (client.rooms.size >= this.#settings.maxRoomsPerClient && !client.rooms.has(room)) {
                refused++;
            }
            else {
                this.join(client, room);
            }
        }
        if (refused > 0)
            this.#logOf(client, this.#roomsOverLimit, refused);
    }
    #logOf(client, line, count = 1) {
        this.#lastId = client.id;
        line.add(count);
    }
    #drop(client, room) {
        const known = this.#rooms.get(room);
        known?.delete(client);
        if (known?.size === 0)
            this.#rooms.delete(room);
    }
    /** A socket that is closing may throw. */
    #onSocket(what, client, room) {
        try {
            client.socket[what](room);
        }
        catch (error) {
            this.#log.error(`${what} failed for client ${client.id}`, error);
        }
    }
}
exports.Rooms = Rooms;
/** The rooms in the data of `join` and `leave`; undefined if there are none. */
function roomsIn(data) {
    const rooms = data?.rooms;
    return Array.isArray(rooms) && rooms.length > 0 ? rooms : undefined;
}
