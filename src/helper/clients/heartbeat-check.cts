import { CLOSE } from '../protocol.cjs';
import type { IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
import { closeSocket, delay } from './sockets.cjs';

/** Closes clients that have been silent for too long. The server itself sends no heartbeat. */
export class HeartbeatCheck<M extends Record<string, unknown>> {
  readonly #clients: Clients<M>;
  readonly #silence: number;
  readonly #log: IWebSocketLogger;
  #timer: NodeJS.Timeout | undefined;

  constructor(clients: Clients<M>, silence: number, log: IWebSocketLogger) {
    this.#clients = clients;
    this.#silence = silence;
    this.#log = log;
  }

  /** Keeps the process alive until `stop`. */
  start(interval: number): void {
    this.stop();
    this.#timer = setInterval(() => this.run(), delay(interval));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A client that is still there at the next check is closed again. */
  run(): void {
    const now = Date.now();
    for (const client of this.#clients.map.values()) {
      if (now - client.lastActivity > this.#silence && this.#clients.isFinished(client)) {
        closeSocket(client.socket, CLOSE.heartbeatTimeout, this.#log);
      }
    }
  }
}
