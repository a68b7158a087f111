// Not the global function: test environments that imitate a browser do not have it.
import { setImmediate } from 'node:timers';
import { native } from '../native/load.cjs';

/**
 * What a thread knows of its connections, for handlers that keep it to themselves: see
 * {@link PINNED}. Each is opened once, when its verdict is on its way and before its first event.
 */
export class PinnedSockets<T> {
  readonly #sockets = new Map<number, { readonly socket: T; opened: boolean }>();
  readonly #open: (socket: T) => void;

  /** @param open called once for each connection */
  constructor(open: (socket: T) => void) {
    this.#open = open;
  }

  /** `handleOpen` is about to accept. */
  accept(socketId: number, socket: T): void {
    const entry = { socket, opened: false };
    this.#sockets.set(socketId, entry);
    // Behind the verdict.
    setImmediate(() => {
      if (this.#sockets.has(socketId)) this.#opened(entry);
    });
  }

  /** The connection of an event, opened. */
  find(socketId: number): T | undefined {
    const entry = this.#sockets.get(socketId);
    return entry === undefined ? undefined : this.#opened(entry);
  }

  /**
   * The same, for a message. An unknown connection is closed: it was accepted by a worker that has
   * ended, just before its 101.
   */
  ofMessage(socketId: number): T | undefined {
    const socket = this.find(socketId);
    if (socket === undefined) native.close(socketId, 1012, 'Worker ended');
    return socket;
  }

  /**
   * The connection has ended. `undefined` if it was lost before it was opened, or belonged to a
   * worker that has ended.
   */
  end(socketId: number): T | undefined {
    const entry = this.#sockets.get(socketId);
    this.#sockets.delete(socketId);
    return entry?.opened === true ? entry.socket : undefined;
  }

  /** All that have not ended. */
  all(): T[] {
    return [...this.#sockets.values()].map(({ socket }) => socket);
  }

  #opened(entry: { readonly socket: T; opened: boolean }): T {
    if (!entry.opened) {
      entry.opened = true;
      this.#open(entry.socket);
    }
    return entry.socket;
  }
}
