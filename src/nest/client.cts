import type { Subscription } from 'rxjs' with { 'resolution-mode': 'import' };
import { native } from '../native/load.cjs';
import type { Data, SendResult } from '../types/messages.cjs';
import type { OpenRequest } from '../types/worker-interface.cjs';
import { gatewayChannel, roomChannel } from './rooms.cjs';

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** Where events are published to. */
export interface NestTarget {
  /** Publishes `{ event, data }` as JSON. Returns the number of subscribers, as `sendToChannel`. */
  emit(event: string, data?: unknown): number;
}

/** What handlers of a gateway get as their client: `@ConnectedSocket()`. */
export class NestClient {
  /** The connection's id in wsbroker, for its functions. */
  readonly id: number;
  /** The upgrade request. */
  readonly request: OpenRequest;
  /** For the application. */
  readonly data: Record<string, unknown> = {};
  /** @internal */
  readonly path: string;
  /** What handlers return and has not ended. @internal */
  readonly subscriptions = new Set<Subscription>();
  /** @internal */
  readonly bound: ((message: NestMessage) => void)[] = [];
  /** @internal */
  readonly onClose: ((reason: string) => void)[] = [];
  #closeCode: number | undefined;
  #state: typeof OPEN | typeof CLOSING | typeof CLOSED = OPEN;

  /** @internal */
  constructor(id: number, request: OpenRequest, path: string) {
    this.id = id;
    this.request = request;
    this.path = path;
  }

  /** 1: open. 2: closing. 3: closed. */
  get readyState(): number {
    return this.#state;
  }

  /** A string is sent as a text message, bytes as a binary message. Returns what `send` returns. */
  send(data: Data): SendResult {
    return native.send(this.id, data) as SendResult;
  }

  /** Sends `{ event, data }` as JSON. */
  emit(event: string, data?: unknown): SendResult {
    return this.send(JSON.stringify({ event, data }));
  }

  /**
   * Adds the client to a room of its gateway. Rooms are channels: they span threads and instances.
   */
  join(room: string): void {
    native.subscribe(this.id, roomChannel(this.path, room));
  }

  leave(room: string): void {
    native.unsubscribe(this.id, roomChannel(this.path, room));
  }

  /** Everyone in a room but this client. */
  to(room: string): NestTarget {
    return target(roomChannel(this.path, room), this.id);
  }

  /** Everyone connected to the gateway but this client. */
  get broadcast(): NestTarget {
    return target(gatewayChannel(this.path), this.id);
  }

  close(code?: number, reason?: string): void {
    native.close(this.id, code, reason);
    if (this.#state === OPEN) this.#state = CLOSING;
  }

  terminate(): void {
    native.terminate(this.id);
    if (this.#state === OPEN) this.#state = CLOSING;
  }

  /** With what the connection was closed, as `handleClose` has it; `undefined` until then. */
  get closeCode(): number | undefined {
    return this.#closeCode;
  }

  /** @internal */
  ended(code: number, reason: string): void {
    this.#state = CLOSED;
    this.#closeCode = code;
    for (const subscription of this.subscriptions) subscription.unsubscribe();
    for (const callback of this.onClose) callback(reason);
  }
}

/** A message for handlers of a gateway. */
export interface NestMessage {
  readonly event: unknown;
  readonly data?: unknown;
}

/** What a gateway gets as `@WebSocketServer()`. */
export class NestServer implements NestTarget {
  readonly path: string;
  /** The clients that are connected to this thread. */
  readonly clients = new Set<NestClient>();
  /** @internal */
  readonly onConnection: ((client: NestClient, request: OpenRequest) => void)[] = [];

  /** @internal */
  constructor(path: string) {
    this.path = path;
  }

  /** To everyone connected to the gateway, on all threads and instances. */
  emit(event: string, data?: unknown): number {
    return target(gatewayChannel(this.path)).emit(event, data);
  }

  /** To everyone in a room. */
  to(room: string): NestTarget {
    return target(roomChannel(this.path, room));
  }
}

function target(channel: string, exclude?: number): NestTarget {
  return {
    emit: (event, data) =>
      native.sendToChannel(
        channel,
        JSON.stringify({ event, data }),
        exclude === undefined ? {} : { exclude },
      ),
  };
}
