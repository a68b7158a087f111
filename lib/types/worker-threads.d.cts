/** Told to {@link StartOptions.onWorker}. */
export interface WorkerEvent {
    /**
     * `started`: takes connections from now on. `died`: ended though nobody asked it to; its
     * connections stay open and move to others, and a new worker is on its way. `failed`: a
     * replacement did not load; the next try follows. `stuck`: something has waited for it for a
     * second, and it has taken nothing in that time; a handler that does not return is the usual
     * cause. New connections go to other workers until it takes something again. Told once each time,
     * also about workers on threads of your own. `stopped`: ended because of {@link shutdown}.
     */
    readonly type: 'started' | 'died' | 'failed' | 'stuck' | 'stopped';
    /** The thread's `threadId`, as `node:worker_threads` counts. */
    readonly workerId: number;
    /** With `died`, `failed` and `stuck`: why. */
    readonly reason?: Error;
    /**
     * With `died`: the number of its server helpers' clients for which no `clientDisconnectedFn`
     * could be called, since there was no other helper of the same identifier. Absent when there are
     * none.
     */
    readonly untoldClients?: number;
}
/** What the threads of the pool are started with, as `Worker` of `node:worker_threads` takes it. */
export interface ThreadOptions {
    /**
     * What the worker module gets as `workerData` of `node:worker_threads`, cloned when `start` is
     * called, and again for each thread (a `SharedArrayBuffer` is shared). Default `{}`.
     */
    readonly workerData?: unknown;
    /**
     * `process.env` of the threads, to which `WSBROKER_BINARY` is added if this process has it;
     * `SHARE_ENV` of `node:worker_threads` shares the environment of the thread that calls `start`.
     * Default: a copy of it.
     */
    readonly env?: Readonly<Record<string, string | undefined>> | symbol | undefined;
    /**
     * Node flags for the threads, such as `['--no-warnings']`; Bun ignores most of them. Default:
     * those of the process.
     */
    readonly execArgv?: readonly string[] | undefined;
    /**
     * Limits on the memory of each thread, in MiB. A worker that exceeds them ends, and is replaced.
     * Bun ignores them. Default: Node's.
     */
    readonly resourceLimits?: ThreadLimits | undefined;
    /** The threads' name in debuggers and similar tools. Node 18.16 and later. Default: ''. */
    readonly name?: string | undefined;
}
/** In MiB, each above 0. */
export interface ThreadLimits {
    /** The heap of long-lived objects. */
    readonly maxOldGenerationSizeMb?: number | undefined;
    /** The heap of new objects. */
    readonly maxYoungGenerationSizeMb?: number | undefined;
    /** Memory for compiled code. */
    readonly codeRangeSizeMb?: number | undefined;
    /** The stack. If it is too small, the process ends. Node's default is 4. */
    readonly stackSizeMb?: number | undefined;
}
