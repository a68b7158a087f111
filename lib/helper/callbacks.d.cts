import type { ValueOrPromise } from './types.cjs';
/**
 * How many times a helper in this thread has left something to a promise. If the number changes
 * during a call, part of that call goes on after it has returned.
 */
export declare function continuations(): number;
/** Runs it in the next microtask. It should not throw. */
export declare function inNextMicrotask(run: () => void): void;
/**
 * Calls a function of the application, at once. Then one of `done` and `failed` is called: at once
 * if the function returned a value or threw, later if it returned a promise. A throw counts as a
 * rejection. Neither of the two should throw: that would be a fault of ours, which is reported and
 * goes no further.
 */
export declare function callApplication<T>(fn: () => ValueOrPromise<T>, done: (value: T) => void, failed: (error: unknown) => void): void;
