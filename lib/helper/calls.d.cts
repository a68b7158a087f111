import type { ValueOrPromise } from './types.cjs';
/**
 * Calls a function of the application, at once. One of `done` and `failed` is called: at once where a value was returned or thrown, later for a promise. A throw is a
 * rejection. Neither should throw: that would be a mistake of ours, which is shown and goes no further.
 */
export declare function callUser<T>(fn: () => ValueOrPromise<T>, done: (value: T) => void, failed: (error: unknown) => void): void;
