// Not the global one: environments like a browser's, of test runners, have none.
import { setImmediate } from 'node:timers';
import { isMainThread } from 'node:worker_threads';
import { START_OVER } from '../options/advice.cjs';
import { checkPool, isInPool } from '../native/copies.cjs';
import { createDispatcher, type Dispatcher } from './dispatch.cjs';
import { WSBrokerError } from '../errors.cjs';
import { handlerTable, type HandlerTable } from './handlers.cjs';
import { native } from '../native/load.cjs';
import { isThenable } from '../promises.cjs';
import { within } from '../promises.cjs';

/** What this thread is to the pool. */
export const thread = {
  /** It belongs to a pool, which another thread watches. */
  inPool: isInPool(),
  /** A `start` waits for this thread's handlers and hears of a `handleStart` that fails. */
  loading: false,
};

/** For threads of the user's own, whose broker another thread has shut down. */
const GOODBYE_TIMEOUT = 10_000;

/** This thread as a worker. */
export class Registration {
  /** Resolves when `handleStart` is done and events may come; rejects with its error. */
  readonly ready: Promise<void>;
  /** Nobody asked for it: a later `registerWorkerThread` takes its place. */
  readonly implicit: boolean;
  readonly #table: HandlerTable;
  #dispatcher: Dispatcher | undefined;
  #dropped = false;
  #rested: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  /** The addon had no time to hand over everything, and asked for another turn. */
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
      if (!this.#dropped) this.#attach();
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

  /**
   * Runs the events that have come, waits for their handlers, runs `handleStop`, all within
   * `timeout`, and lets go of the addon. Handlers that do not settle have half of it: then what
   * waits behind them is run all the same, ends of connections among it. Never rejects.
   */
  async stop(timeout: number): Promise<void> {
    this.#rested ??= this.#rest();
    if (!(await within(timeout / 2, this.#rested))) this.#dispatcher?.hurry();
    if (this.#dispatcher !== undefined) {
      this.#stopped ??= this.#handleStop();
      await within(timeout / 2, this.#stopped);
    }
    this.drop();
  }

  /** Lets go of the addon at once. */
  drop(): void {
    if (current === this) current = undefined;
    this.#dropped = true;
    if (this.#dispatcher === undefined) return;
    native.detachWorker();
    this.#dispatcher.stop();
    this.#dispatcher = undefined;
  }

  #attach(): void {
    const dispatcher = createDispatcher(native, this.#table, () => void this.stop(GOODBYE_TIMEOUT));
    // The main thread is kept alive by its servers, a pool's thread by its port, a thread of the
    // user's own by this.
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
   * A shutdown that ran out of time leaves close events behind, and each of them has a handler to
   * be told.
   */
  async #rest(): Promise<void> {
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
 * @param call who asks, for messages
 * @param implicit the module has no handlers, and a later registration may replace this one
 * @param holders where the handlers were found
 * @throws what `handleStart` throws; a `TypeError` if a handler is no function;
 * ERR_WSBROKER_UNKNOWN_HANDLER if one is misspelt; ERR_WSBROKER_CONFLICT if the thread is a worker
 * already
 */
export function register(
  call: string,
  handlers: unknown,
  implicit = false,
  holders?: readonly unknown[],
): Registration {
  const table = handlerTable(call, handlers, holders);
  checkPool();
  if (current?.implicit === false) {
    throw new WSBrokerError(
      'ERR_WSBROKER_CONFLICT',
      `${call}: this thread has registered its handlers already; ${START_OVER}`,
    );
  }
  const started =
    table.handleStart === undefined ? undefined : table.scope.call(table.handleStart, table.self);
  current = new Registration(table, started, implicit, current);
  return current;
}
