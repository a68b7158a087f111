import { SHARE_ENV, type ResourceLimits } from 'node:worker_threads';
/** Checked and copied, as `Worker` takes it. */
export interface PoolThreads {
    readonly workerData: unknown;
    readonly options: {
        readonly env?: NodeJS.ProcessEnv | typeof SHARE_ENV;
        readonly execArgv?: string[];
        readonly resourceLimits?: ResourceLimits;
        readonly name?: string;
    };
}
export declare const NO_THREAD_OPTIONS: PoolThreads;
/**
 * @throws {TypeError | RangeError | WSBrokerError} naming the option, what was expected and what
 * came
 */
export declare function poolThreads(call: string, value: unknown): PoolThreads;
/** Whether a pool that runs already is what was asked for. */
export declare function sameThreads(one: PoolThreads, other: PoolThreads): boolean;
/** What Node says about flags, which it does only when a thread is started. */
export declare function threadFailed(error: unknown): unknown;
