import { markAsUntransferable, threadId } from 'node:worker_threads';
import { builtins } from '../builtins.cjs';
import { now } from '../clock.cjs';
import { WSBrokerError } from '../errors.cjs';
import type { Dispatch, Native } from '../native.cjs';
import { ControlLayout, ControlWord, EventKind, EventState } from '../native/shared-numbers.cjs';
import { isFulfilled, isThenable } from '../promises.cjs';
import type { Position } from '../types/history.cjs';
import type { HandlerName, OpenRequest } from '../types/worker-interface.cjs';
import type { HandlerTable } from './handlers.cjs';
import { untilNextMeasured } from './measured.cjs';
import { PendingHandler, PendingHandlers, WaitingEvent } from './pending-handlers.cjs';
import { TokenCache } from './token-cache.cjs';
import {
  ACCEPTED,
  type CheckedVerdict,
  checkVerdict,
  FORBIDDEN,
  INVALID,
  TIMED_OUT,
} from './verdict.cjs';

// Calls the handlers of events. The addon calls `dispatch` with up to 32 events: one value of each
// as an argument, and everything numeric in the control block. So an event costs no property reads
// and, unless its handler returns a promise or its socket has a token or bytes, no allocation.
//
// An event is settled when its handler has returned and, if that returned a promise, the promise
// has settled. Until then it counts towards `maxInFlight`.

/**
 * The timer for `handlerTimeout` ticks this often within it. There is one timer for all handlers,
 * and no clock is read for an event.
 */
const TICKS = 8;

/** Objects that are kept for the next promises, so that a busy worker makes none. */
const MAX_SPARE = 256;

/** Bytes that V8 keeps within a typed array, without memory of their own. */
const SHORT_TOKEN = 64;

/** By `EventKind`. */
export const HANDLER_OF_EVENT: readonly HandlerName[] = [
  'handleOpen',
  'handleOpen',
  'handleTextMessage',
  'handleBinaryMessage',
  'handleBinaryMessage',
  'handleClose',
  'handleDrain',
  // An event of helpers.
  'handleOpen',
  'handleLost',
];

export type DispatchNative = Pick<
  Native,
  | 'close'
  | 'continueChannel'
  | 'copyToken'
  | 'handlerRan'
  | 'openVerdict'
  | 'settle'
  | 'slotBytes'
  | 'slotToken'
  | 'tokenVersion'
>;

/** The SHA-256 of the certificate, written as Node does. */
function withFingerprint(certificate: { raw: Buffer; fingerprint256?: string }): void {
  const digits = builtins.crypto.createHash('sha256').update(certificate.raw).digest('hex').toUpperCase();
  certificate.fingerprint256 = digits.replace(/..(?!$)/g, '$&:');
}

export interface Dispatcher {
  /** The addon calls this. It never throws. */
  readonly dispatch: Dispatch;
  /** To be called before the first event. */
  attach(control: ArrayBuffer): void;
  /** Resolves when no handler is pending. */
  idle(): Promise<void>;
  /** Handles the events that wait for pending handlers, in order. From now on no event waits. */
  hurry(): void;
  /** Starts no more handlers: events that have not started belong to the addon again. */
  stop(): void;
}

/** The value of a lost event. */
interface LostMessages {
  readonly channel: string | Buffer;
  readonly position: Position;
}

/**
 * @param onBrokerGone called when the broker is gone, which happens only in threads of the
 * application's own
 */
