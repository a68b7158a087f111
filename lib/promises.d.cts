/** Whether it has a `then` to be waited for. A getter's throw passes through. */
export declare function isThenable(value: unknown): value is PromiseLike<unknown>;
/**
 * Whether it is known to be over and well, so that nobody has to wait for it: Bun can tell, Node
 * cannot.
 */
export declare const isFulfilled: (value: PromiseLike<unknown>) => boolean;
/**
 * Whether the promise resolved within that many milliseconds; a rejection passes through, one that
 * comes later is let go.
 */
export declare function within(timeout: number, promise: Promise<unknown>): Promise<boolean>;
