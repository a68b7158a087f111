import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { fromPortable, WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import type { CheckedThreadOptions } from '../options/threads.cjs';
import { LIB } from '../package-folders.cjs';
import { within } from '../promises.cjs';
import { errorText, reportError, warnOnce } from '../report.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
import { loadTimeoutError } from '../worker/modules.cjs';
import type { FromWorker, ToWorker, WorkerStart } from './thread.cjs';

/**
 * A worker that ran for this many milliseconds did not fail at its start: its replacement is
 * started at once.
 */
const STABLE_AFTER = 10_000;
/** Milliseconds before the first replacement that follows a failure, doubled each time. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;

/**
 * How many milliseconds of the time for stopping are kept, at most, to terminate a thread that has
 * not ended by itself.
 */
const MAX_FOR_TERMINATION = 250;

/**
 * The worker threads of a process. They are started together and stopped together, and each is
 * replaced if it ends in between. The threads do not keep the process alive; its servers do.
 */
export class Pool {
  readonly #running = new Set<PoolThread>();
  /** Replacements that are due later, and the functions that start them. */
  readonly #pauses = new Map<NodeJS.Timeout, () => void>();
  #hurried = false;
  #stopping = false;

  /**
   * @param given how the threads are started
   * @param watchers called for every start and end; they may change while the pool runs
   * @param startTimeout how long a thread may take to load the module, in milliseconds; 0: no limit
   */
  constructor(
    readonly file: string,
    readonly threads: number,
    readonly given: CheckedThreadOptions,
    readonly watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>,
    readonly startTimeout: number,
  ) {}

  /**
   * Resolves when every worker is ready.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED, with the first failure as `cause`; the
   * other threads must then be stopped
   */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.threads }, () => this.#launch(0).ready));
  }

  /**
   * A shutdown has begun. If there is no worker, events wait for one, and there is no time for
   * pauses.
   */
  hurry(): void {
    this.#hurried = true;
    const [first] = this.#pauses;
    if (this.#running.size > 0 || first === undefined) return;
    clearTimeout(first[0]);
    first[1]();
  }

  /**
   * Ends all threads within `timeout` milliseconds, of which `handleStop` has at least a quarter.
   * Never rejects.
   */
  async stop(timeout: number): Promise<void> {
    this.#stopping = true;
    for (const pause of this.#pauses.keys()) clearTimeout(pause);
    await Promise.all([...this.#running].map((thread) => thread.stop(timeout)));
  }

  #launch(failures: number): PoolThread {
    const thread = new PoolThread(this.file, this.given, this.startTimeout);
    this.#running.add(thread);
    thread.ready.then(
      () => this.#notify({ type: 'started', workerId: thread.id }),
      () => undefined,
    );
    void thread.ended.then((reason) => {
      this.#running.delete(thread);
      if (this.#stopping) {
        if (thread.wasReady) this.#notify({ type: 'stopped', workerId: thread.id });
      } else if (thread.wasReady) {
        this.#replace(thread, 'died', reason, thread.age() >= STABLE_AFTER ? 0 : failures);
      } else if (failures > 0) {
        this.#replace(thread, 'failed', reason, failures);
      }
    });
    return thread;
  }

  #replace(
    thread: PoolThread,
    type: 'died' | 'failed',
    reason: WSBrokerError,
    failures: number,
  ): void {
    const longest = this.#hurried && this.#running.size === 0 ? FIRST_PAUSE : LONGEST_PAUSE;
    const pause = failures === 0 ? 0 : Math.min(longest, FIRST_PAUSE * 2 ** (failures - 1));
    const launch = (): void => {
      this.#pauses.delete(timer);
      this.#launch(failures + 1).ready.catch(() => undefined);
    };
    const timer = setTimeout(launch, pause);
    timer.unref?.();
    this.#pauses.set(timer, launch);
    if (this.watchers.size === 0) {
      reportError(`worker ${thread.id} ${type}; starting another in ${pause} ms`, reason);
    }
    const untoldClients = native.clientsLeftBy(thread.id);
    this.#notify({
      type,
      workerId: thread.id,
      reason,
      ...(untoldClients > 0 && { untoldClients }),
    });
  }

  #notify(event: WorkerEvent): void {
    notifyWatchers(this.watchers.values(), event);
  }
}

