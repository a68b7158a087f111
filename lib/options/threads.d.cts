import { type ResourceLimits, SHARE_ENV } from 'node:worker_threads';
/** Checked and copied, as `Worker` takes it. */
export interface CheckedThreadOptions {
    readonly workerData: unknown;
    readonly options: {
        readonly env?: NodeJS.ProcessEnv | typeof SHARE_ENV;
        readonly execArgv?: string[];
        readonly resourceLimits?: ResourceLimits;
        readonly name?: string;
    };
}
export declare const NO_THREAD_OPTIONS: CheckedThreadOptions;
/**
 * @throws {TypeError | RangeError | WSBrokerError} naming the option, what was expected and what
 * came
 */
export declare function checkThreadOptions(call: string, value: unknown): CheckedThreadOptions;
/** Whether a pool that runs already is what was asked for. */
export declare function sameThreadOptions(one: CheckedThreadOptions, other: CheckedThreadOptions): boolean;
/** What Node says about flags, which it does only when a thread is started. */
export declare function explainThreadError(error: unknown): unknown;
