/** The argument of {@link StartOptions.onWorker}. */
export interface WorkerEvent {
  /**
   * `started`: the worker takes connections from now on.
   *
   * `died`: the worker ended although nothing asked it to. Its connections stay open and move to
   * other workers, and a new worker is being started.
   *
   * `failed`: a replacement did not load. Another attempt follows.
   *
   * `stuck`: events have waited for the worker for a second and it has taken none, usually because
   * a handler does not return. New connections go to other workers until it takes events again.
   * Reported once each time, also for workers on threads of your own.
   *
   * `stopped`: the worker ended because of {@link shutdown}.
   */
  readonly type: 'started' | 'died' | 'failed' | 'stuck' | 'stopped';
  /** The thread's `threadId` of `node:worker_threads`. */
  readonly workerId: number;
  /** Why, with `died`, `failed` and `stuck`. */
  readonly reason?: Error;
  /**
   * With `died`: how many clients of the worker's server helpers were not reported to any
   * `clientDisconnectedFn`, because there was no other helper of the same identifier. Absent if
   * there are none.
   */
  readonly untoldClients?: number;
}

/** How the threads of the pool are started: options of `Worker` of `node:worker_threads`. */
export interface ThreadOptions {
  /**
   * What the worker module gets as `workerData` of `node:worker_threads`. It is cloned when `start`
   * is called, and again for each thread; a `SharedArrayBuffer` is shared. @default {}
   */
  readonly workerData?: unknown;
  /**
   * `process.env` of the threads. `WSBROKER_BINARY` is added if this process has it. `SHARE_ENV` of
   * `node:worker_threads` shares the environment of the thread that calls `start`.
   * @default a copy of the environment of the thread that calls `start`
   */
  readonly env?: Readonly<Record<string, string | undefined>> | symbol | undefined;
  /**
   * Node flags for the threads, such as `['--no-warnings']`. Bun ignores most of them.
   * @default those of the process
   */
  readonly execArgv?: readonly string[] | undefined;
  /**
   * Limits on the memory of each thread. A worker that exceeds them ends and is replaced. Bun
   * ignores them. @default Node's
   */
  readonly resourceLimits?: ThreadLimits | undefined;
  /** The threads' name in debuggers and similar tools. Needs Node 18.16. @default '' */
  readonly name?: string | undefined;
}

/** Limits on the memory of a thread, in MiB, each greater than 0 and less than 2^31. */
export interface ThreadLimits {
  /** The heap of long-lived objects. @default Node's */
  readonly maxOldGenerationSizeMb?: number | undefined;
  /** The heap of new objects. @default Node's */
  readonly maxYoungGenerationSizeMb?: number | undefined;
  /** Memory for compiled code. @default Node's */
  readonly codeRangeSizeMb?: number | undefined;
  /** The stack. If it is too small, the process crashes. @default Node's, which is 4 */
  readonly stackSizeMb?: number | undefined;
}