/** Calls all of them. Their errors are reported. */
export function notifyWatchers(
  watchers: Iterable<(event: WorkerEvent) => void>,
  event: WorkerEvent,
): void {
  for (const watcher of watchers) {
    try {
      watcher(event);
    } catch (error) {
      reportError('onWorker failed', error);
    }
  }
}

/** @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED: a bundle has only its own files */
function threadFile(): string {
  let entry: unknown;
  try {
    // Tools that trace files follow this.
    entry = require.resolve('./thread.cjs');
  } catch {
    entry = join(LIB, 'thread.cjs');
  }
  // Some bundlers put a number of their own there.
  if (typeof entry === 'string' && existsSync(entry)) return entry;
  throw new WSBrokerError(
    'ERR_WSBROKER_WORKER_FAILED',
    `start: the file that the threads of the pool run, thread.cjs, is missing: wsbroker is in a ` +
      'bundle. Leave it out (with esbuild: --external:wsbroker), or run the handlers on the ' +
      'calling thread (threads: 0)',
  );
}

/** One thread. */
class PoolThread {
  readonly id: number;
  /** Rejects if the thread fails or ends before it is ready. */
  readonly ready: Promise<void>;
  /** Resolves with the reason when the thread has ended. */
  readonly ended: Promise<WSBrokerError>;
  wasReady = false;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #startedAt = performance.now();
  #error: unknown;

  constructor(file: string, { workerData, options }: CheckedThreadOptions, startTimeout: number) {
    const { port1, port2 } = new MessageChannel();
    const wsbroker: WorkerStart = { file, port: port2, workerData };
    const worker = new Worker(threadFile(), {
      ...options,
      workerData: { wsbroker },
      transferList: [port2],
    });
    this.#worker = worker;
    this.#port = port1;
    this.id = worker.threadId;
    worker.on('error', (error) => (this.#error ??= error));
    this.ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        port1.close();
        resolve(
          this.#reason(
            'ERR_WSBROKER_WORKER_DIED',
            `worker ${this.id} (${file}) exited with code ${code}`,
          ),
        );
      });
    });
    this.ready = new Promise((resolve, reject) => {
      const fail = (): void => {
        this.#error = loadTimeoutError(file, startTimeout);
        reject(this.#error as WSBrokerError);
        void worker.terminate();
      };
      let late: NodeJS.Immediate | undefined;
      // After messages that have already arrived, in case this thread itself was busy.
      const loading =
        startTimeout === 0
          ? undefined
          : setTimeout(() => (late = setImmediate(fail)), startTimeout);
      loading?.unref?.();
      const loaded = (): void => {
        clearTimeout(loading);
        clearImmediate(late);
      };
      worker.on('exit', loaded);
      port1.on('message', (message: FromWorker) => {
        if (message.type === 'warning') return warnOnce(message.text);
        loaded();
        if (message.type === 'loaded') return;
        if (message.type === 'ready') {
          this.wasReady = true;
          resolve();
        } else {
          this.#error = fromPortable(message.error);
          reject(this.#reason('ERR_WSBROKER_WORKER_FAILED', `worker ${file} failed to load`));
          void worker.terminate();
        }
      });
      worker.on('exit', (code) =>
        reject(
          this.#reason(
            'ERR_WSBROKER_WORKER_FAILED',
            `worker ${file} exited with code ${code} before it was ready`,
          ),
        ),
      );
    });
    worker.unref();
    port1.unref();
  }

  age(): number {
    return performance.now() - this.#startedAt;
  }

  /**
   * Lets the worker run `handleStop` first, if it is ready. A thread that a system call blocks
   * cannot be ended and is left behind.
   */
  async stop(timeout: number): Promise<void> {
    const deadline = performance.now() + timeout;
    const last = Math.min(MAX_FOR_TERMINATION, timeout / 4);
    if (this.wasReady) {
      this.#port.postMessage({ type: 'stop', timeout: timeout - 2 * last } satisfies ToWorker);
      if (await within(timeout - last, this.ended)) return;
    }
    await within(deadline - performance.now(), this.#worker.terminate());
  }

  #reason(
    code: 'ERR_WSBROKER_WORKER_DIED' | 'ERR_WSBROKER_WORKER_FAILED',
    what: string,
  ): WSBrokerError {
    const error = this.#error;
    if (error === undefined) return new WSBrokerError(code, what);
    const message: unknown = (error as { message?: unknown } | null)?.message;
    return new WSBrokerError(
      code,
      `${what}: ${typeof message === 'string' ? message : errorText(error)}`,
      { cause: error },
    );
  }
}
