import type { PoolThreads } from '../options/threads.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
/**
 * The worker threads of a process: started together, each replaced when it ends though nobody
 * asked, stopped together. The threads keep nobody alive; who started them does that, as long as a
 * server listens.
 */
export declare class Pool {
    #private;
    readonly file: string;
    readonly threads: number;
    readonly given: PoolThreads;
    readonly watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>;
    readonly startTimeout: number;
    /**
     * @param given what the threads are started with
     * @param watchers told of every start and end; they come and go while it runs
     * @param startTimeout milliseconds for a thread to load the module, 0 = no limit
     */
    constructor(file: string, threads: number, given: PoolThreads, watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>, startTimeout: number);
    /**
     * Resolves when every worker is ready.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED with the first failure as `cause`; the
     * others are to be stopped then
     */
    start(): Promise<void>;
    /**
     * A shutdown has begun. While no worker is there, events wait for one, and there is no time for
     * pauses.
     */
    hurry(): void;
    /**
     * Ends all threads within `timeout` milliseconds; `handleStop` has a quarter of it at least.
     * Never rejects.
     */
    stop(timeout: number): Promise<void>;
}
/** Calls all of them; one that throws is reported. */
export declare function tellWatchers(watchers: Iterable<(event: WorkerEvent) => void>, event: WorkerEvent): void;
