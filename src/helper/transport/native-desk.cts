import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers';
import { threadId } from 'node:worker_threads';
import type { Native } from '../../native.cjs';
import { scopeHere } from '../../async-scope.cjs';
import { continuations } from '../callbacks.cjs';
import type { TWebSocketBusState } from '../types.cjs';
import { NativeSocket, type SocketOwner } from './native-socket.cjs';
import type { TransportHost } from './transport.cjs';

// What the addon calls for a helper: with up to 32 events of sockets at a time, laid out as src/worker/dispatch.cts tells, and with what other helpers have posted. Nothing is
// waited for: an event has settled when its function has returned.

const enum Kind { Text = 2, SharedBytes = 3, Bytes = 4, Close = 5, Drain = 6, Joined = 7 }
const enum Progress { Started = 1, Settled = 2 }
const enum Posted { Publish, Send, Join, Leave, InputState, TakeInput, ClientsLeft, Dropped }

const BATCH = 32;
const AUDIENCES = ['room', 'user', 'broadcast'] as const;

/** The sockets of one helper, and the way from the addon to it. */
export class NativeDesk implements SocketOwner {
  readonly #sockets = new Map<number, NativeSocket>();
  /**
   * Sockets one of whose messages has left something to promises, and the events that came behind it in the same turn. A runtime's own server lets promises go on
   * between two messages, so that a client may send `authenticate`, `join` and more at once where the functions that decide do not wait for anything outside.
   */
  readonly #postponed = new Map<number, { readonly events: (() => void)[]; next: number }>();
  readonly #scope = scopeHere();
  #goesOn = false;
  #ids = new Float64Array(0);
  #kinds = new Int32Array(0);
  #slots = new Int32Array(0);
  #numbers = new Int32Array(0);
  #lengths = new Int32Array(0);
  #state = new Uint8Array(0);

  constructor(
    readonly native: Native,
    readonly helper: number,
    readonly host: TransportHost,
    /** Told of each change of the input. */
    readonly inputChanged: (state: TWebSocketBusState) => void,
  ) {}

  /** From now on the addon calls. */
  attach(): void {
    const { native, helper } = this;
    const again = (): void => void setImmediate(() => native.drainHelper(helper));
    const block = native.attachHelper(
      helper,
      (count, ...values) => this.#dispatch(count, values),
      again,
      (...posted) => this.#receive(...posted),
    );
    const control = new Int32Array(block, 0, 16);
    control[6] = threadId;
    const capacity = control[2] ?? 0;
    this.#ids = new Float64Array(block, 64, BATCH);
    this.#kinds = new Int32Array(block, 320, BATCH);
    this.#slots = new Int32Array(block, 448, BATCH);
    this.#numbers = new Int32Array(block, 704, BATCH);
    this.#lengths = new Int32Array(block, 832, BATCH);
    this.#state = new Uint8Array(block, 1024 + 4 * capacity, capacity);
  }

  /** Those that the application has made the helper forget are still here. */
  closeAll(code: number, reason: string): void {
    for (const socket of this.#sockets.values()) this.#guard('close', () => socket.close(code, reason));
  }

  closed(socket: NativeSocket, code: number, reason: string): void {
    this.#guard('close', () => this.host.handler.close(socket, code, reason));
  }

  #dispatch(count: number, values: unknown[]): void {
    if (count === 0) return this.#brokerGone();
    this.#scope.batch(this.#handOver, count, values);
  }

  readonly #handOver = (count: number, values: readonly unknown[]): void => {
    for (let i = 0; i < count; i++) {
      const slot = this.#slots[i] as number;
      this.#state[slot] = Progress.Started;
      this.#event(this.#kinds[i] as Kind, this.#ids[i] as number, values[i], this.#numbers[i] as number, this.#lengths[i] as number);
      this.#state[slot] = Progress.Settled;
    }
  };

  #event(kind: Kind, id: number, value: unknown, number: number, length: number): void {
    if (kind === Kind.Joined) {
      const socket = new NativeSocket(this, id, randomUUID(), value as string);
      this.#sockets.set(id, socket);
      return this.#guard('open', () => this.host.handler.open(socket));
    }
    const socket = this.#sockets.get(id);
    if (socket === undefined) return;
    const postponed = this.#postponed.get(id);
    if (postponed === undefined) this.#eventOf(socket, kind, value, number, length);
    else postponed.events.push(() => this.#eventOf(socket, kind, value, number, length));
  }

  #eventOf(socket: NativeSocket, kind: Kind, value: unknown, number: number, length: number): void {
    const { handler } = this.host;
    switch (kind) {
      case Kind.Text:
        return this.#message(socket, value as string);
      case Kind.SharedBytes:
        return this.#message(socket, Buffer.from(value as ArrayBuffer, number, length));
      case Kind.Bytes:
        return this.#message(socket, Buffer.from(value as ArrayBuffer));
      case Kind.Drain:
        if (socket.readyState === 1) this.#guard('drain', () => handler.drain(socket));
        return;
      case Kind.Close:
        this.#sockets.delete(socket.id);
        if (socket.end()) this.closed(socket, number, value as string);
    }
  }

  /** Of one that was closed here, what was under way is of no account any more. */
  #message(socket: NativeSocket, message: string | Buffer): void {
    if (socket.readyState !== 1) return;
    const before = continuations();
    this.#guard('message', () => this.host.handler.message(socket, message));
    if (continuations() !== before) this.#postpone(socket.id);
  }

  /** What follows of this socket waits until promises have gone on. A tick asked for here would come before them. */
  #postpone(id: number): void {
    this.#postponed.set(id, { events: [], next: 0 });
    if (this.#goesOn) return;
    this.#goesOn = true;
    queueMicrotask(() => process.nextTick(() => this.#goOn()));
  }

  #goOn(): void {
    this.#goesOn = false;
    const all = [...this.#postponed];
    this.#postponed.clear();
    for (const [id, line] of all) {
      while (line.next < line.events.length && !this.#postponed.has(id)) line.events[line.next++]?.();
      // One of them has left something to promises again: the others stay in line.
      if (line.next < line.events.length) this.#postponed.set(id, line);
    }
  }

  /** The broker was shut down; close events were the last that came of it, so there should be no socket left. */
  #brokerGone(): void {
    this.native.keepHelperAlive(this.helper, false);
    for (const socket of this.#sockets.values()) if (socket.end()) this.closed(socket, 1006, '');
    this.#sockets.clear();
  }

  #receive(operation: Posted, a: string | boolean, b: string, exclude: string[], kind: number, epoch: number): void {
    const { host } = this;
    this.#guard('receive', () => {
      switch (operation) {
        case Posted.Publish:
          return host.receive({ op: 'publish', audience: { type: AUDIENCES[kind] ?? 'room', name: a as string }, frame: b, exclude, epoch });
        case Posted.Send:
          return host.receive({ op: 'send', clientId: a as string, frame: b });
        case Posted.Join:
          return host.receive({ op: 'join', clientId: a as string, room: b });
        case Posted.Leave:
          return host.receive({ op: 'leave', clientId: a as string, room: b });
        case Posted.InputState:
          return this.inputChanged(a === true ? 'ready' : 'lost');
        case Posted.TakeInput:
          return host.takeInput();
        case Posted.ClientsLeft:
          return host.clientsLeft();
        case Posted.Dropped:
          return host.dropped();
      }
    });
  }

  /** One that throws, or enters an async context, must not take the events of others with it. */
  #guard(what: string, run: () => void): void {
    try {
      this.#scope.call(run, undefined);
    } catch (error) {
      this.host.logger.error(`${what} failed`, error);
    }
  }
}
