import { WSBrokerError, WSBrokerRangeError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { conflictWithEarlier, START_OVER } from '../options/advice.cjs';
import type { CheckedStartOptions } from '../options/start.cjs';
import {
  type CheckedThreadOptions,
  explainThreadError,
  NO_THREAD_OPTIONS,
  sameThreadOptions,
} from '../options/threads.cjs';
import { Pool } from '../pool/pool.cjs';
import { errorText } from '../report.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
import { explainLoadError } from '../worker/load-errors.cjs';
import { loadWorker } from '../worker/modules.cjs';
import { currentRegistration, type Registration } from '../worker/register.cjs';
import { unlessAborted } from './abort.cjs';

// The workers that `start` calls of this thread have started.

/** Where the module's handlers run: on the threads of a pool, or on this thread. */
type Workers =
  | { readonly pool: Pool }
  | { readonly file: string; readonly registration: Registration };

let workers: Workers | undefined;

export function hasWorkers(): boolean {
  return workers !== undefined;
}

export function currentPool(): Pool | undefined {
  return workers !== undefined && 'pool' in workers ? workers.pool : undefined;
}

/** To be called when they have been stopped. */
export function forgetWorkers(): void {
  workers = undefined;
}

/**
 * Checks that a call of `start` agrees with the workers that there are.
 *
 * @throws {WSBrokerError | RangeError} it does not, or there would be no worker
 */
export function checkWorkers(
  file: string | undefined,
  threads: number | undefined,
  given: CheckedThreadOptions | undefined,
): void {
  if (given !== undefined && workers !== undefined) {
    if (!('pool' in workers && sameThreadOptions(workers.pool.given, given))) {
      throw new WSBrokerError(
        'ERR_WSBROKER_CONFLICT',
        'start: "worker" applies to the whole process, and an earlier start gave other values; ' +
          START_OVER,
      );
    }
  }
  if (given !== undefined && workers === undefined && file === undefined) {
    throw new WSBrokerRangeError(
      'start: "worker" requires "workerPath", the module that the worker threads load',
    );
  }
  if (file === undefined) {
    if (workers !== undefined || currentRegistration() !== undefined || native.workerCount() > 0) {
      return;
    }
    throw new WSBrokerError(
      'ERR_WSBROKER_NO_WORKER',
      'start: "workerPath" is missing, and no worker is registered; pass "workerPath", the module ' +
        'with your handlers, or call registerWorkerThread with them first',
    );
  }
  if (workers === undefined) {
    if (threads !== 0 || currentRegistration() === undefined) return;
    throw new WSBrokerError(
      'ERR_WSBROKER_CONFLICT',
      'start: "threads" is 0, but this thread has already registered handlers; leave out ' +
        '"workerPath" to use those, or "threads" to start worker threads',
    );
  }
  const loaded = 'pool' in workers ? workers.pool.file : workers.file;
  if (loaded !== file) throw conflictWithEarlier('workerPath', loaded, file);
  const running = 'pool' in workers ? workers.pool.threads : 0;
  if (threads !== undefined && threads !== running) {
    throw conflictWithEarlier('threads', running, threads);
  }
}

/** What {@link startWorkers} needs of the `start` that calls it. */
export interface WorkersHost {
  readonly signal: AbortSignal;
  /** The functions of `onWorker`. */
  readonly watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>;
  /** Steps that undo what has been done, if the start fails. */
  readonly undo: (() => unknown)[];
  /** How many milliseconds `handleStop` has then. */
  undoTimeout(): number;
}

/**
 * Resolves when the workers are ready, those that this call starts and those that there are.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED
 */
export async function startWorkers(
  file: string | undefined,
  options: CheckedStartOptions,
  { signal, watchers, undo, undoTimeout }: WorkersHost,
): Promise<void> {
  const { threads } = options.process;
  try {
    await unlessAborted(signal, currentRegistration()?.ready ?? Promise.resolve());
    if (file === undefined || workers !== undefined) return;
    if (threads === 0) {
      const loading = loadWorker(file, options.startTimeout);
      const stopWhenLoaded = (): void =>
        void loading.then(
          (late) => late.stop(undoTimeout()),
          () => undefined,
        );
      undo.push(stopWhenLoaded);
      workers = { file, registration: await unlessAborted(signal, loading) };
    } else {
      const count = threads ?? Math.max(4, native.brokerDefaults().cpus);
      const given = options.threads ?? NO_THREAD_OPTIONS;
      const pool = new Pool(file, count, given, watchers, options.startTimeout);
      undo.push(() => pool.stop(undoTimeout()));
      await unlessAborted(signal, pool.start());
      workers = { pool };
    }
    undo.push(forgetWorkers);
  } catch (error) {
    throw await explain(file, error, signal);
  }
}

/** The error of a worker that did not load, with what to do about it. */
export async function explain(
  file: string | undefined,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const refused = explainThreadError(error);
  if (refused !== error || (signal.aborted && error === signal.reason)) return refused;
  const own = error instanceof WSBrokerError ? error.cause : error;
  const more =
    file === undefined
      ? ''
      : await unlessAborted(signal, explainLoadError(file, own)).catch(() => '');
  if (error instanceof WSBrokerError && error.code === 'ERR_WSBROKER_WORKER_FAILED') {
    error.message += more;
    return error;
  }
  const message: unknown = (error as { message?: unknown } | null | undefined)?.message;
  const what = typeof message === 'string' ? message : errorText(error);
  return new WSBrokerError(
    'ERR_WSBROKER_WORKER_FAILED',
    `start: worker ${file ?? 'of this thread'} failed to load: ${what}${more}`,
    { cause: error },
  );
}
