import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient } from '../types.cjs';
import type { Clients } from './clients.cjs';

/** The clients of each user, by `String(userId)`. */
export class Users<M extends Record<string, unknown>> {
  readonly #users = new Map<string, Set<IWebSocketClient<M>>>();
  readonly #clients: Clients<M>;
  readonly #instance: () => Instance | undefined;

  constructor(clients: Clients<M>, instance: () => Instance | undefined) {
    this.#clients = clients;
    this.#instance = instance;
  }

  add(client: IWebSocketClient<M>): void {
    if (!client.userId) return;
    const user = String(client.userId);
    const internals = this.#clients.internals(client);
    if (internals.user !== undefined) return;
    // Kept apart from the entry, which the application may change: the client must be found again.
    internals.user = user;
    const known = this.#users.get(user);
    if (known === undefined) this.#users.set(user, new Set([client]));
    else known.add(client);
    this.#instance()?.addMember(client.id, 'user', user);
  }

  /** The instance is not told: `removeClient` removes all memberships. */
  remove(client: IWebSocketClient<M>): void {
    const internals = this.#clients.internals(client);
    if (internals.user === undefined) return;
    const known = this.#users.get(internals.user);
    known?.delete(client);
    if (known?.size === 0) this.#users.delete(internals.user);
    internals.user = undefined;
  }

  of(userId: unknown): IWebSocketClient<M>[] {
    return [...(this.#users.get(String(userId)) ?? [])];
  }

  clear(): void {
    this.#users.clear();
  }
}
