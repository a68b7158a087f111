import { CLOSE } from '../protocol.cjs';
import type { AnyRecord } from '../settings.cjs';
import type { IBunWebSocketHandler, IWebSocket, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
import type { MessageRouter } from './message-router.cjs';
import { closeSocket } from './sockets.cjs';

/** What the events of sockets lead to: the functions of the helper that an application may call. */
export interface SocketEventsParts<A extends AnyRecord, M extends AnyRecord> {
  readonly clients: Clients<M>;
  readonly inbound: MessageRouter<A, M>;
  readonly log: IWebSocketLogger;
  connected(clientId: string, socket: IWebSocket): void;
  message(clientId: string, raw: string): void;
  disconnected(clientId: string): void;
}

/** From events of sockets to events of clients. A socket names its client in `data.clientId`. */
export class SocketEvents<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: SocketEventsParts<A, M>;
  /** Sockets with the id of a client that is already connected. */
  readonly #refused = new WeakSet<IWebSocket>();
  /** Whether there was ever one: every message looks. */
  #hasRefused = false;
  readonly handler: Pick<IBunWebSocketHandler, 'open' | 'message' | 'close' | 'drain'> = {
    open: (socket) => this.#open(socket),
    message: (socket, frame) => this.#message(socket, frame),
    close: (socket) => this.#close(socket),
    drain: (socket) => this.#drain(socket),
  };

  constructor(parts: SocketEventsParts<A, M>) {
    this.#parts = parts;
  }

  /** From now on this socket's events do not concern the client with its id. */
  refuse(socket: IWebSocket): void {
    this.#hasRefused = true;
    this.#refused.add(socket);
  }

  /** Undoes {@link refuse}. */
  admit(socket: IWebSocket): void {
    this.#refused.delete(socket);
  }

  #open(socket: IWebSocket): void {
    const { clientId } = (socket.data ?? {}) as { clientId?: string };
    if (clientId) this.#parts.connected(clientId, socket);
    else closeSocket(socket, CLOSE.missingId, this.#parts.log);
  }

  #message(socket: IWebSocket, frame: unknown): void {
    const { clients, inbound } = this.#parts;
    const clientId = this.#idOf(socket);
    const client = clientId === undefined ? undefined : clients.get(clientId);
    if (client === undefined) return;
    const raw = inbound.admit(client, frame);
    if (raw === undefined) return;
    client.lastActivity = Date.now();
    this.#parts.message(client.id, raw);
  }

  #close(socket: IWebSocket): void {
    const clientId = this.#idOf(socket);
    if (clientId !== undefined) this.#parts.disconnected(clientId);
  }

  #drain(socket: IWebSocket): void {
    const clientId = this.#idOf(socket);
    const client = clientId === undefined ? undefined : this.#parts.clients.get(clientId);
    if (client !== undefined) client.backpressured = false;
  }

  #idOf(socket: IWebSocket): string | undefined {
    const id = (socket.data as { clientId?: string } | null | undefined)?.clientId;
    return id && !(this.#hasRefused && this.#refused.has(socket)) ? id : undefined;
  }
}
