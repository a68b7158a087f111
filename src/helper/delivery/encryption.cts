import type { Clients } from '../clients/clients.cjs';
import { WebSocketDefaults } from '../protocol.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance, Transport } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Delivery } from './delivery.cjs';

/** What encrypting clients uses. */
export interface EncryptionParts<A extends AnyRecord, M extends AnyRecord> {
  readonly settings: Settings<A, M>;
  readonly clients: Clients<M>;
  readonly delivery: Delivery<A, M>;
  readonly transport: Transport;
  readonly log: IWebSocketLogger;
}

/** Takes clients out of their channels, whose messages are in clear, to be sent to one by one. */
export class Encryption<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: EncryptionParts<A, M>;

  constructor(parts: EncryptionParts<A, M>) {
    this.#parts = parts;
  }

  /** Once for each client: it cannot be undone. */
  begin(client: IWebSocketClient<M>): void {
    if (client.encrypted) return;
    const { settings, delivery, transport, log } = this.#parts;
    client.encrypted = true;
    delivery.hold(client);
    if (transport.instance !== undefined) this.enter(client, transport.instance);
    for (const channel of [WebSocketDefaults.BROADCAST_TOPIC, client.id, ...client.rooms]) {
      try {
        client.socket.unsubscribe(channel);
      } catch (error) {
        log.error(`unsubscribe failed for client ${client.id}`, error);
      }
    }
    if (settings.outboundTransformer === undefined) {
      log.warn(
        `client ${client.id} is encrypted, but there is no outboundTransformer: messages to ` +
          'it alone, to its user, or with exclude are sent in clear, all others not at all',
      );
    }
  }

  /** Tells the instance of an encrypted client. */
  enter(client: IWebSocketClient<M>, instance: Instance): void {
    this.#parts.clients.internals(client).heldSince = instance.encryptClient(client.id);
  }
}
