"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Rooms = void 0;
const calls_cjs_1 = require("./calls.cjs");
const protocol_cjs_1 = require("./protocol.cjs");
/** Which clients a room has, and what clients may say about it. */
class Rooms {
    #rooms = new Map();
    #settings;
    #clients;
    #instance;
    #log;
    constructor(settings, clients, instance, log) {
        this.#settings = settings;
        this.#clients = clients;
        this.#instance = instance;
        this.#log = log;
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
    /** The `join` of a client: what it asks for, as far as the application allows it. Never answered. */
    joinAsked(client, data) {
        const asked = roomsIn(data);
        if (asked === undefined)
            return;
        const { maxRoomsPerClient, validateRoomFn } = this.#settings;
        const looked = asked.length > maxRoomsPerClient ? asked.slice(0, maxRoomsPerClient) : asked;
        if (looked.length < asked.length)
            this.#log.warn(`client ${client.id} asks for ${asked.length} rooms at once; only ${looked.length} are looked at`);
        const rooms = looked.filter((room) => typeof room === 'string' && room.length > 0 && room.length <= protocol_cjs_1.LIMITS.maxRoomName && !room.startsWith(protocol_cjs_1.RESERVED_PREFIX));
        if (rooms.length === 0) {
            this.#log.debug(`client ${client.id} asks for no room that it could join`);
            return;
        }
        if (validateRoomFn === undefined) {
            this.#log.debug(`client ${client.id} asks for rooms, and there is no validateRoomFn`);
            return;
        }
        (0, calls_cjs_1.callUser)(
        // Its own list: the application may change it.
        () => validateRoomFn({ clientId: client.id, userId: client.userId, rooms: [...rooms] }), (allowed) => this.#joinAllowed(client, new Set(rooms), allowed), (error) => this.#log.error(`validateRoomFn failed for client ${client.id}`, error));
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
            this.#log.warn(`client ${client.id} is in ${client.rooms.size} rooms: ${refused} more were not joined`);
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
