/** Whether the value has a `then`. Errors of a getter pass through. */
export declare function isThenable(value: unknown): value is PromiseLike<unknown>;
/** Whether the promise is known to be fulfilled, so that nothing has to wait: Node cannot tell. */
export declare const isFulfilled: (value: PromiseLike<unknown>) => boolean;
/**
 * Whether the promise resolves within that many milliseconds. A rejection passes through; one that
 * comes later is ignored.
 */
export declare function within(timeout: number, promise: Promise<unknown>): Promise<boolean>;
