import { callApplication } from '../callbacks.cjs';
import type { Clients } from '../clients/clients.cjs';
import type { Rooms } from '../clients/rooms.cjs';
import type { Users } from '../clients/users.cjs';
import { RateLimitedErrors, RateLimitedLine, shown } from '../log.cjs';
import { LIMITS, WebSocketDefaults } from '../protocol.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Audience, HelperOperation, Transport } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import { Deadlines } from './deadlines.cjs';
import { Message } from './message.cjs';
import { ConcurrencyLimit, TransformQueue } from './transform-queue.cjs';

/** How long after the transport has reported drops it is asked to report again, in ms. */
const DROPS_AGAIN_AFTER = 1000;

/** What delivery is made of. */
export interface DeliveryParts<A extends AnyRecord, M extends AnyRecord> {
  readonly settings: Settings<A, M>;
  readonly clients: Clients<M>;
  readonly users: Users<M>;
  readonly rooms: Rooms<A, M>;
  readonly transport: Transport;
  readonly log: IWebSocketLogger;
}

/** Sends to clients of this instance: section 10 of the specification. */
export class Delivery<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: DeliveryParts<A, M>;
  /**
   * Those that are encrypted: natively they are served singly, and a publish to ten thousand others
   * must not look at each.
   */
  readonly #encrypted = new Set<IWebSocketClient<M>>();
  readonly #drops: RateLimitedLine;
  readonly #failures: RateLimitedErrors;
  readonly #unanswered: RateLimitedLine;
  readonly #deadlines = new Deadlines(LIMITS.transform);
  #dropped = 0;
  /** How many of the transport's drops are in the log. */
  #noted = 0;
  #again: NodeJS.Timeout | undefined;

  constructor(parts: DeliveryParts<A, M>) {
    this.#parts = parts;
    this.#failures = new RateLimitedErrors(parts.log);
    this.#unanswered = new RateLimitedLine((count) =>
      parts.log.error(
        `outboundTransformer did not answer for ${count} message(s) in time (${LIMITS.transform / 1000} s at most): dropped`,
      ),
    );
    this.#drops = new RateLimitedLine((count) =>
      parts.log.warn(
        `${count} message(s) to clients dropped: their sockets are over the limit or closing, or too much was waiting`,
      ),
    );
  }

  get framesDropped(): number {
    return this.#dropped + this.#parts.transport.dropped(false);
  }

  /** @throws {TypeError} the data cannot be serialised, and the text is needed now */
  toClient(clientId: string, message: Message): void {
    const { clients, transport } = this.#parts;
    const client = clients.get(clientId);
    if (client !== undefined) return this.#deliver(client, message, undefined);
    const { instance } = transport;
    if (instance?.isElsewhere(clientId) !== true) return;
    if (instance.sendElsewhere(clientId, message.frame) === 0) this.drop();
  }

  /** @throws as {@link toClient} */
  toUser(userId: unknown, message: Message): void {
    const { users, transport } = this.#parts;
    if (transport.native) this.#publish({ type: 'user', name: String(userId) }, message, []);
    else this.#each(users.of(userId), message);
  }

  /** @throws as {@link toClient} */
  toRoom(room: string, message: Message, exclude: unknown): void {
    const { rooms, settings, transport } = this.#parts;
    const excluded = excludedIn(exclude);
    if (transport.native) this.#publish({ type: 'room', name: room }, message, excluded);
    else if (excluded.length === 0 && settings.outboundTransformer === undefined)
      transport.publish(room, message.frame);
    else this.#each(without(rooms.of(room), excluded), message);
  }

  /** @throws as {@link toClient} */
  toAll(message: Message, exclude: unknown): void {
    const { clients, settings, transport } = this.#parts;
    const excluded = excludedIn(exclude);
    if (transport.native) this.#publish({ type: 'broadcast', name: '' }, message, excluded);
    else if (excluded.length === 0 && settings.outboundTransformer === undefined)
      transport.publish(WebSocketDefaults.BROADCAST_TOPIC, message.frame);
    else
      this.#each(
        without(
          [...clients.map.values()].filter((client) => clients.isFinished(client)),
          excluded,
        ),
        message,
      );
  }

  /** What another helper of the instance asks to be sent to clients here. */
  receive(operation: HelperOperation & { readonly op: 'publish' | 'send' }): void {
    const message = Message.from(operation.frame);
    if (operation.op === 'publish')
      return this.#toHeld(operation.audience, message, operation.exclude, operation.epoch);
    const client = this.#parts.clients.get(operation.clientId);
    if (client !== undefined) this.#deliver(client, message, undefined);
  }

  /** From now on it is served singly. */
  hold(client: IWebSocketClient<M>): void {
    this.#encrypted.add(client);
  }

  forget(client: IWebSocketClient<M>): void {
    this.#encrypted.delete(client);
  }

  /** Counts a message that will not arrive. */
  drop(count = 1): void {
    this.#dropped += count;
    this.#drops.add(count);
  }

  /** The transport has dropped messages, and says so again when it is asked to. */
  transportDropped(): void {
    const { transport } = this.#parts;
    const dropped = transport.dropped(false);
    this.#drops.add(dropped - this.#noted);
    this.#noted = dropped;
    // As often as there may be a line.
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      if (transport.dropped(true) > this.#noted) this.transportDropped();
    }, DROPS_AGAIN_AFTER);
    this.#again.unref?.();
  }

  // Natively: one publish for those that are not encrypted, wherever they are; here singly to the
  // others, elsewhere by their owners.
  #publish(audience: Audience, message: Message, excluded: readonly string[]): void {
    const { instance } = this.#parts.transport;
    if (instance !== undefined) {
      const unposted = instance.publish(audience, message.frame, excluded);
      if (unposted > 0) this.drop(unposted);
    }
    this.#toHeld(audience, message, excluded, Infinity);
  }

  /**
   * To those that were encrypted when it was published, in this epoch; the others received it
   * directly.
   */
  #toHeld(audience: Audience, message: Message, excluded: readonly string[], epoch: number): void {
    if (this.#encrypted.size === 0) return;
    if (
      this.#parts.settings.outboundTransformer === undefined &&
      excluded.length === 0 &&
      audience.type !== 'user'
    )
      return;
    const { clients } = this.#parts;
    this.#each(
      without(this.#heldIn(audience), excluded).filter(
        (client) => clients.internals(client).heldSince <= epoch,
      ),
      message,
    );
  }

  #heldIn({ type: kind, name }: Audience): IWebSocketClient<M>[] {
    const { clients, users, rooms } = this.#parts;
    switch (kind) {
      case 'user':
        return users.of(name).filter((client) => client.encrypted);
      case 'room':
        // The smaller of the two is looked through.
        if (rooms.count(name) < this.#encrypted.size)
          return rooms.of(name).filter((client) => client.encrypted);
        return [...this.#encrypted].filter((client) => rooms.has(client, name));
      case 'broadcast':
        return [...this.#encrypted].filter((client) => clients.isFinished(client));
    }
    kind satisfies never;
  }

  /** One by one; those that pass the transformer share a window. */
  #each(clients: readonly IWebSocketClient<M>[], message: Message): void {
    if (clients.length === 0) return;
    // Text that cannot be made fails before the first of them has got anything.
    if (clients.some((client) => !this.#transforms(client))) void message.frame;
    const window = new ConcurrencyLimit(this.#parts.settings.encryptedBatchLimit);
    for (const client of clients) {
      // An earlier one's `send` may have closed this one.
      if (this.#parts.clients.isHere(client)) this.#deliver(client, message, window);
    }
  }

  #transforms(client: IWebSocketClient<M>): boolean {
    return client.encrypted && this.#parts.settings.outboundTransformer !== undefined;
  }

  #deliver(
    client: IWebSocketClient<M>,
    message: Message,
    window: ConcurrencyLimit | undefined,
  ): void {
    if (!this.#transforms(client)) return this.#send(client, message.frame);
    const internals = this.#parts.clients.internals(client);
    internals.line ??= this.#line(client);
    internals.line.push(message, window);
  }

  #line(client: IWebSocketClient<M>): TransformQueue {
    const { clients, settings, log } = this.#parts;
    return new TransformQueue({
      maxPending: settings.maxPendingTransforms,
      isHere: () => clients.isHere(client),
      run: (message, settled) => this.#transform(client, message, settled),
      dropped: (message) => {
        log.debug(
          `too much waits for the transformer of client ${client.id}: ${shown(message.event)} dropped`,
        );
        this.drop();
      },
    });
  }

  #transform(client: IWebSocketClient<M>, message: Message, settled: () => void): void {
    const { clients, settings } = this.#parts;
    let over = false;
    let intime: (() => void) | undefined;
    // A call that hangs must not hold its client's line and its slot for ever; an answer after that
    // is too late.
    const end = (how: () => void): void => {
      if (over) return;
      over = true;
      intime?.();
      how();
      settled();
    };
    callApplication<unknown>(
      () => settings.outboundTransformer?.({ client, event: message.event, data: message.data }),
      (result) =>
        end(() => {
          try {
            if (clients.isHere(client)) this.#send(client, textOf(result, message));
          } catch (error) {
            this.#failures.add(
              `what outboundTransformer made of ${shown(message.event)} for client ${client.id} cannot be sent: dropped`,
              error,
            );
          }
        }),
      (error) =>
        end(() =>
          this.#failures.add(
            `outboundTransformer failed for client ${client.id}: ${shown(message.event)} dropped`,
            error,
          ),
        ),
    );
    if (over) return;
    intime = this.#deadlines.begin(() =>
      end(() => {
        if (!clients.isHere(client)) return;
        this.#dropped++;
        this.#unanswered.add();
      }),
    );
  }

  #send(client: IWebSocketClient<M>, text: string): void {
    let result: number;
    try {
      result = client.socket.send(text);
    } catch (error) {
      this.#parts.log.error(`send failed for client ${client.id}`, error);
      return;
    }
    if (result === 0) this.drop();
    else if (result === -1) client.backpressured = true;
  }
}

/**
 * Nothing: the original, in clear. An object: that. Anything else is a mistake, and must not become
 * a message in clear.
 */
function textOf(result: unknown, message: Message): string {
  if (result === undefined || result === null) return message.frame;
  if (typeof result !== 'object')
    throw new TypeError(
      `outboundTransformer must give { event, data }, null or undefined, got ${typeof result}`,
    );
  return JSON.stringify(result);
}

/** Arrays only; an empty one counts as none. */
function excludedIn(exclude: unknown): readonly string[] {
  return Array.isArray(exclude) ? exclude.map(String) : [];
}

function without<M extends AnyRecord>(
  clients: IWebSocketClient<M>[],
  excluded: readonly string[],
): IWebSocketClient<M>[] {
  if (excluded.length === 0) return clients;
  const ids = new Set(excluded);
  return clients.filter((client) => !ids.has(client.id));
}
