import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers';
import { threadId } from 'node:worker_threads';
import type { Native } from '../../native.cjs';
import {
  ControlLayout,
  ControlWord,
  EventKind,
  EventState,
  Operation,
} from '../../native/shared-numbers.cjs';
import { scopeHere } from '../../async-scope.cjs';
import { continuations } from '../callbacks.cjs';
import type { TWebSocketBusState } from '../types.cjs';
import { NativeSocket, type SocketOwner } from './native-socket.cjs';
import type { Audience, TransportHost } from './transport.cjs';

// Runs a helper's handlers. The addon calls it with up to 32 events of sockets at a time, whose
// numbers are in the control block, and with operations that other helpers of the instance ask for.
// Nothing is waited for: an event has settled when its function has returned.

/** By `AudienceKind`. */
const AUDIENCES: readonly Audience['type'][] = ['room', 'user', 'broadcast'];

/** The sockets of one helper, and what the addon calls for them. */
export class NativeRunner implements SocketOwner {
  readonly #sockets = new Map<number, NativeSocket>();
  /**
   * Sockets whose last message has left work to promises, and their events behind it. They wait
   * until these promises have gone on, as in the server of a runtime. So a client may send
   * `authenticate`, `join` and more at once, if the functions that decide do not wait for anything
   * outside.
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
    /** Called at each change of the input. */
    readonly inputChanged: (state: TWebSocketBusState) => void,
  ) {}

  /** From now on the addon calls this. */
  attach(): void {
    const { native, helper } = this;
    const again = (): void => void setImmediate(() => native.drainHelper(helper));
    const block = native.attachHelper(
      helper,
      (count, ...values) => this.#dispatch(count, values),
      again,
      (...operation) => this.#receive(...operation),
    );
    const control = new Int32Array(block, 0, ControlLayout.Words);
    control[ControlWord.ThreadId] = threadId;
    const slots = control[ControlWord.SlotCount] ?? 0;
    this.#ids = new Float64Array(block, ControlLayout.Ids, ControlLayout.MaxEvents);
    this.#kinds = new Int32Array(block, ControlLayout.Kinds, ControlLayout.MaxEvents);
    this.#slots = new Int32Array(block, ControlLayout.Slots, ControlLayout.MaxEvents);
    this.#numbers = new Int32Array(block, ControlLayout.Numbers, ControlLayout.MaxEvents);
    this.#lengths = new Int32Array(block, ControlLayout.Lengths, ControlLayout.MaxEvents);
    this.#state = new Uint8Array(block, ControlLayout.Settled + 4 * slots, slots);
  }

  /** Closes all sockets, also those that the application has made the helper forget. */
  closeAll(code: number, reason: string): void {
    for (const socket of this.#sockets.values()) {
      this.#guard('close', () => socket.close(code, reason));
    }
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
      this.#state[slot] = EventState.Started;
      this.#event(
        this.#kinds[i] as EventKind,
        this.#ids[i] as number,
        values[i],
        this.#numbers[i] as number,
        this.#lengths[i] as number,
      );
      this.#state[slot] = EventState.Settled;
    }
  };

  #event(kind: EventKind, id: number, value: unknown, number: number, length: number): void {
    if (kind === EventKind.Joined) {
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

  #eventOf(
    socket: NativeSocket,
    kind: EventKind,
    value: unknown,
    number: number,
    length: number,
  ): void {
    const { handler } = this.host;
    switch (kind) {
      case EventKind.Text:
        return this.#message(socket, value as string);
      case EventKind.SharedBytes:
        return this.#message(socket, Buffer.from(value as ArrayBuffer, number, length));
      case EventKind.Bytes:
        return this.#message(socket, value as Buffer);
      case EventKind.Drain:
        if (socket.readyState === 1) this.#guard('drain', () => handler.drain(socket));
        return;
      case EventKind.Close:
        this.#sockets.delete(socket.id);
        if (socket.end()) this.closed(socket, number, value as string);
    }
  }

  /** Messages that were on their way when the socket was closed here are ignored. */
  #message(socket: NativeSocket, message: string | Buffer): void {
    if (socket.readyState !== 1) return;
    const before = continuations();
    this.#guard('message', () => this.host.handler.message(socket, message));
    if (continuations() !== before) this.#postpone(socket.id);
  }

  /**
   * The next events of this socket wait until promises have gone on. `nextTick` alone would come
   * before them.
   */
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
      while (line.next < line.events.length && !this.#postponed.has(id)) {
        line.events[line.next++]?.();
      }
      // One of them has left work to promises again: the others go on waiting.
      if (line.next < line.events.length) this.#postponed.set(id, line);
    }
  }

  /** The broker has shut down. Close events have come before this, so no socket should be left. */
  #brokerGone(): void {
    this.native.keepHelperAlive(this.helper, false);
    for (const socket of this.#sockets.values()) if (socket.end()) this.closed(socket, 1006, '');
    this.#sockets.clear();
  }

  #receive(
    operation: Operation,
    a: string | boolean,
    b: string,
    exclude: string[],
    kind: number,
    epoch: number,
  ): void {
    const { host } = this;
    this.#guard('receive', () => {
      switch (operation) {
        case Operation.Publish:
          return host.receive({
            op: 'publish',
            audience: { type: AUDIENCES[kind] ?? 'room', name: a as string },
            frame: b,
            exclude,
            epoch,
          });
        case Operation.Send:
          return host.receive({ op: 'send', clientId: a as string, frame: b });
        case Operation.Join:
          return host.receive({ op: 'join', clientId: a as string, room: b });
        case Operation.Leave:
          return host.receive({ op: 'leave', clientId: a as string, room: b });
        case Operation.InputState:
          return this.inputChanged(a === true ? 'ready' : 'lost');
        case Operation.TakeInput:
          return host.takeInput();
        case Operation.ClientsLeft:
          return host.clientsLeft();
        case Operation.Dropped:
          return host.dropped();
      }
    });
  }

  /** If it throws, or enters an async context, the events of other sockets do not notice. */
  #guard(what: string, run: () => void): void {
    try {
      this.#scope.call(run, undefined);
    } catch (error) {
      this.host.logger.error(`${what} failed`, error);
    }
  }
}
