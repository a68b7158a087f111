import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { Hooks } from 'crossws' with { 'resolution-mode': 'import' };
import { native } from '../native/load.cjs';
import { warnOnce } from '../report.cjs';
import type { SendResult } from '../types/messages.cjs';
import { payloadOf } from './payload.cjs';
import { topicChannel } from './topics.cjs';

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** How often `waitForDrain` looks, in milliseconds, unless it is told: as in crossws. */
const POLL_INTERVAL = 100;

/** What a peer is made of. */
export interface PeerParts {
  readonly socketId: number;
  readonly remoteAddress: string;
  readonly request: Request;
  readonly context: Record<string, unknown>;
  readonly namespace: string;
  readonly protocol: string;
  /** The hooks that were resolved for this connection. */
  readonly resolved: Partial<Hooks> | undefined;
}

/** A connection, as hooks see it: the `Peer` of crossws. */
export class CrosswsPeer {
  /** The connection's id in wsbroker, for its functions. */
  readonly socketId: number;
  readonly remoteAddress: string;
  readonly request: Request;
  readonly context: Record<string, unknown>;
  readonly namespace: string;
  /** This thread's peers of the same namespace. */
  peers: Set<CrosswsPeer> = new Set();
  readonly topics = new Set<string>();
  readonly websocket: CrosswsSocket;
  /** @internal */
  readonly resolved: Partial<Hooks> | undefined;
  #id: string | undefined;

  constructor(parts: PeerParts) {
    this.socketId = parts.socketId;
    this.remoteAddress = parts.remoteAddress;
    this.request = parts.request;
    this.context = parts.context;
    this.namespace = parts.namespace;
    this.resolved = parts.resolved;
    this.websocket = new CrosswsSocket(parts);
  }

  /** A random UUID: unique in all threads and instances. */
  get id(): string {
    return (this.#id ??= randomUUID());
  }

  get bufferedAmount(): number {
    return native.bufferedAmount(this.socketId);
  }

  /** Returns what {@link send} of wsbroker returns. */
  send(data: unknown, options?: { readonly compress?: boolean }): SendResult {
    return this.websocket.send(data, options);
  }

  subscribe(topic: string): void {
    native.subscribeMany(this.socketId, channelsOf(topic, this.namespace));
    this.topics.add(topic);
  }

  unsubscribe(topic: string): void {
    native.unsubscribeMany(this.socketId, channelsOf(topic, this.namespace));
    this.topics.delete(topic);
  }

  /** To the subscribers in this namespace on all threads and instances, but not to this peer. */
  publish(topic: string, data: unknown, options?: { readonly compress?: boolean }): void {
    native.sendToChannel(topicChannel(topic, this.namespace), payloadOf(data), {
      exclude: this.socketId,
      ...compression(options),
    });
  }

  close(code?: number, reason?: string): void {
    this.websocket.close(code, reason);
  }

  terminate(): void {
    this.websocket.terminate();
  }

  /** Pings are sent by wsbroker itself (`idleTimeout`). */
  ping(): void {
    warnOnce(
      'wsbroker/crossws: peer.ping() does nothing; wsbroker sends pings by itself, as often as ' +
        'the option "idleTimeout" of start needs them',
    );
  }

  /**
   * Resolves when no more than `threshold` bytes wait to be sent, or the connection has ended.
   * Rejects with the reason of `signal` when that is aborted.
   */
  async waitForDrain(
    options: {
      readonly threshold?: number;
      readonly pollInterval?: number;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<void> {
    const { threshold = 0, pollInterval = POLL_INTERVAL, signal } = options;
    const isDrained = (): boolean =>
      this.bufferedAmount <= threshold || this.websocket.readyState !== OPEN;
    if (isDrained()) return;
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        clearInterval(timer);
        signal?.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        stop();
        // The application's own reason.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        reject(signal?.reason);
      };
      const timer = setInterval(() => {
        if (!isDrained()) return;
        stop();
        resolve();
      }, pollInterval);
      timer.unref?.();
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  toString(): string {
    return this.id;
  }

  [Symbol.toPrimitive](): string {
    return this.id;
  }

  get [Symbol.toStringTag](): string {
    return 'WebSocket';
  }

  [inspect.custom](): unknown {
    return { peer: { id: this.id, ip: this.remoteAddress } };
  }
}

/** `peer.websocket`: what of the `WebSocket` of browsers makes sense on a server. */
export class CrosswsSocket {
  /** The form of `message.data`. Undefined: as the message came. */
  binaryType: string | undefined = undefined;
  readonly #socketId: number;
  readonly #request: Request;
  readonly #protocol: string;
  #state: typeof OPEN | typeof CLOSING | typeof CLOSED = OPEN;
  /** Until the 101 has been sent the connection is not open yet, but takes messages. */
  #wasOpen = false;

  constructor({ socketId, request, protocol }: PeerParts) {
    this.#socketId = socketId;
    this.#request = request;
    this.#protocol = protocol;
  }

  /** 1: open. 2: closing. 3: closed. */
  get readyState(): number {
    if (this.#state !== OPEN) return this.#state;
    const isOpen = native.isOpen(this.#socketId);
    this.#wasOpen ||= isOpen;
    return isOpen || !this.#wasOpen ? OPEN : CLOSING;
  }

  /** The subprotocol; if none was chosen, what the client has offered, as crossws has it. */
  get protocol(): string {
    return this.#protocol || (this.#request.headers.get('sec-websocket-protocol') ?? '');
  }

  /** What the client has offered, as crossws has it. */
  get extensions(): string {
    return this.#request.headers.get('sec-websocket-extensions') ?? '';
  }

  get url(): string {
    return this.#request.url.replace(/^http/, 'ws');
  }

  get bufferedAmount(): number {
    return native.bufferedAmount(this.#socketId);
  }

  send(data: unknown, options?: { readonly compress?: boolean }): SendResult {
    return native.send(this.#socketId, payloadOf(data), compression(options)) as SendResult;
  }

  close(code?: number, reason?: string): void {
    native.close(this.#socketId, code, reason);
    if (this.#state === OPEN) this.#state = CLOSING;
  }

  terminate(): void {
    native.terminate(this.#socketId);
    if (this.#state === OPEN) this.#state = CLOSING;
  }

  /** @internal */
  ended(): void {
    this.#state = CLOSED;
  }
}

function channelsOf(topic: string, namespace: string): string[] {
  return [topicChannel(topic, namespace), topicChannel(topic)];
}

/** Libraries pass options of other servers, too. */
function compression(
  options: { readonly compress?: boolean } | undefined,
): { readonly compress?: boolean } | undefined {
  return options?.compress === undefined ? undefined : { compress: options.compress };
}
