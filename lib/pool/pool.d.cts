import type { WSBrokerError } from '../errors.cjs';
import type { CheckedThreadOptions } from '../options/threads.cjs';
import type { ReloadReport, WorkerEvent } from '../types/worker-threads.cjs';
import { ImportReports } from './import-reports.cjs';
/**
 * The worker threads of a process. They are started together and stopped together, and each is
 * replaced if it ends in between. The threads do not keep the process alive; its servers do.
 */
export declare class Pool {
    #private;
    readonly given: CheckedThreadOptions;
    readonly watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>;
    readonly startTimeout: number;
    /** The files that its threads load, if they are watched. */
    readonly imports: ImportReports | undefined;
    /** Called when it is stopped. */
    onStopped: (() => void) | undefined;
    /**
     * @param given how the threads are started
     * @param watchers called for every start and end; they may change while the pool runs
     * @param startTimeout how long a thread may take to load the module, in milliseconds; 0: no limit
     */
    constructor(file: string, threads: number, given: CheckedThreadOptions, watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>, startTimeout: number);
    /** The module that its threads load. */
    get file(): string;
    /** How many threads it keeps running. */
    get threads(): number;
    /**
     * Resolves when every worker is ready.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED, with the first failure as `cause`; the
     * other threads must then be stopped
     */
    start(): Promise<void>;
    /**
     * Starts other threads, and has them take the place of those there are. Resolves when they have
     * done so; then `left` resolves when the old threads have ended.
     *
     * @param timeout how long the old threads may take to end, in milliseconds
     * @param unlessAborted may end the wait for the new threads with an error
     * @throws what `unlessAborted` throws, or ERR_WSBROKER_WORKER_FAILED: then nothing has changed
     */
    takeOver(file: string, threads: number, timeout: number, unlessAborted: <T>(promise: Promise<T>) => Promise<T>): Promise<{
        left: Promise<ReloadReport>;
    }>;
    /** Ends a thread that does not return to its event loop. It is replaced. */
    replaceStuck(id: number, reason: WSBrokerError): Promise<void>;
    /**
     * A shutdown has begun. If there is no worker, events wait for one, and there is no time for
     * pauses.
     */
    hurry(): void;
    /**
     * Ends all threads within `timeout` milliseconds, of which `handleStop` has at least a quarter.
     * Never rejects.
     */
    stop(timeout: number): Promise<void>;
}
/** Calls all of them. Their errors are reported. */
export declare function notifyWatchers(watchers: Iterable<(event: WorkerEvent) => void>, event: WorkerEvent): void;
