import type { ValueOrPromise } from './types.cjs';
/**
 * How often something of a helper in this thread was left to promises: a caller that sees the
 * number change during a call knows that the call goes on after it.
 */
export declare function continuations(): number;
/** Runs it a microtask later. It should not throw. */
export declare function inNextMicrotask(run: () => void): void;
/**
 * Calls a function of the application, at once. One of `done` and `failed` is called: at once where
 * a value was returned or thrown, later for a promise. A throw is a rejection. Neither should
 * throw: that would be a mistake of ours, which is shown and goes no further.
 */
export declare function callApplication<T>(fn: () => ValueOrPromise<T>, done: (value: T) => void, failed: (error: unknown) => void): void;
