/** Options of `reloadWorkers`, checked. */
export interface CheckedReloadOptions {
    readonly workerPath: string | undefined;
    readonly threads: number | undefined;
    readonly timeout: number;
}
/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
export declare function checkReloadOptions(options: unknown): CheckedReloadOptions;
