/** A context that calls begin in. */
export interface Scope {
    /** The function, called in it each time. */
    readonly bound: <A extends unknown[], R>(fn: (...args: A) => R, self: unknown) => (...args: A) => R;
    /** Calls a function in it. */
    readonly call: <A extends unknown[], R>(fn: (...args: A) => R, self: unknown, ...args: A) => R;
    /**
     * Runs what makes many calls in a row, and calls nothing of the application's but by {@link
     * bound} and {@link call}.
     */
    readonly batch: <A extends unknown[]>(run: (...args: A) => void, ...args: A) => void;
}
/** The context of the caller. */
export declare function scopeHere(): Scope;
/** The function, called in this context each time. */
export declare function inScopeHere<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => R;
