/** A context in which calls start. */
export interface AsyncScope {
    /** The function, called in it each time. */
    readonly bound: <A extends unknown[], R>(fn: (...args: A) => R, self: unknown) => (...args: A) => R;
    /** Calls a function in it. */
    readonly call: <A extends unknown[], R>(fn: (...args: A) => R, self: unknown, ...args: A) => R;
    /**
     * Runs a function that makes many calls, and calls the application's functions only by
     * {@link bound} and {@link call}.
     */
    readonly batch: <A extends unknown[]>(run: (...args: A) => void, ...args: A) => void;
}
/** The context of the caller. */
export declare function scopeHere(): AsyncScope;
/** The function, called in this context each time. */
export declare function inScopeHere<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => R;
/** The function, to be called once, in this context. */
export declare function onceInScopeHere(fn: () => void): () => void;
