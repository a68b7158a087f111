import { createHash } from 'node:crypto';
import { markAsUntransferable, threadId } from 'node:worker_threads';
import { WSBrokerError } from '../errors.cjs';
import type { HandlerTable } from './handlers.cjs';
import { Line, LineTable, Waiting } from './pending.cjs';
import { ControlBlock, ControlWord, EventKind, EventState } from '../native/control-block.cjs';
import type { Dispatch, Native } from '../native.cjs';
import { isFulfilled, isThenable } from '../promises.cjs';
import type { HandlerName, OpenRequest } from '../types/worker-interface.cjs';
import { ACCEPTED, BROKEN, FORBIDDEN, judge, LATE, type Judgement } from './verdict.cjs';

// The way from the addon to handlers. The addon calls `dispatch` with up to 32 events: one value
// each as an argument, everything numeric in the control block, so that an event costs no property
// reads and, unless its handler returns a promise or its socket has a token or bytes, no
// allocation.
//
// Every event has a slot, and `state[slot]` tells the addon how far it got: 0 not started, 1 in
// hand, 2 settled. If this thread dies, what is at 0 goes to another worker. An event is settled
// when its handler has returned and its promise, if any, has too; until then it counts into
// `maxInFlight`.

/**
 * A pending handler is looked at this often within `handlerTimeout`: one timer for all of them, and
 * no clock is read per event.
 */
const LOOKS = 8;

/** Lines kept for the next promise, so that a busy worker makes none. */
const SPARE_LINES = 256;

const NAMES: readonly HandlerName[] = [
  'handleOpen',
  'handleOpen',
  'handleTextMessage',
  'handleBinaryMessage',
  'handleBinaryMessage',
  'handleClose',
  'handleDrain',
];

export type DispatchNative = Pick<
  Native,
  'openVerdict' | 'settle' | 'slotBytes' | 'slotToken' | 'tokenVersion'
>;

/** As Node shows it: the SHA-256 of the certificate in pairs of digits. */
function withFingerprint(certificate: { raw: Buffer; fingerprint256?: string }): void {
  const digits = createHash('sha256').update(certificate.raw).digest('hex').toUpperCase();
  certificate.fingerprint256 = digits.replace(/..(?!$)/g, '$&:');
}

export interface Dispatcher {
  /** What the addon calls. It never throws. */
  readonly dispatch: Dispatch;
  /** Before the first event. */
  attach(control: ArrayBuffer): void;
  /** Resolves when no handler is pending. */
  idle(): Promise<void>;
  /** Runs what waits for pending handlers, in order, and lets nothing wait from now on. */
  hurry(): void;
  /** Starts no handler any more: what is not started belongs to the addon again. */
  stop(): void;
}

/** `length` shows whether a handler has transferred the bytes away: then it is 0. */
interface CachedToken {
  version: number;
  bytes: Buffer;
  length: number;
}

/**
 * @param goodbye called when the addon says that the broker is gone, which only happens in threads
 * of the user's own
 */
