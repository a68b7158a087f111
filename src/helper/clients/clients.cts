import type { TransformQueue } from '../delivery/transform-queue.cjs';
import type { IWebSocket, IWebSocketClient } from '../types.cjs';

// The clients of a helper. The entries are the application's to read and to change, so that what is
// ours alone lies beside them.

/** What the helper keeps of a client and does not show. */
export interface ClientInternals {
  /** Authenticated with all that belongs to it: the end of 6.7. */
  finished: boolean;
  /** Frames that came before that. */
  frames: number;
  /** Closed for going over a limit: nothing more is read of it. */
  cut: boolean;
  /** The user under which it is indexed. */
  user: string | undefined;
  /** Names of rooms about which `validateRoomFn` has not answered yet. */
  asked: number;
  /** Messages on their way through the transformer. */
  line: TransformQueue | undefined;
  /**
   * Encrypted since this epoch of the instance: what another helper published in an earlier one has
   * reached it directly.
   */
  heldSince: number;
}

function fresh(): ClientInternals {
  return {
    finished: false,
    frames: 0,
    cut: false,
    user: undefined,
    asked: 0,
    line: undefined,
    heldSince: 0,
  };
}

export class Clients<M extends Record<string, unknown>> {
  /** By id; this very map is shown. */
  readonly map = new Map<string, IWebSocketClient<M>>();
  readonly #internals = new WeakMap<IWebSocketClient<M>, ClientInternals>();

  add(id: string, socket: IWebSocket): IWebSocketClient<M> {
    const now = Date.now();
    const client: IWebSocketClient<M> = {
      id,
      socket,
      state: 'unauthorized',
      rooms: new Set(),
      backpressured: false,
      encrypted: false,
      connectedAt: now,
      lastActivity: now,
    };
    this.#internals.set(client, fresh());
    this.map.set(id, client);
    return client;
  }

  get(id: string): IWebSocketClient<M> | undefined {
    return this.map.get(id);
  }

  /** Whether this very entry is the one of its id: asked behind each wait. */
  isHere(client: IWebSocketClient<M>): boolean {
    return this.map.get(client.id) === client;
  }

  internals(client: IWebSocketClient<M>): ClientInternals {
    const internals = this.#internals.get(client);
    if (internals !== undefined) return internals;
    // An entry that the application has put into the map itself.
    const made = fresh();
    this.#internals.set(client, made);
    return made;
  }

  /** May it do what authenticated clients may? */
  isFinished(client: IWebSocketClient<M>): boolean {
    return client.state === 'authenticated' && this.internals(client).finished;
  }
}
