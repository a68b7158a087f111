import type { Delivery } from '../delivery/delivery.cjs';
import type { Encryption } from '../delivery/encryption.cjs';
import type { AnyRecord } from '../settings.cjs';
import type { HelperOperation, Instance, Transport } from '../transport/transport.cjs';
import type { IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';

/** What a helper needs to work with others in its instance. */
export interface InstanceMemberParts<A extends AnyRecord, M extends AnyRecord> {
  readonly clients: Clients<M>;
  readonly rooms: Rooms<A, M>;
  readonly delivery: Delivery<A, M>;
  readonly encryption: Encryption<A, M>;
  readonly transport: Transport;
  readonly log: IWebSocketLogger;
}

/** The helper among those that share its instance: each has clients of its own. */
export class InstanceMember<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: InstanceMemberParts<A, M>;

  constructor(parts: InstanceMemberParts<A, M>) {
    this.#parts = parts;
  }

  /** Registers the clients that were here before the instance was joined. */
  enter(instance: Instance): void {
    const { clients, encryption } = this.#parts;
    for (const client of clients.map.values()) {
      instance.addClient(client.id, client.socket);
      if (client.encrypted) encryption.enter(client, instance);
      const { finished, user } = clients.internals(client);
      if (finished) instance.finishClient(client.id);
      if (user !== undefined) instance.addMember(client.id, 'user', user);
      for (const room of client.rooms) instance.addMember(client.id, 'room', room);
    }
  }

  /** For a client of any helper of the instance. */
  changeRoom(op: 'join' | 'leave', { clientId, room }: { clientId: string; room: string }): void {
    const { clients, rooms, delivery, transport } = this.#parts;
    const client = clients.get(clientId);
    if (client !== undefined) return rooms[op](client, room);
    const { instance } = transport;
    if (instance?.isElsewhere(clientId) && !instance.post(clientId, { op, clientId, room })) {
      delivery.drop();
    }
  }

  /** Does what another helper asks for. Does not throw. */
  receive(operation: HelperOperation): void {
    const { clients, rooms, delivery, log } = this.#parts;
    try {
      switch (operation.op) {
        case 'publish':
        case 'send':
          return delivery.receive(operation);
        case 'join':
        case 'leave': {
          const client = clients.get(operation.clientId);
          if (client !== undefined) rooms[operation.op](client, operation.room);
          return;
        }
      }
      operation satisfies never;
    } catch (error) {
      log.error('an operation of another helper of the instance failed', error);
    }
  }
}