export function createDispatcher(
  native: DispatchNative,
  table: HandlerTable,
  goodbye: () => void,
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
  const { openVerdict, settle, slotBytes, slotToken, tokenVersion } = native;
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

  const lines = new LineTable();
  const spare: Line[] = [];
  const tokenCache = new Map<number, CachedToken>();
  let inHand = 0;
  let stopped = false;
  let hurried = false;
  let whenIdle: (() => void)[] = [];
  let lookIsDue = false;
  let look = 0;
  let looking: NodeJS.Timeout | undefined;

  function attach(block: ArrayBuffer): void {
    control = new Int32Array(block, 0, ControlBlock.Words);
    control[ControlWord.ThreadId] = threadId;
    const capacity = control[ControlWord.SlotCount] ?? 0;
    ids = new Float64Array(block, ControlBlock.Ids, ControlBlock.MaxEvents);
    kinds = new Int32Array(block, ControlBlock.Kinds, ControlBlock.MaxEvents);
    slots = new Int32Array(block, ControlBlock.Slots, ControlBlock.MaxEvents);
    tokens = new Uint32Array(block, ControlBlock.TokenVersions, ControlBlock.MaxEvents);
    numbers = new Int32Array(block, ControlBlock.Numbers, ControlBlock.MaxEvents);
    lengths = new Int32Array(block, ControlBlock.Lengths, ControlBlock.MaxEvents);
    settled = new Int32Array(block, ControlBlock.Settled, capacity);
    state = new Uint8Array(block, ControlBlock.Settled + 4 * capacity, capacity);
  }

  function dispatch(count: number, ...data: unknown[]): void {
    if (stopped) return;
    if (count === 0) return goodbye();
    scope.batch(handOver, count, data);
  }

  function handOver(count: number, data: readonly unknown[]): void {
    const epoch = control[ControlWord.TokenEpoch] as number;
    const serial = control[ControlWord.Concurrent] === 0 && !hurried;
    let shared: unknown;
    for (let i = 0; i < count; i++) {
      const id = ids[i] as number;
      const slot = slots[i] as number;
      let kind = kinds[i] as EventKind;
      try {
        let value = data[i];
        if (kind === EventKind.SharedBytes) {
          // A handler that transfers its own bytes would take those of the events behind it along.
          // `ArrayBuffer.prototype.transfer` does not heed that everywhere.
          if (value !== shared) markAsUntransferable((shared = value as ArrayBuffer));
          const length = lengths[i] as number;
          value =
            (value as ArrayBuffer).byteLength === 0 && length !== 0
              ? slotBytes(slot)
              : Buffer.from(value as ArrayBuffer, numbers[i], length);
          kind = EventKind.Bytes;
        } else if (kind === EventKind.Bytes) {
          value = Buffer.from(value as ArrayBuffer);
        }
        if (serial && lines.size !== 0) {
          const line = lines.find(id);
          if (line !== undefined) {
            if (!lookIsDue) lookBehindPromises();
            const number = kind === EventKind.Bytes ? (value as Buffer).length : (numbers[i] as number);
            line.push(new Waiting(kind, slot, value, number, tokens[i] as number, epoch));
            continue;
          }
        }
        state[slot] = EventState.Started;
        if (kind === EventKind.Open) {
          open(id, slot, value as OpenRequest);
          continue;
        }
        const token = tokenNow(id, slot, tokens[i] as number, epoch);
        const result = invoke(kind, id, value, token, numbers[i] as number);
        if (result !== undefined && isThenable(result) && !isFulfilled(result)) {
          pend(takeLine(), kind, id, slot, result, serial);
          continue;
        }
      } catch (error) {
        report(error, kind, id);
      }
      state[slot] = EventState.Settled;
    }
  }

  /** Calls the handler of any event but an open. */
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
      case EventKind.Close:
        tokenCache.delete(id);
        return handleClose === undefined ? undefined : handleClose(id, token, code, value);
      default:
        return undefined;
    }
  }

  /**
   * The first event of its socket, so that nothing can be before it. It counts as settled from its
   * verdict on.
   */
  function open(id: number, slot: number, request: OpenRequest): void {
    let judgement = FORBIDDEN;
    try {
      if (request.clientCertificate !== undefined) withFingerprint(request.clientCertificate);
      const verdict: unknown =
        handleOpen === undefined ? true : handleOpen(id, request.ip, request.headers, request);
      if (isThenable(verdict)) {
        const line = takeLine();
        line.offered = request.protocols;
        pend(line, EventKind.Open, id, slot, verdict, true);
        return;
      }
      judgement = judgeOrReport(verdict, request.protocols, id);
    } catch (error) {
      report(error, EventKind.Open, id);
    }
    tell(slot, judgement, id);
    state[slot] = EventState.Settled;
  }

  function judgeOrReport(verdict: unknown, offered: readonly string[], id: number): Judgement {
    if (verdict === undefined || verdict === true) return ACCEPTED;
    if (verdict === false) return FORBIDDEN;
    try {
      return judge(verdict, offered);
    } catch (error) {
      report(error, EventKind.Open, id);
      return BROKEN;
    }
  }

  /**
   * The addon may refuse an acceptance, because of a limit for example: then the connection is
   * refused.
   */
  function tell(slot: number, judgement: Judgement, id: number): void {
    if (stopped) return;
    try {
      if (judgement.accepted) openVerdict(slot, true, judgement.detail);
      else openVerdict(slot, false, judgement.detail);
    } catch (error) {
      report(error, EventKind.Open, id);
      if (judgement !== BROKEN) tell(slot, BROKEN, id);
    }
  }

  // Tokens. A Buffer made for every event would cost more than all the rest of it.

  function tokenOf(id: number, slot: number, version: number): Buffer | undefined {
    const cached = tokenCache.get(id);
    if (cached !== undefined && cached.version === version && cached.bytes.length === cached.length)
      return cached.bytes;
    const bytes = slotToken(slot);
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

  /**
   * The version that came with an event is good as long as no token of this worker's sockets was
   * set since.
   */
  function tokenNow(id: number, slot: number, version: number, epoch: number): Buffer | undefined {
    if (control[ControlWord.TokenEpoch] !== epoch) return currentToken(id, slot);
    return version === 0 ? undefined : tokenOf(id, slot, version);
  }

  function currentToken(id: number, slot: number): Buffer | undefined {
    const version = tokenVersion(id);
    // 0 also says that the socket is gone; its slot still knows the token.
    return version === 0 ? slotToken(slot) : tokenOf(id, slot, version);
  }

  // Promises.

  function pend(
    line: Line,
    kind: EventKind,
    id: number,
    slot: number,
    promise: PromiseLike<unknown>,
    serial: boolean,
  ): void {
    line.id = id;
    line.kind = kind;
    line.slot = slot;
    line.since = look;
    // A native promise is taken as it is; any other thenable is called once, later, and believed
    // once.
    Promise.resolve(promise).then(line.resolved, line.rejected);
    if (!lookIsDue) lookBehindPromises();
    inHand++;
    if (serial && !line.serial) {
      line.serial = true;
      lines.add(line);
      if (looking === undefined) startLooking();
    }
  }

  function done(line: Line, failed: boolean, value: unknown): void {
    if (line.expired) return doneLate(line, failed, value);
    const { id, kind, slot } = line;
    inHand--;
    if (kind === EventKind.Open) {
      if (failed) report(value, kind, id);
      tell(slot, failed ? FORBIDDEN : judgeOrReport(value, line.offered, id), id);
    } else if (failed) {
      report(value, kind, id);
    }
    settleLater(slot);
    goOn(line);
  }

  /**
   * Its events went on without it. An acceptance came too late for the connection, but it was one,
   * and an acceptance is followed by a `handleClose`.
   */
  function doneLate(line: Line, failed: boolean, value: unknown): void {
    const { id, kind } = line;
    if (failed) return report(value, kind, id);
    if (
      kind !== EventKind.Open ||
      handleClose === undefined ||
      !judgeOrReport(value, line.offered, id).accepted
    )
      return;
    try {
      const result = handleClose(id, undefined, 1006, '');
      if (isThenable(result))
        Promise.resolve(result).then(undefined, (error: unknown) => report(error, EventKind.Close, id));
    } catch (error) {
      report(error, EventKind.Close, id);
    }
  }

  /** Runs what waits in the line, up to the next promise. */
  function goOn(line: Line): void {
    const { id } = line;
    for (let event = line.shift(); event !== undefined && !stopped; event = line.shift()) {
      const { kind, slot } = event;
      state[slot] = EventState.Started;
      try {
        const isWhole = kind !== EventKind.Bytes || (event.data as Buffer).length === event.number;
        const result = invoke(
          kind,
          id,
          isWhole ? event.data : slotBytes(slot),
          tokenNow(id, slot, event.token, event.epoch),
          event.number,
        );
        if (result !== undefined && isThenable(result) && !isFulfilled(result)) {
          if (!hurried) return pend(line, kind, id, slot, result, true);
          pend(takeLine(), kind, id, slot, result, false);
          continue;
        }
      } catch (error) {
        report(error, kind, id);
      }
      settleLater(slot);
    }
    if (line.serial) lines.remove(line);
    line.serial = false;
    line.clear();
    if (spare.length < SPARE_LINES) spare.push(line);
    if (inHand === 0) for (const resolve of whenIdle.splice(0)) resolve();
  }

  /** For an event that ends outside of `dispatch`, where the addon does not look by itself. */
  function settleLater(slot: number): void {
    if (stopped) return;
    state[slot] = EventState.Settled;
    const count = control[ControlWord.SettledCount] as number;
    settled[count] = slot;
    control[ControlWord.SettledCount] = count + 1;
    if (!lookIsDue) {
      lookIsDue = true;
      nextTick(lookNow);
    }
  }

  // The addon looks what has settled, and flushes what was sent, behind all promises that go on
  // now: so they are settled and flushed together.

  /** From a call of the addon's: a tick asked for here would come before all promises. */
  function lookBehindPromises(): void {
    lookIsDue = true;
    queueMicrotask(askForLook);
  }

  function askForLook(): void {
    nextTick(lookNow);
  }

  function lookNow(): void {
    lookIsDue = false;
    settle();
  }

  function takeLine(): Line {
    return spare.pop() ?? new Line(done);
  }

  // Handlers that take too long.

  function startLooking(): void {
    const timeout = handlerTimeout();
    if (timeout === 0) return;
    looking = setInterval(lookAtLines, Math.ceil(timeout / LOOKS));
    looking.unref?.();
  }

  function lookAtLines(): void {
    look++;
    if (lines.size === 0 || stopped) {
      clearInterval(looking);
      looking = undefined;
      return;
    }
    // One look more than the timeout has: a line may have begun just before the look it remembers
    // ended.
    const overdue = lines.all().filter((line) => look - line.since > LOOKS);
    for (const line of overdue) expire(line);
  }

  function expire(line: Line): void {
    const { id, kind, slot } = line;
    const name = NAMES[kind] as HandlerName;
    const outcome =
      kind === EventKind.Open
        ? 'the connection was refused with 503'
        : "the connection's next event goes on";
    line.expired = true;
    inHand--;
    if (kind === EventKind.Open) tell(slot, LATE, id);
    settleLater(slot);
    const heir = succeed(line);
    report(
      new WSBrokerError(
        'ERR_WSBROKER_HANDLER_TIMEOUT',
        `${name} did not settle within ${handlerTimeout()} ms; ${outcome}`,
      ),
      kind,
      id,
    );
    goOn(heir);
  }

  /** A line with what waits in this one, in its place. */
  function succeed(line: Line): Line {
    const heir = takeLine();
    heir.id = line.id;
    heir.serial = true;
    line.moveTo(heir);
    lines.remove(line);
    lines.add(heir);
    return heir;
  }

  function hurry(): void {
    hurried = true;
    for (const line of lines.all()) {
      // A connection that waits for a verdict does not exist yet; its client is answered when this
      // worker ends.
      if (line.kind === EventKind.Open) continue;
      const heir = succeed(line);
      line.serial = false;
      goOn(heir);
    }
  }

  function handlerTimeout(): number {
    return Math.max(0, (control[ControlWord.HandlerTimeout] as number) - 1);
  }

  function report(error: unknown, kind: EventKind, id: number): void {
    table.report(error, NAMES[kind] as HandlerName, id);
  }

  return {
    dispatch,
    attach,
    hurry,
    idle: () =>
      inHand === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve)),
    stop() {
      stopped = true;
      clearInterval(looking);
      lines.clear();
      tokenCache.clear();
      for (const resolve of whenIdle.splice(0)) resolve();
    },
  };
}
