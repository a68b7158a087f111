import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { fromPortable, WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { loadTimeout } from '../worker/modules.cjs';
import { complain, errorText, warnOnce } from '../report.cjs';
import type { PoolThreads } from '../options/threads.cjs';
import { within } from '../promises.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
import type { FromWorker, ToWorker, WorkerStart } from './thread.cjs';

/**
 * A worker that lived this long did not die of its start: the next replacement comes at once again.
 */
const STEADY = 10_000;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;

/**
 * The last part of the time to stop in, at most: a thread that has not ended by itself is ended
 * from outside.
 */
const LAST = 250;

/**
 * The worker threads of a process: started together, each replaced when it ends though nobody
 * asked, stopped together. The threads keep nobody alive; who started them does that, as long as a
 * server listens.
 */
export class Pool {
  readonly #members = new Set<Member>();
  /** Replacements that wait, and how to start them. */
  readonly #pauses = new Map<NodeJS.Timeout, () => void>();
  #hurried = false;
  #stopping = false;

  /**
   * @param given what the threads are started with
   * @param watchers told of every start and end; they come and go while it runs
   * @param startTimeout milliseconds for a thread to load the module, 0 = no limit
   */
  constructor(
    readonly file: string,
    readonly threads: number,
    readonly given: PoolThreads,
    readonly watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>,
    readonly startTimeout: number,
  ) {}

  /**
   * Resolves when every worker is ready.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED with the first failure as `cause`; the
   * others are to be stopped then
   */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.threads }, () => this.#launch(0).ready));
  }

  /**
   * A shutdown has begun. While no worker is there, events wait for one, and there is no time for
   * pauses.
   */
  hurry(): void {
    this.#hurried = true;
    const [first] = this.#pauses;
    if (this.#members.size > 0 || first === undefined) return;
    clearTimeout(first[0]);
    first[1]();
  }

  /**
   * Ends all threads within `timeout` milliseconds; `handleStop` has a quarter of it at least.
   * Never rejects.
   */
  async stop(timeout: number): Promise<void> {
    this.#stopping = true;
    for (const pause of this.#pauses.keys()) clearTimeout(pause);
    await Promise.all([...this.#members].map((member) => member.stop(timeout)));
  }

  #launch(failures: number): Member {
    const member = new Member(this.file, this.given, this.startTimeout);
    this.#members.add(member);
    member.ready.then(
      () => this.#tell({ type: 'started', workerId: member.id }),
      () => undefined,
    );
    void member.ended.then((reason) => {
      this.#members.delete(member);
      if (this.#stopping) {
        if (member.wasReady) this.#tell({ type: 'stopped', workerId: member.id });
      } else if (member.wasReady)
        this.#replace(member, 'died', reason, member.age() >= STEADY ? 0 : failures);
      else if (failures > 0) this.#replace(member, 'failed', reason, failures);
    });
    return member;
  }

  #replace(member: Member, type: 'died' | 'failed', reason: WSBrokerError, failures: number): void {
    const longest = this.#hurried && this.#members.size === 0 ? FIRST_PAUSE : LONGEST_PAUSE;
    const pause = failures === 0 ? 0 : Math.min(longest, FIRST_PAUSE * 2 ** (failures - 1));
    const launch = (): void => {
      this.#pauses.delete(timer);
      this.#launch(failures + 1).ready.catch(() => undefined);
    };
    const timer = setTimeout(launch, pause);
    timer.unref?.();
    this.#pauses.set(timer, launch);
    if (this.watchers.size === 0)
      complain(`worker ${member.id} ${type}; another is started in ${pause} ms`, reason);
    const untoldClients = native.clientsLeftBy(member.id);
    this.#tell({ type, workerId: member.id, reason, ...(untoldClients > 0 && { untoldClients }) });
  }

  #tell(event: WorkerEvent): void {
    tellWatchers(this.watchers.values(), event);
  }
}

/** Calls all of them; one that throws is reported. */
export function tellWatchers(
  watchers: Iterable<(event: WorkerEvent) => void>,
  event: WorkerEvent,
): void {
  for (const watcher of watchers) {
    try {
      watcher(event);
    } catch (error) {
      complain('onWorker failed', error);
    }
  }
}

/** One thread. */
class Member {
  readonly id: number;
  /** Rejects if the thread fails or ends before it is ready. */
  readonly ready: Promise<void>;
  /** Resolves with the reason when the thread has ended. */
  readonly ended: Promise<WSBrokerError>;
  wasReady = false;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #born = performance.now();
  #error: unknown;

  constructor(file: string, { workerData, options }: PoolThreads, startTimeout: number) {
    const { port1, port2 } = new MessageChannel();
    const wsbroker: WorkerStart = { file, port: port2, workerData };
    const worker = new Worker(join(__dirname, 'thread.cjs'), {
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
            `worker ${this.id} (${file}) ended with code ${code}`,
          ),
        );
      });
    });
    this.ready = new Promise((resolve, reject) => {
      const fail = (): void => {
        this.#error = loadTimeout(file, startTimeout);
        reject(this.#error as WSBrokerError);
        void worker.terminate();
      };
      let late: NodeJS.Immediate | undefined;
      // Behind the messages that are there, should this thread itself have been busy.
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
            `worker ${file} ended with code ${code} before it was ready`,
          ),
        ),
      );
    });
    worker.unref();
    port1.unref();
  }

  age(): number {
    return performance.now() - this.#born;
  }

  /**
   * Lets a ready one run `handleStop` first. A thread that cannot be ended, because a system call
   * blocks it, is left behind.
   */
  async stop(timeout: number): Promise<void> {
    const deadline = performance.now() + timeout;
    const last = Math.min(LAST, timeout / 4);
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
