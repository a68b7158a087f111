import { onceInScopeHere } from '../async-scope.cjs';
import { native } from '../native/load.cjs';
import type { AcceptVerdict } from '../types/worker-interface.cjs';
import { WHEN_ACCEPTED } from './verdict.cjs';

/**
 * What a thread knows of its connections, for handlers that keep it to themselves: see
 * {@link PINNED}.
 */
export class PinnedSockets<T> {
  readonly #sockets = new Map<number, T>();
  readonly #opened: (socket: T) => void;

  /**
   * @param opened called once for each connection, when its verdict is certain and not yet given:
   * what it subscribes and sends takes effect with the 101
   */
  constructor(opened: (socket: T) => void) {
    this.#opened = opened;
  }

  /**
   * The verdict of `handleOpen` for a connection that is to be kept.
   *
   * @param make makes what is kept. If it throws, the connection is refused with 500
   */
  accept(socketId: number, verdict: AcceptVerdict, make: () => T): AcceptVerdict {
    const accepted = onceInScopeHere(() => {
      const socket = make();
      this.#sockets.set(socketId, socket);
      this.#opened(socket);
    });
    return { ...verdict, ...{ [WHEN_ACCEPTED]: accepted } };
  }

  /** The connection of an event. */
  find(socketId: number): T | undefined {
    return this.#sockets.get(socketId);
  }

  /**
   * The same, for a message. An unknown connection is closed: it was accepted by a worker that has
   * ended and was not pinned.
   */
  ofMessage(socketId: number): T | undefined {
    const socket = this.#sockets.get(socketId);
    if (socket === undefined) native.close(socketId, 1012, 'Worker ended');
    return socket;
  }

  /** The connection has ended. `undefined` if it belonged to a worker that has ended. */
  end(socketId: number): T | undefined {
    const socket = this.#sockets.get(socketId);
    this.#sockets.delete(socketId);
    return socket;
  }

  /** All that have not ended. */
  all(): T[] {
    return [...this.#sockets.values()];
  }
}
