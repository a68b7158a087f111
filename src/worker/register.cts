// Not the global function: test environments that imitate a browser do not have it.
import { setImmediate } from 'node:timers';
import { isMainThread } from 'node:worker_threads';
import { now } from '../clock.cjs';
import { WSBrokerError } from '../errors.cjs';
import { checkSameCopy, isInPool } from '../native/copies.cjs';
import { native } from '../native/load.cjs';
import { START_OVER } from '../options/advice.cjs';
import { isThenable, within } from '../promises.cjs';
import { createDispatcher, type Dispatcher } from './dispatch.cjs';
import { handlerTable, type HandlerTable } from './handlers.cjs';

/** How this thread relates to the pool and to `start`. */
export const thread = {
  /** It belongs to a pool, which was started by another thread. */
  inPool: isInPool(),
  /** A `start` waits for this thread's handlers, and rejects if `handleStart` fails. */
  loading: false,
  /** It becomes a worker only when the pool says so: see {@link Registration.begin}. */
  held: false,
  /** Helpers whose clients live in this thread. */
  helpers: new Set<ThreadHelper>(),
  /** Modules that are still loading although `start` has given them up. */
  late: new Set<LateModule>(),
};

/** A helper of this thread, as the thread's end needs it. */
export interface ThreadHelper {
  /** It gets no more connections. */
  stopAccepting(): void;
  /**
   * Other threads take its place: closes its clients with 1012, after the application has been
   * told of each. Returns how many there were.
   */
  leave(): Promise<number>;
}

interface LateModule {
  readonly names: readonly string[];
  /** Why `start` gave it up. */
  readonly error: WSBrokerError;
}

/** For threads of the application's own, if another thread shuts down the broker. */
const BROKER_GONE_TIMEOUT = 10_000;

/** This thread as a worker. */
export class Registration {
  /**
   * Resolves when `handleStart` is done and events may come, or {@link begin} may be called;
   * rejects with its error.
   */
  readonly ready: Promise<void>;
  /** Made for a module without handlers: a later `registerWorkerThread` replaces it. */
  readonly implicit: boolean;
  readonly #table: HandlerTable;
  #dispatcher: Dispatcher | undefined;
  #dropped = false;
  #isReady = false;
  #finished: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  /** The addon could not deliver everything in its turn, and asked for another one. */
  #hasMore = false;

  /** @param started what `handleStart` returned */
  constructor(
    table: HandlerTable,
    started: unknown,
    implicit: boolean,
    replaced: Registration | undefined,
  ) {
    this.#table = table;
    this.implicit = implicit;
    const attach = (): void => {
      replaced?.drop();
      this.#isReady = true;
      if (!thread.held) this.begin();
    };
    this.ready = isThenable(started)
      ? Promise.resolve(started).then(attach)
      : Promise.resolve(attach());
    this.ready.catch((error: unknown) => {
      this.drop();
      if (!thread.loading) table.report(error, 'handleStart', undefined);
    });
  }

  /** The object that was registered. */
  get handlers(): unknown {
    return this.#table.self;
  }

  /** Events come from now on, if `handleStart` is done. */
  begin(): void {
    if (this.#isReady && !this.#dropped && this.#dispatcher === undefined) this.#attach();
  }

  /**
   * Leaves the events that have come to other workers, whatever its handlers are at, and runs
   * `handleStop` within `timeout`. Never rejects.
   *
   * @returns whether `handleStop` has settled
   */
  async leave(timeout: number): Promise<boolean> {
    const attached = this.#dispatcher !== undefined;
    this.drop();
    if (!attached) return true;
    this.#stopped ??= this.#handleStop();
    return await within(timeout, this.#stopped);
  }

  /**
   * Handles the events that have come, waits for their handlers, runs `handleStop`, all within
   * `timeout`, and detaches from the addon. Handlers have half of that time to settle; then the
   * events that wait for them, such as closed connections, are handled all the same. `handleStop`
   * has what is left. Never rejects.
   *
   * @returns whether `handleStop` has settled
   */
  async stop(timeout: number): Promise<boolean> {
    const deadline = now() + timeout;
    this.#finished ??= this.#finishEvents();
    if (!(await within(timeout / 2, this.#finished))) this.#dispatcher?.hurry();
    let settled = true;
    if (this.#dispatcher !== undefined) {
      this.#stopped ??= this.#handleStop();
      settled = await within(deadline - now(), this.#stopped);
    }
    this.drop();
    return settled;
  }

  /** Detaches from the addon at once. */
  drop(): void {
    if (current === this) current = undefined;
    this.#dropped = true;
    if (this.#dispatcher === undefined) return;
    native.detachWorker();
    this.#dispatcher.stop();
    this.#dispatcher = undefined;
  }

  #attach(): void {
    const dispatcher = createDispatcher(
      native,
      this.#table,
      () => void this.stop(BROKER_GONE_TIMEOUT),
    );
    // The main thread is kept alive by its servers, a pool's thread by its port, and a thread of
    // the application's own by this.
    const keepAlive = !isMainThread && !thread.inPool;
    const again = (): void => {
      this.#hasMore = true;
      setImmediate(native.drain);
    };
    dispatcher.attach(
      native.attachWorker(this.#table.mask, dispatcher.dispatch, again, keepAlive).control,
    );
    this.#dispatcher = dispatcher;
  }

  /**
   * A shutdown that ran out of time leaves close events behind, for which `handleClose` must still
   * run.
   */
  async #finishEvents(): Promise<void> {
    try {
      await this.ready;
    } catch {
      return;
    }
    do {
      this.#hasMore = false;
      native.drain();
      await this.#dispatcher?.idle();
    } while (this.#hasMore);
  }

  async #handleStop(): Promise<void> {
    try {
      const { handleStop, scope, self } = this.#table;
      if (handleStop !== undefined) await scope.call(handleStop, self);
    } catch (error) {
      this.#table.report(error, 'handleStop', undefined);
    }
  }
}

let current: Registration | undefined;

export function currentRegistration(): Registration | undefined {
  return current;
}

/**
 * Makes this thread a worker.
 *
 * @param call the name of the call, for messages
 * @param implicit the module has no handlers, and a later registration may replace this one
 * @param holders where the handlers were found
 * @throws what `handleStart` throws; a `TypeError` if a handler is not a function;
 * ERR_WSBROKER_UNKNOWN_HANDLER if a handler is misspelled; ERR_WSBROKER_CONFLICT if the thread is
 * already a worker; ERR_WSBROKER_WORKER_FAILED if `start` has given up the module that calls
 */
export function register(
  call: string,
  handlers: unknown,
  implicit = false,
  holders?: readonly unknown[],
): Registration {
  const table = handlerTable(call, handlers, holders);
  checkSameCopy();
  if (!thread.loading) checkLate();
  if (current?.implicit === false) {
    throw new WSBrokerError(
      'ERR_WSBROKER_CONFLICT',
      `${call}: this thread has already registered handlers; ${START_OVER}`,
    );
  }
  const started =
    table.handleStart === undefined ? undefined : table.scope.call(table.handleStart, table.self);
  current = new Registration(table, started, implicit, current);
  return current;
}

/** @throws the error with which `start` gave up the module that calls, if it did */
function checkLate(): void {
  if (thread.late.size === 0) return;
  const stack = String(new Error('who calls?').stack);
  for (const { names, error } of thread.late) {
    if (names.some((name) => stack.includes(`${name}:`))) throw error;
  }
}
