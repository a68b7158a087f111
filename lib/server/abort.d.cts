/** @throws the signal's reason, if it has been aborted */
export declare function throwIfAborted(signal: AbortSignal): void;
/**
 * Waits for the promise, but no longer than until the signal is aborted.
 *
 * @throws the signal's reason
 */
export declare function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T>;
