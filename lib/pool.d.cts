import type { PoolThreads } from './thread-options.cjs';
import type { WorkerEvent } from './types.cjs';
/**
 * The worker threads of a process: started together, each replaced when it ends though nobody asked, stopped together. The threads keep nobody alive; who
 * started them does that, as long as a server listens.
 */
export declare class Pool {
    #private;
    readonly file: string;
    readonly threads: number;
    readonly given: PoolThreads;
    readonly watchers: ReadonlySet<(event: WorkerEvent) => void>;
    /**
     * @param given what the threads are started with
     * @param watchers told of every start and end; they come and go while it runs
     */
    constructor(file: string, threads: number, given: PoolThreads, watchers: ReadonlySet<(event: WorkerEvent) => void>);
    /**
     * Resolves when every worker is ready.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED with the first failure as `cause`; the others are to be stopped then
     */
    start(): Promise<void>;
    /** Ends all threads: `handleStop` has `timeout` milliseconds. Never rejects. */
    stop(timeout: number): Promise<void>;
}