export function createDispatcher(
  native: DispatchNative,
  table: HandlerTable,
  onBrokerGone: () => void,
): Dispatcher {
  const { scope } = table;
  const scoped = <H,>(handler: H | undefined): H | undefined =>
    handler && (scope.bound(handler as never, table.self) as H);
  const [handleOpen, handleTextMessage, handleBinaryMessage] = [
    scoped(table.handleOpen),
    scoped(table.handleTextMessage),
    scoped(table.handleBinaryMessage),
  ];
  const [handleClose, handleDrain] = [scoped(table.handleClose), scoped(table.handleDrain)];
  const handleLost = scoped(table.handleLost);
  const { close, continueChannel, handlerRan, openVerdict, settle } = native;
  const { copyToken, slotBytes, slotToken, tokenVersion } = native;
  const { setInterval, clearInterval, queueMicrotask } = globalThis;
  const { nextTick } = process;

  let control = new Int32Array(16);
  let ids = new Float64Array(0);
  let kinds = control;
  let slots = control;
  let tokens = new Uint32Array(0);
  let numbers = control;
  let lengths = control;
  let settled = control;
  let state = new Uint8Array(0);

  const pendingHandlers = new PendingHandlers();
  const spare: PendingHandler[] = [];
  const tokenCache = new TokenCache();
  const shortToken = new Uint8Array(SHORT_TOKEN);
  let pendingCount = 0;
  let stopped = false;
  let hurried = false;
  let whenIdle: (() => void)[] = [];
  let settleIsDue = false;
  let tick = 0;
  let ticker: NodeJS.Timeout | undefined;
  let untilMeasured = untilNextMeasured();

  function attach(block: ArrayBuffer): void {
    control = new Int32Array(block, 0, ControlLayout.Words);
    control[ControlWord.ThreadId] = threadId;
    const capacity = control[ControlWord.SlotCount] ?? 0;
    ids = new Float64Array(block, ControlLayout.Ids, ControlLayout.MaxEvents);
    kinds = new Int32Array(block, ControlLayout.Kinds, ControlLayout.MaxEvents);
    slots = new Int32Array(block, ControlLayout.Slots, ControlLayout.MaxEvents);
    tokens = new Uint32Array(block, ControlLayout.TokenVersions, ControlLayout.MaxEvents);
    numbers = new Int32Array(block, ControlLayout.Numbers, ControlLayout.MaxEvents);
    lengths = new Int32Array(block, ControlLayout.Lengths, ControlLayout.MaxEvents);
    settled = new Int32Array(block, ControlLayout.Settled, capacity);
    state = new Uint8Array(block, ControlLayout.Settled + 4 * capacity, capacity);
  }

  function dispatch(count: number, ...data: unknown[]): void {
    if (stopped) return;
    if (count === 0) return onBrokerGone();
    scope.batch(handleEvents, count, data);
  }

  function handleEvents(count: number, data: readonly unknown[]): void {
    const epoch = control[ControlWord.TokenEpoch] as number;
    const serial = control[ControlWord.Concurrent] === 0 && !hurried;
    let shared: unknown;
    for (let i = 0; i < count; i++) {
      const id = ids[i] as number;
      const slot = slots[i] as number;
      let kind = kinds[i] as EventKind;
      let begun = 0;
      try {
        let value = data[i];
        if (kind === EventKind.SharedBytes) {
          // A handler that transfers its bytes would take the bytes of the next events with them.
          // `ArrayBuffer.prototype.transfer` ignores the mark on some runtimes.
          if (value !== shared) markAsUntransferable((shared = value as ArrayBuffer));
          const length = lengths[i] as number;
          value =
            (value as ArrayBuffer).byteLength === 0 && length !== 0
              ? slotBytes(slot)
              : Buffer.from(value as ArrayBuffer, numbers[i], length);
          kind = EventKind.Bytes;
        }
        if (serial && pendingHandlers.size !== 0) {
          const pending = pendingHandlers.find(id);
          if (pending !== undefined) {
            if (!settleIsDue) settleAfterPromises();
            const number =
              kind === EventKind.Bytes ? (value as Buffer).length : (numbers[i] as number);
            pending.push(new WaitingEvent(kind, slot, value, number, tokens[i] as number, epoch));
            continue;
          }
        }
        state[slot] = EventState.Started;
        if (kind === EventKind.Open) {
          open(id, slot, value as OpenRequest);
          continue;
        }
        const token = tokenNow(id, slot, tokens[i] as number, epoch);
        begun = beginning(kind);
        const result = invoke(kind, id, value, token, numbers[i] as number);
        if (result !== undefined && isThenable(result) && !isFulfilled(result)) {
          const pending = takePending();
          pending.begun = begun;
          pend(pending, kind, id, slot, result, serial);
          continue;
        }
      } catch (error) {
        report(error, kind, id);
      }
      if (begun !== 0) handlerRan(kind, now() - begun);
      state[slot] = EventState.Settled;
    }
  }

  /** When the handler of this event begins; 0: it is not measured. */
  function beginning(kind: EventKind): number {
    if (kind === EventKind.Text || kind === EventKind.Bytes) {
      if (--untilMeasured > 0) return 0;
      untilMeasured = untilNextMeasured();
    }
    return now();
  }

  /** Calls the handler of any event except an open event. */
  function invoke(
    kind: EventKind,
    id: number,
    value: unknown,
    token: Buffer | undefined,
    code: number,
  ): unknown {
    switch (kind) {
      case EventKind.Text:
        return handleTextMessage === undefined ? undefined : handleTextMessage(value, id, token);
      case EventKind.Bytes:
        return handleBinaryMessage === undefined
          ? undefined
          : handleBinaryMessage(value, id, token);
      case EventKind.Drain:
        return handleDrain === undefined ? undefined : handleDrain(id, token);
      case EventKind.Lost:
        return lost(id, value as LostMessages);
      case EventKind.Close:
        tokenCache.delete(id);
        return handleClose === undefined ? undefined : handleClose(id, token, code, value);
      default:
        return undefined;
    }
  }

  /** The socket goes on in the channel once its handler has finished, and not if that fails. */
  function lost(id: number, { channel, position }: LostMessages): unknown {
    const failed = (error: unknown): never => {
      closeLost(id);
      throw error;
    };
    try {
      const result: unknown = handleLost === undefined ? undefined : handleLost(id, channel, position);
      if (isThenable(result)) {
        return Promise.resolve(result).then(() => continueChannel(id, channel), failed);
      }
    } catch (error) {
      failed(error);
    }
    continueChannel(id, channel);
    return undefined;
  }

  function closeLost(id: number): void {
    close(id, 4009, 'history lost');
  }

  /**
   * It is the first event of its socket, so nothing can be pending. It is settled when it has a
   * verdict.
   */
  function open(id: number, slot: number, request: OpenRequest): void {
    let decision = FORBIDDEN;
    const begun = now();
    try {
      if (request.clientCertificate !== undefined) withFingerprint(request.clientCertificate);
      const verdict: unknown =
        handleOpen === undefined ? true : handleOpen(id, request.ip, request.headers, request);
      if (isThenable(verdict)) {
        const pending = takePending();
        pending.offered = request.protocols;
        pending.begun = begun;
        pend(pending, EventKind.Open, id, slot, verdict, true);
        return;
      }
      decision = checkOrReport(verdict, request.protocols, id);
    } catch (error) {
      report(error, EventKind.Open, id);
    }
    handlerRan(EventKind.Open, now() - begun);
    sendVerdict(slot, decision, id);
    state[slot] = EventState.Settled;
  }

  function checkOrReport(verdict: unknown, offered: readonly string[], id: number): CheckedVerdict {
    if (verdict === undefined || verdict === true) return ACCEPTED;
    if (verdict === false) return FORBIDDEN;
    try {
      return checkVerdict(verdict, offered);
    } catch (error) {
      report(error, EventKind.Open, id);
      return INVALID;
    }
  }

  /**
   * The addon may reject an acceptance, for example because of a limit. Then the connection is
   * refused.
   */
  function sendVerdict(slot: number, decision: CheckedVerdict, id: number): void {
    if (stopped) return;
    try {
      if (decision.accepted) {
        decision.whenAccepted?.();
        openVerdict(slot, true, decision.detail);
      } else {
        openVerdict(slot, false, decision.detail);
      }
    } catch (error) {
      report(error, EventKind.Open, id);
      if (decision !== INVALID) sendVerdict(slot, INVALID, id);
    }
  }

  // Tokens. They are cached: a new Buffer would cost more than the rest of the event.

  function tokenOf(id: number, slot: number, version: number): Buffer | undefined {
    const cached = tokenCache.get(id);
    if (
      cached !== undefined &&
      cached.version === version &&
      cached.bytes.length === cached.length
    ) {
      return cached.bytes;
    }
    const bytes = newToken(slot);
    if (bytes === undefined) return undefined;
    if (cached === undefined) {
      tokenCache.set(id, { version, bytes, length: bytes.length });
    } else {
      cached.version = version;
      cached.bytes = bytes;
      cached.length = bytes.length;
    }
    return bytes;
  }

  /** Made here, where engines have short bytes within the object; the addon cannot do that. */
  function newToken(slot: number): Buffer | undefined {
    const length = copyToken(slot, shortToken);
    if (length < 0) return undefined;
    if (length > shortToken.length) return slotToken(slot);
    const bytes = Buffer.allocUnsafeSlow(length);
    for (let i = 0; i < length; i++) bytes[i] = shortToken[i] as number;
    return bytes;
  }

  /**
   * The version that came with an event is valid if no token of this worker's sockets has been set
   * since.
   */
  function tokenNow(id: number, slot: number, version: number, epoch: number): Buffer | undefined {
    if (control[ControlWord.TokenEpoch] !== epoch) return currentToken(id, slot);
    return version === 0 ? undefined : tokenOf(id, slot, version);
  }

  function currentToken(id: number, slot: number): Buffer | undefined {
    const version = tokenVersion(id);
    // 0 may also mean that the socket is gone; the slot still has its token.
    return version === 0 ? newToken(slot) : tokenOf(id, slot, version);
  }

  // Promises.

  function pend(
    pending: PendingHandler,
    kind: EventKind,
    id: number,
    slot: number,
    promise: PromiseLike<unknown>,
    serial: boolean,
  ): void {
    pending.id = id;
    pending.kind = kind;
    pending.slot = slot;
    pending.since = tick;
    // A native promise is used as it is. The `then` of any other thenable is called once, later.
    Promise.resolve(promise).then(pending.resolved, pending.rejected);
    if (!settleIsDue) settleAfterPromises();
    pendingCount++;
    if (serial && !pending.serial) {
      pending.serial = true;
      pendingHandlers.add(pending);
      if (ticker === undefined) startTicking();
    }
  }

  function done(pending: PendingHandler, failed: boolean, value: unknown): void {
    if (pending.expired) return doneLate(pending, failed, value);
    const { id, kind, slot, begun } = pending;
    pendingCount--;
    if (begun !== 0) handlerRan(kind, now() - begun);
    if (kind === EventKind.Open) {
      if (failed) report(value, kind, id);
      sendVerdict(slot, failed ? FORBIDDEN : checkOrReport(value, pending.offered, id), id);
    } else if (failed) {
      report(value, kind, id);
    }
    settleOutside(slot);
    handleWaiting(pending);
  }

  /**
   * It has expired, and its next events went on. An acceptance comes too late for the connection,
   * but every acceptance is followed by a `handleClose`.
   */
  function doneLate(pending: PendingHandler, failed: boolean, value: unknown): void {
    const { id, kind } = pending;
    if (failed) return report(value, kind, id);
    if (
      kind !== EventKind.Open ||
      handleClose === undefined ||
      !checkOrReport(value, pending.offered, id).accepted
    ) {
      return;
    }
    try {
      const result = handleClose(id, undefined, 1006, '');
      if (isThenable(result)) {
        Promise.resolve(result).then(undefined, (error: unknown) =>
          report(error, EventKind.Close, id),
        );
      }
    } catch (error) {
      report(error, EventKind.Close, id);
    }
  }

  /** Handles the events that wait, up to the next promise. */
  function handleWaiting(pending: PendingHandler): void {
    const { id } = pending;
    for (let event = pending.shift(); event !== undefined && !stopped; event = pending.shift()) {
      const { kind, slot } = event;
      state[slot] = EventState.Started;
      let begun = 0;
      try {
        begun = beginning(kind);
        const isWhole = kind !== EventKind.Bytes || (event.data as Buffer).length === event.number;
        const result = invoke(
          kind,
          id,
          isWhole ? event.data : slotBytes(slot),
          tokenNow(id, slot, event.token, event.epoch),
          event.number,
        );
        if (result !== undefined && isThenable(result) && !isFulfilled(result)) {
          const next = hurried ? takePending() : pending;
          next.begun = begun;
          pend(next, kind, id, slot, result, !hurried);
          if (!hurried) return;
          continue;
        }
      } catch (error) {
        report(error, kind, id);
      }
      if (begun !== 0) handlerRan(kind, now() - begun);
      settleOutside(slot);
    }
    if (pending.serial) pendingHandlers.remove(pending);
    pending.serial = false;
    pending.clear();
    if (spare.length < MAX_SPARE) spare.push(pending);
    if (pendingCount === 0) for (const resolve of whenIdle.splice(0)) resolve();
  }

  /** For events that settle outside of `dispatch`: the addon does not look for them by itself. */
  function settleOutside(slot: number): void {
    if (stopped) return;
    state[slot] = EventState.Settled;
    const count = control[ControlWord.SettledCount] as number;
    settled[count] = slot;
    control[ControlWord.SettledCount] = count + 1;
    if (!settleIsDue) {
      settleIsDue = true;
      nextTick(settleNow);
    }
  }

  // The addon collects settled events and flushes what was sent after all promises that are due
  // now, so that they are settled and flushed together.

  /** For calls by the addon, where `nextTick` would run before all promises. */
  function settleAfterPromises(): void {
    settleIsDue = true;
    queueMicrotask(scheduleSettle);
  }

  function scheduleSettle(): void {
    nextTick(settleNow);
  }

  function settleNow(): void {
    settleIsDue = false;
    settle();
  }

  function takePending(): PendingHandler {
    return spare.pop() ?? new PendingHandler(done);
  }

  // Handlers that take too long.

  function startTicking(): void {
    const timeout = handlerTimeout();
    if (timeout === 0) return;
    ticker = setInterval(onTick, Math.ceil(timeout / TICKS));
    ticker.unref?.();
  }

  function onTick(): void {
    tick++;
    if (pendingHandlers.size === 0 || stopped) {
      clearInterval(ticker);
      ticker = undefined;
      return;
    }
    // One tick more than the timeout has: the handler may have started just before a tick.
    const overdue = pendingHandlers.all().filter((pending) => tick - pending.since > TICKS);
    for (const pending of overdue) expire(pending);
  }

  function expire(pending: PendingHandler): void {
    const { id, kind, slot, begun } = pending;
    const name = HANDLER_OF_EVENT[kind] as HandlerName;
    const outcome =
      kind === EventKind.Open
        ? 'the connection was refused with 503'
        : kind === EventKind.Lost
          ? 'the connection was closed with 4009'
          : "the connection's next event is handled now";
    pending.expired = true;
    pendingCount--;
    if (begun !== 0) handlerRan(kind, now() - begun);
    if (kind === EventKind.Open) sendVerdict(slot, TIMED_OUT, id);
    else if (kind === EventKind.Lost) closeLost(id);
    settleOutside(slot);
    const successor = replacePending(pending);
    report(
      new WSBrokerError(
        'ERR_WSBROKER_HANDLER_TIMEOUT',
        `${name} did not settle within ${handlerTimeout()} ms; ${outcome}`,
      ),
      kind,
      id,
    );
    handleWaiting(successor);
  }

  /** Replaces it by another one, which gets the waiting events. */
  function replacePending(pending: PendingHandler): PendingHandler {
    const successor = takePending();
    successor.id = pending.id;
    successor.serial = true;
    pending.moveTo(successor);
    pendingHandlers.remove(pending);
    pendingHandlers.add(successor);
    return successor;
  }

  function hurry(): void {
    hurried = true;
    for (const pending of pendingHandlers.all()) {
      // A connection that waits for its verdict is not open yet. Its client is refused when this
      // worker ends.
      if (pending.kind === EventKind.Open) continue;
      const successor = replacePending(pending);
      pending.serial = false;
      handleWaiting(successor);
    }
  }

  function handlerTimeout(): number {
    return Math.max(0, (control[ControlWord.HandlerTimeout] as number) - 1);
  }

  function report(error: unknown, kind: EventKind, id: number): void {
    table.report(error, HANDLER_OF_EVENT[kind] as HandlerName, id);
  }

  return {
    dispatch,
    attach,
    hurry,
    idle: () =>
      pendingCount === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve)),
    stop() {
      stopped = true;
      clearInterval(ticker);
      pendingHandlers.clear();
      tokenCache.clear();
      for (const resolve of whenIdle.splice(0)) resolve();
    },
  };
}
