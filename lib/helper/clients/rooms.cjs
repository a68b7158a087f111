"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Rooms = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
const log_cjs_1 = require("../log.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
/**
 * Names of one client that may wait for `validateRoomFn`, in `maxRoomsPerClient`: those of a join
 * that comes on top are not looked at.
 */
const MOST_ASKED = 4;
/** Which clients a room has, and what clients may say about it. */
class Rooms {
    #rooms = new Map();
    #settings;
    #clients;
    #instance;
    #log;
    // What a client can bring about as often as it likes is not a line each time.
    #unlooked;
    #unjoined;
    #mapped;
    #failures;
    /** The last client of these lines. */
    #lastId = '';
    constructor(settings, clients, instance, log) {
        this.#settings = settings;
        this.#clients = clients;
        this.#instance = instance;
        this.#log = log;
        this.#failures = new log_cjs_1.RateLimitedErrors(log);
        const { maxRoomsPerClient: most } = settings;
        this.#unlooked = new log_cjs_1.RateLimitedLine((count) => log.warn(`${count} join(s) name too many rooms, only ${most} are looked at, or come before those in hand are answered; the last is of client ${this.#lastId}`));
        this.#unjoined = new log_cjs_1.RateLimitedLine((count) => log.warn(`a client is in ${most} rooms: ${count} more were not joined; the last is of client ${this.#lastId}`));
        this.#mapped = new log_cjs_1.RateLimitedLine((count) => log.warn(`validateRoomFn answered ${count} join(s) only with names that were not asked for, so nothing was joined: it can only choose from the names it is given. To use other names, call joinRoom. The last was from client ${this.#lastId}`));
    }
    /** Any name, in any state; twice does no harm. */
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
            this.#quietly('subscribe', client, room);
    }
    leave(client, room) {
        this.#drop(client, room);
        if (client.rooms.delete(room))
            this.#instance()?.removeMember(client.id, 'room', room);
        this.#quietly('unsubscribe', client, room);
    }
    /** Of a client that has gone: its socket is left alone. */
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
     * The `join` of a client: what it asks for, as far as the application allows it. Never answered.
     */
    joinAsked(client, data) {
        const asked = roomsIn(data);
        if (asked === undefined)
            return;
        const { maxRoomsPerClient, validateRoomFn } = this.#settings;
        const looked = asked.length > maxRoomsPerClient ? asked.slice(0, maxRoomsPerClient) : asked;
        if (looked.length < asked.length)
            this.#sayOf(client, this.#unlooked);
        const rooms = looked.filter((room) => typeof room === 'string' &&
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
        if (internals.asked + rooms.length > MOST_ASKED * maxRoomsPerClient) {
            this.#sayOf(client, this.#unlooked);
            return;
        }
        internals.asked += rooms.length;
        (0, callbacks_cjs_1.callApplication)(
        // Its own list: the application may change it.
        () => validateRoomFn({
            clientId: client.id,
            userId: client.userId,
            rooms: [...rooms],
        }), (allowed) => {
            internals.asked -= rooms.length;
            this.#joinAllowed(client, new Set(rooms), allowed);
        }, (error) => {
            internals.asked -= rooms.length;
            this.#failures.add(`validateRoomFn failed for client ${client.id}`, error);
        });
    }
    /** The `leave` of a client: only rooms that it is in. Never answered. */
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
        if (!allowed.some((room) => asked.has(room)))
            return this.#sayOf(client, this.#mapped);
        let refused = 0;
        for (const room of allowed) {
            if (!asked.has(room))
                continue;
            if (client.rooms.size >= this.#settings.maxRoomsPerClient && !client.rooms.has(room))
                refused++;
            else
                this.join(client, room);
        }
        if (refused > 0)
            this.#sayOf(client, this.#unjoined, refused);
    }
    #sayOf(client, line, count = 1) {
        this.#lastId = client.id;
        line.add(count);
    }
    #drop(client, room) {
        const known = this.#rooms.get(room);
        known?.delete(client);
        if (known?.size === 0)
            this.#rooms.delete(room);
    }
    /** A socket that is closing may refuse. */
    #quietly(what, client, room) {
        try {
            client.socket[what](room);
        }
        catch (error) {
            this.#log.error(`${what} failed for client ${client.id}`, error);
        }
    }
}
exports.Rooms = Rooms;
/** The list in the data of `join` and `leave`; undefined if there is none, or nothing in it. */
function roomsIn(data) {
    const rooms = data?.rooms;
    return Array.isArray(rooms) && rooms.length > 0 ? rooms : undefined;
}
