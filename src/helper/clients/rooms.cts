import { callApplication } from '../callbacks.cjs';
import { RateLimitedErrors, RateLimitedLine } from '../log.cjs';
import { LIMITS, RESERVED_PREFIX } from '../protocol.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';

/**
 * How many names of one client may wait for `validateRoomFn`, in multiples of `maxRoomsPerClient`.
 * A join beyond that is ignored.
 */
const MAX_UNANSWERED = 4;

/** The members of rooms, and the requests of clients to join and leave them. */
export class Rooms<A extends AnyRecord, M extends AnyRecord> {
  readonly #rooms = new Map<string, Set<IWebSocketClient<M>>>();
  readonly #settings: Settings<A, M>;
  readonly #clients: Clients<M>;
  readonly #instance: () => Instance | undefined;
  readonly #log: IWebSocketLogger;
  // A client can cause these lines as often as it likes, so they are limited.
  readonly #ignoredJoins: RateLimitedLine;
  readonly #roomsOverLimit: RateLimitedLine;
  readonly #unknownNames: RateLimitedLine;
  readonly #failures: RateLimitedErrors;
  /** The client that caused the last of these lines. */
  #lastId = '';

  constructor(
    settings: Settings<A, M>,
    clients: Clients<M>,
    instance: () => Instance | undefined,
    log: IWebSocketLogger,
  ) {
    this.#settings = settings;
    this.#clients = clients;
    this.#instance = instance;
    this.#log = log;
    this.#failures = new RateLimitedErrors(log);
    const { maxRoomsPerClient: most } = settings;
    this.#ignoredJoins = new RateLimitedLine((count) =>
      log.warn(
        `${count} join(s) were cut to ${most} rooms or ignored: they name too many rooms, or ` +
          'earlier joins of the client are not answered yet; the last was from client ' +
          `${this.#lastId}`,
      ),
    );
    this.#roomsOverLimit = new RateLimitedLine((count) =>
      log.warn(
        `${count} room(s) not joined: a client may be in ${most} rooms; the last was for ` +
          `client ${this.#lastId}`,
      ),
    );
    this.#unknownNames = new RateLimitedLine((count) =>
      log.warn(
        `validateRoomFn answered ${count} join(s) only with names that were not asked for, ` +
          'so nothing was joined: it can only choose from the names it is given. To use other ' +
          `names, call joinRoom. The last was from client ${this.#lastId}`,
      ),
    );
  }

  /** Adds a client to a room with any name, in any state. Joining twice has no effect. */
  join(client: IWebSocketClient<M>, room: string): void {
    const known = this.#rooms.get(room);
    if (known === undefined) this.#rooms.set(room, new Set([client]));
    else known.add(client);
    if (!client.rooms.has(room)) {
      client.rooms.add(room);
      this.#instance()?.addMember(client.id, 'room', room);
    }
    if (!client.encrypted) this.#onSocket('subscribe', client, room);
  }

  leave(client: IWebSocketClient<M>, room: string): void {
    this.#drop(client, room);
    if (client.rooms.delete(room)) this.#instance()?.removeMember(client.id, 'room', room);
    this.#onSocket('unsubscribe', client, room);
  }

  /** Removes a client that has gone. Its socket is not touched. */
  forget(client: IWebSocketClient<M>): void {
    for (const room of client.rooms) this.#drop(client, room);
  }

  of(room: string): IWebSocketClient<M>[] {
    return [...(this.#rooms.get(room) ?? [])];
  }

  count(room: string): number {
    return this.#rooms.get(room)?.size ?? 0;
  }

  has(client: IWebSocketClient<M>, room: string): boolean {
    return this.#rooms.get(room)?.has(client) ?? false;
  }

  clear(): void {
    this.#rooms.clear();
  }

  /**
   * Handles the `join` of a client: joins the rooms that the application allows. There is no
   * response.
   */
  joinAsked(client: IWebSocketClient<M>, data: unknown): void {
    const asked = roomsIn(data);
    if (asked === undefined) return;
    const { maxRoomsPerClient, validateRoomFn } = this.#settings;
    const considered = asked.length > maxRoomsPerClient ? asked.slice(0, maxRoomsPerClient) : asked;
    if (considered.length < asked.length) this.#logOf(client, this.#ignoredJoins);
    const rooms = considered.filter(
      (room): room is string =>
        typeof room === 'string' &&
        room.length > 0 &&
        room.length <= LIMITS.maxRoomName &&
        !room.startsWith(RESERVED_PREFIX),
    );
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
    callApplication(
      // A copy: the application may change it.
      () =>
        validateRoomFn({
          clientId: client.id,
          userId: client.userId,
          rooms: [...rooms],
        } as Parameters<typeof validateRoomFn>[0]),
      (allowed) => {
        internals.unansweredRooms -= rooms.length;
        this.#joinAllowed(client, new Set(rooms), allowed);
      },
      (error) => {
        internals.unansweredRooms -= rooms.length;
        this.#failures.add(`validateRoomFn failed for client ${client.id}`, error);
      },
    );
  }

  /** Handles the `leave` of a client. There is no response. */
  leaveAsked(client: IWebSocketClient<M>, data: unknown): void {
    for (const room of roomsIn(data) ?? []) {
      if (client.rooms.has(room as string)) this.leave(client, room as string);
    }
  }

  #joinAllowed(client: IWebSocketClient<M>, asked: ReadonlySet<string>, allowed: unknown): void {
    if (!this.#clients.isHere(client)) return;
    if (!Array.isArray(allowed) || allowed.length === 0) {
      this.#log.debug(`client ${client.id} may join none of the rooms it asks for`);
      return;
    }
    if (!allowed.some((room) => asked.has(room as string))) {
      return this.#logOf(client, this.#unknownNames);
    }
    let refused = 0;
    for (const room of allowed as string[]) {
      if (!asked.has(room)) continue;
      if (client.rooms.size >= this.#settings.maxRoomsPerClient && !client.rooms.has(room)) {
        refused++;
      } else {
        this.join(client, room);
      }
    }
    if (refused > 0) this.#logOf(client, this.#roomsOverLimit, refused);
  }

  #logOf(client: IWebSocketClient<M>, line: RateLimitedLine, count = 1): void {
    this.#lastId = client.id;
    line.add(count);
  }

  #drop(client: IWebSocketClient<M>, room: string): void {
    const known = this.#rooms.get(room);
    known?.delete(client);
    if (known?.size === 0) this.#rooms.delete(room);
  }

  /** A socket that is closing may throw. */
  #onSocket(what: 'subscribe' | 'unsubscribe', client: IWebSocketClient<M>, room: string): void {
    try {
      client.socket[what](room);
    } catch (error) {
      this.#log.error(`${what} failed for client ${client.id}`, error);
    }
  }
}

/** The rooms in the data of `join` and `leave`; undefined if there are none. */
function roomsIn(data: unknown): unknown[] | undefined {
  const rooms = (data as { rooms?: unknown } | null | undefined)?.rooms;
  return Array.isArray(rooms) && rooms.length > 0 ? rooms : undefined;
}
