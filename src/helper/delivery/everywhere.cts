import type { EnvelopeRelay } from '../bus/envelope-relay.cjs';
import type { Clients } from '../clients/clients.cjs';
import type { Rooms } from '../clients/rooms.cjs';
import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import { WebSocketChannels } from '../protocol.cjs';
import type { AnyRecord } from '../settings.cjs';
import type { Transport } from '../transport/transport.cjs';
import type { Delivery } from './delivery.cjs';
import { Message } from './message.cjs';

/** What sending to all instances uses. */
export interface EverywhereParts<A extends AnyRecord, M extends AnyRecord> {
  readonly lifecycle: HelperLifecycle;
  readonly clients: Clients<M>;
  readonly rooms: Rooms<A, M>;
  readonly delivery: Delivery<A, M>;
  readonly transport: Transport;
  readonly relay: EnvelopeRelay;
}

/** Sends to clients of all instances: here by `Delivery`, to others through Redis. */
export class Everywhere<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: EverywhereParts<A, M>;

  constructor(parts: EverywhereParts<A, M>) {
    this.#parts = parts;
  }

  /**
   * To the client or the room of that name, or without `destination` to all authenticated clients.
   *
   * @throws {TypeError} the data cannot be serialized
   */
  send(destination: string | undefined, event: string, data: unknown): void {
    const { clients, rooms, delivery, transport } = this.#parts;
    const message = new Message(event, data);
    if (!destination) {
      delivery.toAll(message, undefined);
      return this.#publish(WebSocketChannels.BROADCAST, 'broadcast', undefined, message);
    }
    const { instance } = transport;
    if (clients.get(destination) !== undefined || instance?.isElsewhere(destination)) {
      delivery.toClient(destination, message);
      const channel = WebSocketChannels.forClient({ clientId: destination });
      return this.#publish(channel, 'client', destination, message);
    }
    if (rooms.count(destination) > 0 || instance?.hasRoom(destination)) {
      delivery.toRoom(destination, message, undefined);
    }
    const channel = WebSocketChannels.forRoom({ room: destination });
    this.#publish(channel, 'room', destination, message);
  }

  #publish(
    channel: string,
    type: 'client' | 'room' | 'broadcast',
    target: string | undefined,
    message: Message,
  ): void {
    const { lifecycle, relay } = this.#parts;
    if (!lifecycle.ended) relay.publish(channel, type, target, message);
  }
}
