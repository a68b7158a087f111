import { now } from '../clock.cjs';
import type { WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import type { CheckedThreadOptions } from '../options/threads.cjs';
import { within } from '../promises.cjs';
import { reportError } from '../report.cjs';
import type { ReloadReport, WorkerEvent } from '../types/worker-threads.cjs';
import { ImportReports } from './import-reports.cjs';
import { PoolThread, STABLE_AFTER } from './pool-thread.cjs';

/** Milliseconds before the first replacement that follows a failure, doubled each time. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;
/** A worker that has ended so many times in a row soon after its start makes `ready` false. */
const CRASH_LOOP = 3;
/** For `handleStop` of workers whose connections have left in the last moment, in milliseconds. */
const LEAST_FOR_STOP = 100;

/** A place in the pool: a thread, the one that replaces it, and so on. */
class Place {
  /** How many of them in a row have ended soon after their start. */
  failures = 0;
}

/**
 * The worker threads of a process. They are started together and stopped together, and each is
 * replaced if it ends in between. The threads do not keep the process alive; its servers do.
 */
export class Pool {
  readonly #running = new Set<PoolThread>();
  /** Replacements that are due later, and the functions that start them. */
  readonly #pauses = new Map<NodeJS.Timeout, () => void>();
  /** The files that its threads load, if they are watched. */
  readonly imports: ImportReports | undefined;
  /** Called when it is stopped. */
  onStopped: (() => void) | undefined;
  /** Places whose threads end again and again. */
  readonly #failing = new Set<Place>();
  #file: string;
  #threads: number;
  /** How often other threads have taken over. */
  #generation = 0;
  #hurried = false;
  #stopping = false;

  /**
   * @param given how the threads are started
   * @param watchers called for every start and end; they may change while the pool runs
   * @param startTimeout how long a thread may take to load the module, in milliseconds; 0: no limit
   */
  constructor(
    file: string,
    threads: number,
    readonly given: CheckedThreadOptions,
    readonly watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>,
    readonly startTimeout: number,
  ) {
    this.#file = file;
    this.#threads = threads;
    if (given.watch) this.imports = new ImportReports();
  }

  /** The module that its threads load. */
  get file(): string {
    return this.#file;
  }

  /** How many threads it keeps running. */
  get threads(): number {
    return this.#threads;
  }

  /**
   * Resolves when every worker is ready.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED, with the first failure as `cause`; the
   * other threads must then be stopped
   */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.#threads }, () => this.#launch().ready));
  }

  /**
   * Starts other threads, and has them take the place of those there are. Resolves when they have
   * done so; then `left` resolves when the old threads have ended.
   *
   * @param timeout how long the old threads may take to end, in milliseconds
   * @param unlessAborted may end the wait for the new threads with an error
   * @throws what `unlessAborted` throws, or ERR_WSBROKER_WORKER_FAILED: then nothing has changed
   */
  async takeOver(
    file: string,
    threads: number,
    timeout: number,
    unlessAborted: <T>(promise: Promise<T>) => Promise<T>,
  ): Promise<{ left: Promise<ReloadReport> }> {
    const fresh = Array.from({ length: threads }, () => this.#launch(new Place(), file));
    try {
      await unlessAborted(Promise.all(fresh.map(({ ready }) => ready)));
      for (const thread of fresh) if (!this.#running.has(thread)) throw await thread.ended;
    } catch (error) {
      await Promise.all(fresh.map((thread) => thread.terminate()));
      throw error;
    }
    this.#file = file;
    this.#threads = threads;
    this.#generation++;
    for (const pause of this.#pauses.keys()) clearTimeout(pause);
    this.#pauses.clear();
    await Promise.all(fresh.map((thread) => thread.begin()));
    for (const thread of fresh) this.#notify({ type: 'started', workerId: thread.id });
    this.#failing.clear();
    this.#tellFailing();
    const superseded = [...this.#running].filter(
      ({ generation }) => generation !== this.#generation,
    );
    for (const thread of superseded) thread.supersede();
    const deadline = now() + timeout;
    const left = Promise.all(superseded.map((thread) => this.#leave(thread, deadline)));
    return {
      left: left.then(async (cuts) => {
        const closed = await Promise.all(superseded.map((thread) => thread.closed()));
        return {
          started: threads,
          stopped: superseded.length,
          cut: cuts.filter((cut) => cut).length,
          closed: closed.reduce((sum, count) => sum + count, 0),
        };
      }),
    };
  }

  /** Ends a thread that does not return to its event loop. It is replaced. */
  async replaceStuck(id: number, reason: WSBrokerError): Promise<void> {
    const thread = [...this.#running].find((one) => one.id === id);
    await thread?.terminate(reason);
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
    this.onStopped?.();
    for (const pause of this.#pauses.keys()) clearTimeout(pause);
    await Promise.all([...this.#running].map((thread) => thread.stop(timeout)));
  }

  /** Lets a thread end whose place others have taken. Returns whether it was cut. */
  async #leave(thread: PoolThread, deadline: number): Promise<boolean> {
    const time = (): number => Math.max(0, deadline - now());
    if (!thread.wasReady) {
      await thread.terminate();
      return false;
    }
    if (!(await within(time(), thread.emptied()))) {
      await thread.cut();
      return true;
    }
    if (thread.broken) return true;
    return !(await thread.stop(Math.max(LEAST_FOR_STOP, time())));
  }

  /** @param next the module of a thread that is to take over: it is held until all are ready */
  #launch(place = new Place(), next?: string): PoolThread {
    const held = next !== undefined;
    const { given, startTimeout } = this;
    const thread = new PoolThread(next ?? this.#file, given, startTimeout, {
      generation: held ? this.#generation + 1 : this.#generation,
      held,
      imports: this.imports?.channel,
    });
    this.#running.add(thread);
    thread.onStable = () => this.#isStable(place);
    thread.ready.then(
      () => {
        if (!thread.held) this.#notify({ type: 'started', workerId: thread.id });
      },
      () => undefined,
    );
    void thread.ended.then((reason) => {
      this.#running.delete(thread);
      if (this.#stopping || thread.superseded) {
        if (thread.wasReady) this.#tellStopped(thread, reason);
      } else if (thread.held) {
        // It has not begun, and the take-over deals with that.
      } else if (thread.wasReady) {
        if (thread.age() >= STABLE_AFTER) place.failures = 0;
        this.#replace(thread, 'died', reason, place);
      } else if (place.failures > 0) {
        this.#replace(thread, 'failed', reason, place);
      }
    });
    return thread;
  }

  /** @param reason why it has ended, if it is {@link PoolThread.broken} */
  #tellStopped({ id, broken }: PoolThread, reason: WSBrokerError): void {
    if (broken && this.watchers.size === 0) {
      reportError(`worker ${id} had to be stopped before it was done`, reason);
    }
    this.#notify({ type: 'stopped', workerId: id, ...(broken && { reason }) });
  }

  #replace(
    thread: PoolThread,
    type: 'died' | 'failed',
    reason: WSBrokerError,
    place: Place,
  ): void {
    const { failures } = place;
    place.failures++;
    if (place.failures >= CRASH_LOOP) this.#failing.add(place);
    this.#tellFailing();
    const longest = this.#hurried && this.#running.size === 0 ? FIRST_PAUSE : LONGEST_PAUSE;
    const pause = failures === 0 ? 0 : Math.min(longest, FIRST_PAUSE * 2 ** (failures - 1));
    const launch = (): void => {
      this.#pauses.delete(timer);
      this.#launch(place);
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

  #isStable(place: Place): void {
    place.failures = 0;
    this.#failing.delete(place);
    this.#tellFailing();
  }

  #tellFailing(): void {
    native.setWorkersFail(this.#failing.size > 0);
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
