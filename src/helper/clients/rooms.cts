import { callApplication } from '../callbacks.cjs';
import { RateLimitedErrors, RateLimitedLine } from '../log.cjs';
import { LIMITS, RESERVED_PREFIX } from '../protocol.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';

/**
 * Names of one client that may wait for `validateRoomFn`, in `maxRoomsPerClient`: those of a join
 * that comes on top are not looked at.
 */
const MOST_ASKED = 4;

/** Which clients a room has, and what clients may say about it. */
export class Rooms<A extends AnyRecord, M extends AnyRecord> {
  readonly #rooms = new Map<string, Set<IWebSocketClient<M>>>();
  readonly #settings: Settings<A, M>;
  readonly #clients: Clients<M>;
  readonly #instance: () => Instance | undefined;
  readonly #log: IWebSocketLogger;
  // What a client can bring about as often as it likes is not a line each time.
  readonly #unlooked: RateLimitedLine;
  readonly #unjoined: RateLimitedLine;
  readonly #mapped: RateLimitedLine;
  readonly #failures: RateLimitedErrors;
  /** The last client of these lines. */
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
    this.#unlooked = new RateLimitedLine((count) =>
      log.warn(
        `${count} join(s) name too many rooms, only ${most} are looked at, or come before those in hand are answered; the last is of client ${this.#lastId}`,
      ),
    );
    this.#unjoined = new RateLimitedLine((count) =>
      log.warn(
        `a client is in ${most} rooms: ${count} more were not joined; the last is of client ${this.#lastId}`,
      ),
    );
    this.#mapped = new RateLimitedLine((count) =>
      log.warn(
        `validateRoomFn answered ${count} join(s) only with names that were not asked for, so nothing was joined: it can only choose from the names it is given. To use other names, call joinRoom. The last was from client ${this.#lastId}`,
      ),
    );
  }

  /** Any name, in any state; twice does no harm. */
  join(client: IWebSocketClient<M>, room: string): void {
    const known = this.#rooms.get(room);
    if (known === undefined) this.#rooms.set(room, new Set([client]));
    else known.add(client);
    if (!client.rooms.has(room)) {
      client.rooms.add(room);
      this.#instance()?.addMember(client.id, 'room', room);
    }
    if (!client.encrypted) this.#quietly('subscribe', client, room);
  }

  leave(client: IWebSocketClient<M>, room: string): void {
    this.#drop(client, room);
    if (client.rooms.delete(room)) this.#instance()?.removeMember(client.id, 'room', room);
    this.#quietly('unsubscribe', client, room);
  }

  /** Of a client that has gone: its socket is left alone. */
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
   * The `join` of a client: what it asks for, as far as the application allows it. Never answered.
   */
  joinAsked(client: IWebSocketClient<M>, data: unknown): void {
    const asked = roomsIn(data);
    if (asked === undefined) return;
    const { maxRoomsPerClient, validateRoomFn } = this.#settings;
    const looked = asked.length > maxRoomsPerClient ? asked.slice(0, maxRoomsPerClient) : asked;
    if (looked.length < asked.length) this.#sayOf(client, this.#unlooked);
    const rooms = looked.filter(
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
    if (internals.asked + rooms.length > MOST_ASKED * maxRoomsPerClient) {
      this.#sayOf(client, this.#unlooked);
      return;
    }
    internals.asked += rooms.length;
    callApplication(
      // Its own list: the application may change it.
      () =>
        validateRoomFn({
          clientId: client.id,
          userId: client.userId,
          rooms: [...rooms],
        } as Parameters<typeof validateRoomFn>[0]),
      (allowed) => {
        internals.asked -= rooms.length;
        this.#joinAllowed(client, new Set(rooms), allowed);
      },
      (error) => {
        internals.asked -= rooms.length;
        this.#failures.add(`validateRoomFn failed for client ${client.id}`, error);
      },
    );
  }

  /** The `leave` of a client: only rooms that it is in. Never answered. */
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
    if (!allowed.some((room) => asked.has(room as string)))
      return this.#sayOf(client, this.#mapped);
    let refused = 0;
    for (const room of allowed as string[]) {
      if (!asked.has(room)) continue;
      if (client.rooms.size >= this.#settings.maxRoomsPerClient && !client.rooms.has(room))
        refused++;
      else this.join(client, room);
    }
    if (refused > 0) this.#sayOf(client, this.#unjoined, refused);
  }

  #sayOf(client: IWebSocketClient<M>, line: RateLimitedLine, count = 1): void {
    this.#lastId = client.id;
    line.add(count);
  }

  #drop(client: IWebSocketClient<M>, room: string): void {
    const known = this.#rooms.get(room);
    known?.delete(client);
    if (known?.size === 0) this.#rooms.delete(room);
  }

  /** A socket that is closing may refuse. */
  #quietly(what: 'subscribe' | 'unsubscribe', client: IWebSocketClient<M>, room: string): void {
    try {
      client.socket[what](room);
    } catch (error) {
      this.#log.error(`${what} failed for client ${client.id}`, error);
    }
  }
}

/** The list in the data of `join` and `leave`; undefined if there is none, or nothing in it. */
function roomsIn(data: unknown): unknown[] | undefined {
  const rooms = (data as { rooms?: unknown } | null | undefined)?.rooms;
  return Array.isArray(rooms) && rooms.length > 0 ? rooms : undefined;
}
