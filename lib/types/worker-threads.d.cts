import type { URL } from '../ambient.cjs';
import type { HandlerName } from './worker-interface.cjs';
/** The argument of {@link StartOptions.onWorker}. */
export interface WorkerEvent {
    /**
     * `started`: the worker takes connections from now on.
     *
     * `died`: the worker ended although its application had not been asked to. Its connections stay
     * open and move to other workers, and a new worker is being started.
     *
     * `failed`: a replacement did not load. Another attempt follows.
     *
     * `stuck`: the worker has not returned to its event loop for as long as
     * {@link StartOptions.watchdog} says, usually because a handler does not return. New connections
     * go to other workers until it takes events again. Reported once each time, also for workers on
     * threads of your own.
     *
     * `stopped`: the worker ended because of {@link shutdown} or {@link reloadWorkers}. Then `reason`
     * is present if it did not end by itself after its handlers had settled: it crashed, hung, or was
     * not done in time. The events that its handlers were at are not run again.
     */
    readonly type: 'started' | 'died' | 'failed' | 'stuck' | 'stopped';
    /** The thread's `threadId` of `node:worker_threads`. */
    readonly workerId: number;
    /** Why, with `died`, `failed`, `stuck`, and with a `stopped` that was not orderly. */
    readonly reason?: Error;
    /**
     * With `stuck`: the handler that has not returned. Absent if no handler has: then a timer or the
     * continuation of a promise has the thread, or code that JavaScript has called.
     */
    readonly handler?: HandlerName;
    /** With `stuck`: the socket of that handler's event. */
    readonly socketId?: number;
    /** With `stuck`: for how many milliseconds the worker has taken nothing, about. */
    readonly duration?: number;
    /**
     * With `died`: how many clients of the worker's server helpers were not reported to any
     * `clientDisconnectedFn`, because there was no other helper of the same identifier. Absent if
     * there are none.
     */
    readonly untoldClients?: number;
}
/** What is done about workers that do not return to their event loop. */
export interface Watchdog {
    /**
     * For how many milliseconds a worker may stay away from its event loop, 100 to 2^31-1. With
     * `watchdog` given, workers for which nothing waits are watched as well: they are woken four
     * times within this time, and at least four times a second. Without it, only those for which an
     * event waits, and those that {@link reloadWorkers} has to end. @default 1000
     */
    readonly after?: number | undefined;
    /**
     * `'report'`: `onWorker` is told, and new connections go to other workers. `'replace'`: besides,
     * a worker of the pool is ended and another one started. Its connections move to other workers
     * with all events that it has not begun; the event in hand is not run again. Native code that
     * does not return cannot be interrupted: then the connections move without the events that the
     * worker has fetched, and the thread is left behind. @default 'report'
     */
    readonly action?: 'report' | 'replace' | undefined;
}
/** Options of {@link reloadWorkers}. */
export interface ReloadOptions {
    /** Another module, as the option of {@link start}. @default the module that the workers have */
    readonly workerPath?: string | URL | undefined;
    /** How many worker threads there are from now on, 1 to 1024. @default as many as there are */
    readonly threads?: number | undefined;
    /**
     * Milliseconds that handlers of the old workers have to settle and `handleStop` has, from when
     * the new workers have begun, 0 to 2^31-1. A worker that is not done by then is cut.
     * @default 30000
     */
    readonly timeout?: number | undefined;
}
/** What {@link reloadWorkers} resolves to. */
export interface ReloadReport {
    /** Worker threads that were started. */
    readonly started: number;
    /** Worker threads that have ended. */
    readonly stopped: number;
    /**
     * Those of them that were not done in time, crashed, or were ended by the watchdog. Their
     * connections have moved all the same; the events that their handlers were at are not run again.
     */
    readonly cut: number;
    /**
     * Connections that could not move and were closed with 1012: clients of server helpers in the old
     * threads, and connections of `wsbroker/channels`, `wsbroker/crossws` and `wsbroker/nest`.
     */
    readonly closed: number;
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
    /**
     * For development: whether the workers are reloaded ({@link reloadWorkers}) when a file changes
     * that they have loaded. Files below `node_modules` and files that the code reads by itself are
     * not watched; on Bun neither is what is imported after the module has loaded, and with Node
     * before 18.19 or from 20.0 to 20.5 only the module and what CommonJS requires. What happened is
     * written to stderr. `wsbroker dev` uses it. @default false
     */
    readonly watch?: boolean | undefined;
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
