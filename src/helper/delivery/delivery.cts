import { callApplication } from '../callbacks.cjs';
import type { Clients } from '../clients/clients.cjs';
import type { Rooms } from '../clients/rooms.cjs';
import type { Users } from '../clients/users.cjs';
import { quoted, RateLimitedErrors, RateLimitedLine } from '../log.cjs';
import { LIMITS, WebSocketDefaults } from '../protocol.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Audience, HelperOperation, Transport } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import { Deadlines } from './deadlines.cjs';
import { Message } from './message.cjs';
import { ConcurrencyLimit, TransformQueue } from './transform-queue.cjs';

/** How many milliseconds after the transport has reported drops it may report again. */
const REPORT_AGAIN_AFTER = 1000;

/** What delivery uses. */
export interface DeliveryParts<A extends AnyRecord, M extends AnyRecord> {
  readonly settings: Settings<A, M>;
  readonly clients: Clients<M>;
  readonly users: Users<M>;
  readonly rooms: Rooms<A, M>;
  readonly transport: Transport;
  readonly log: IWebSocketLogger;
}

/** Sends to clients of this instance, as docs/design/helper.md says. */
export class Delivery<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: DeliveryParts<A, M>;
  /**
   * The encrypted clients. Natively they are sent to one by one; a publish to ten thousand others
   * must not look at each client.
   */
  readonly #encrypted = new Set<IWebSocketClient<M>>();
  readonly #drops: RateLimitedLine;
  readonly #failures: RateLimitedErrors;
  readonly #unanswered: RateLimitedLine;
  readonly #deadlines = new Deadlines(LIMITS.transform);
  #dropped = 0;
  /** How many of the transport's drops have been logged. */
  #logged = 0;
  #again: NodeJS.Timeout | undefined;

  constructor(parts: DeliveryParts<A, M>) {
    this.#parts = parts;
    this.#failures = new RateLimitedErrors(parts.log);
    this.#unanswered = new RateLimitedLine((count) =>
      parts.log.error(
        `${count} message(s) dropped: outboundTransformer took too long (the limit is ` +
          `${LIMITS.transform / 1000} s)`,
      ),
    );
    this.#drops = new RateLimitedLine((count) =>
      parts.log.warn(
        `${count} message(s) to clients dropped: their sockets are over the limit or ` +
          'closing, or too much was waiting',
      ),
    );
  }

  get framesDropped(): number {
    return this.#dropped + this.#parts.transport.dropped(false);
  }

  /** @throws {TypeError} the data cannot be serialized, and its text is needed at once */
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
    else if (excluded.length === 0 && settings.outboundTransformer === undefined) {
      transport.publish(room, message.frame);
    } else {
      this.#each(without(rooms.of(room), excluded), message);
    }
  }

  /** @throws as {@link toClient} */
  toAll(message: Message, exclude: unknown): void {
    const { clients, settings, transport } = this.#parts;
    const excluded = excludedIn(exclude);
    if (transport.native) this.#publish({ type: 'broadcast', name: '' }, message, excluded);
    else if (excluded.length === 0 && settings.outboundTransformer === undefined) {
      transport.publish(WebSocketDefaults.BROADCAST_TOPIC, message.frame);
    } else {
      this.#each(
        without(
          [...clients.map.values()].filter((client) => clients.isFinished(client)),
          excluded,
        ),
        message,
      );
    }
  }

  /** Sends to clients here what another helper of the instance asks for. */
  receive(operation: HelperOperation & { readonly op: 'publish' | 'send' }): void {
    const message = Message.from(operation.frame);
    if (operation.op === 'publish') {
      return this.#toEncrypted(operation.audience, message, operation.exclude, operation.epoch);
    }
    const client = this.#parts.clients.get(operation.clientId);
    if (client !== undefined) this.#deliver(client, message, undefined);
  }

  /** From now on this client is sent to individually. */
  hold(client: IWebSocketClient<M>): void {
    this.#encrypted.add(client);
  }

  forget(client: IWebSocketClient<M>): void {
    this.#encrypted.delete(client);
  }

  /** Counts messages that will not arrive. */
  drop(count = 1): void {
    this.#dropped += count;
    this.#drops.add(count);
  }

  /** The transport has dropped messages. It reports that again only when it is asked to. */
  transportDropped(): void {
    const { transport } = this.#parts;
    const dropped = transport.dropped(false);
    this.#drops.add(dropped - this.#logged);
    this.#logged = dropped;
    // As often as a line may be written.
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      if (transport.dropped(true) > this.#logged) this.transportDropped();
    }, REPORT_AGAIN_AFTER);
    this.#again.unref?.();
  }

  // Natively: one publish reaches all clients that are not encrypted. Encrypted clients get it one
  // by one, from the helper that has them.
  #publish(audience: Audience, message: Message, excluded: readonly string[]): void {
    const { instance } = this.#parts.transport;
    if (instance !== undefined) {
      const unposted = instance.publish(audience, message.frame, excluded);
      if (unposted > 0) this.drop(unposted);
    }
    this.#toEncrypted(audience, message, excluded, Infinity);
  }

  /**
   * Sends to clients that were already encrypted in the epoch of the publish; the others have
   * received it directly.
   */
  #toEncrypted(
    audience: Audience,
    message: Message,
    excluded: readonly string[],
    epoch: number,
  ): void {
    if (this.#encrypted.size === 0) return;
    if (
      this.#parts.settings.outboundTransformer === undefined &&
      excluded.length === 0 &&
      audience.type !== 'user'
    ) {
      return;
    }
    const { clients } = this.#parts;
    this.#each(
      without(this.#encryptedIn(audience), excluded).filter(
        (client) => clients.internals(client).heldSince <= epoch,
      ),
      message,
    );
  }

  #encryptedIn({ type: kind, name }: Audience): IWebSocketClient<M>[] {
    const { clients, users, rooms } = this.#parts;
    switch (kind) {
      case 'user':
        return users.of(name).filter((client) => client.encrypted);
      case 'room':
        // The smaller set of the two is searched.
        if (rooms.count(name) < this.#encrypted.size) {
          return rooms.of(name).filter((client) => client.encrypted);
        }
        return [...this.#encrypted].filter((client) => rooms.has(client, name));
      case 'broadcast':
        return [...this.#encrypted].filter((client) => clients.isFinished(client));
    }
    kind satisfies never;
  }

  /** Sends one by one. Messages that pass through the transformer share a limit. */
  #each(clients: readonly IWebSocketClient<M>[], message: Message): void {
    if (clients.length === 0) return;
    // Data that cannot be serialized fails before the first client has got anything.
    if (clients.some((client) => !this.#transforms(client))) void message.frame;
    const limit = new ConcurrencyLimit(this.#parts.settings.encryptedBatchLimit);
    for (const client of clients) {
      // The `send` to an earlier client may have closed this one.
      if (this.#parts.clients.isHere(client)) this.#deliver(client, message, limit);
    }
  }

  #transforms(client: IWebSocketClient<M>): boolean {
    return client.encrypted && this.#parts.settings.outboundTransformer !== undefined;
  }

  #deliver(
    client: IWebSocketClient<M>,
    message: Message,
    limit: ConcurrencyLimit | undefined,
  ): void {
    if (!this.#transforms(client)) return this.#send(client, message.frame);
    const internals = this.#parts.clients.internals(client);
    internals.transforms ??= this.#queueOf(client);
    internals.transforms.push(message, limit);
  }

  #queueOf(client: IWebSocketClient<M>): TransformQueue {
    const { clients, settings, log } = this.#parts;
    return new TransformQueue({
      maxPending: settings.maxPendingTransforms,
      isHere: () => clients.isHere(client),
      run: (message, settled) => this.#transform(client, message, settled),
      dropped: (message) => {
        log.debug(
          `${quoted(message.event)} for client ${client.id} dropped: too much is waiting for ` +
            'outboundTransformer',
        );
        this.drop();
      },
    });
  }

  #transform(client: IWebSocketClient<M>, message: Message, settled: () => void): void {
    const { clients, settings } = this.#parts;
    let over = false;
    let cancelDeadline: (() => void) | undefined;
    // A call that hangs must not block its client and its permit for ever. A result after the
    // deadline is ignored.
    const end = (how: () => void): void => {
      if (over) return;
      over = true;
      cancelDeadline?.();
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
              `${quoted(message.event)} for client ${client.id} dropped: the result of ` +
                'outboundTransformer cannot be sent',
              error,
            );
          }
        }),
      (error) =>
        end(() =>
          this.#failures.add(
            `${quoted(message.event)} for client ${client.id} dropped: outboundTransformer failed`,
            error,
          ),
        ),
    );
    if (over) return;
    cancelDeadline = this.#deadlines.begin(() =>
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
 * The text of a transformer's result. Without a result the original is sent in clear. Anything else
 * than an object is an error, and must not become a message in clear.
 */
function textOf(result: unknown, message: Message): string {
  if (result === undefined || result === null) return message.frame;
  if (typeof result !== 'object') {
    throw new TypeError(
      `outboundTransformer must return { event, data }, null or undefined, got ${typeof result}`,
    );
  }
  return JSON.stringify(result);
}

/** Only arrays count. */
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
