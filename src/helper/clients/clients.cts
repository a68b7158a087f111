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

/**
 * Every message asks for them: a property is found in a tenth of the time of an entry in a WeakMap.
 */
const INTERNALS = Symbol('internals');
type WithInternals = { readonly [INTERNALS]?: ClientInternals };

export class Clients<M extends Record<string, unknown>> {
  /** By id. The application gets this map itself. */
  readonly map = new Map<string, IWebSocketClient<M>>();
  /** Of entries to which nothing can be added. */
  readonly #apart = new WeakMap<IWebSocketClient<M>, ClientInternals>();

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
    this.#add(client);
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
    // The application may have put this entry into the map itself.
    return (client as WithInternals)[INTERNALS] ?? this.#apart.get(client) ?? this.#add(client);
  }

  #add(client: IWebSocketClient<M>): ClientInternals {
    const internals = fresh();
    // Not enumerable, so that a copy of the entry does not share them.
    if (!Reflect.defineProperty(client, INTERNALS, { value: internals })) {
      this.#apart.set(client, internals);
    }
    return internals;
  }

  /** Whether it may do what authenticated clients may. */
  isFinished(client: IWebSocketClient<M>): boolean {
    return client.state === 'authenticated' && this.internals(client).finished;
  }
}
