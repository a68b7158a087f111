import type { TransformQueue } from '../delivery/transform-queue.cjs';
import type { IWebSocket, IWebSocketClient } from '../types.cjs';

// The clients of a helper. The application may read and change the entries, so the helper keeps its
// own state of a client apart from them.

/** The helper's own state of a client. */
export interface ClientInternals {
  /** Authentication is complete: it is a member of its rooms, and `connected` may be sent. */
  finished: boolean;
  /** How many frames came before that. */
  frames: number;
  /** It was closed because of a limit: its frames are no longer read. */
  cut: boolean;
  /** The user by which it is indexed. */
  user: string | undefined;
  /** How many names of rooms `validateRoomFn` has not answered yet. */
  unansweredRooms: number;
  /** Messages that wait for `outboundTransformer`. */
  transforms: TransformQueue | undefined;
  /**
   * The epoch of the instance in which it became encrypted: what other helpers published in earlier
   * epochs has reached it directly.
   */
  heldSince: number;
}

function fresh(): ClientInternals {
  return {
    finished: false,
    frames: 0,
    cut: false,
    user: undefined,
    unansweredRooms: 0,
    transforms: undefined,
    heldSince: 0,
  };
}

export class Clients<M extends Record<string, unknown>> {
  /** By id. The application gets this map itself. */
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

  /** Whether this entry is still the one of its id. To be checked after each wait. */
  isHere(client: IWebSocketClient<M>): boolean {
    return this.map.get(client.id) === client;
  }

  internals(client: IWebSocketClient<M>): ClientInternals {
    const internals = this.#internals.get(client);
    if (internals !== undefined) return internals;
    // The application has put this entry into the map itself.
    const made = fresh();
    this.#internals.set(client, made);
    return made;
  }

  /** Whether it may do what authenticated clients may. */
  isFinished(client: IWebSocketClient<M>): boolean {
    return client.state === 'authenticated' && this.internals(client).finished;
  }
}
