import { type ResourceLimits, SHARE_ENV } from 'node:worker_threads';
/** The options, checked and copied, as `Worker` takes them. */
export interface CheckedThreadOptions {
    readonly workerData: unknown;
    /** Whether a change of a file reloads them. */
    readonly watch: boolean;
    readonly options: {
        readonly env?: NodeJS.ProcessEnv | typeof SHARE_ENV;
        readonly execArgv?: string[];
        readonly resourceLimits?: ResourceLimits;
        readonly name?: string;
    };
}
export declare const NO_THREAD_OPTIONS: CheckedThreadOptions;
/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
export declare function checkThreadOptions(call: string, value: unknown): CheckedThreadOptions;
/** Whether a running pool has these options. */
export declare function sameThreadOptions(one: CheckedThreadOptions, other: CheckedThreadOptions): boolean;
/** Node checks flags only when it starts a thread. */
export declare function explainThreadError(error: unknown): unknown;
