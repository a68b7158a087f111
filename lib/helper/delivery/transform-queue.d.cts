import type { Message } from './message.cjs';
/** Limits how many calls of one send run at the same time. */
export declare class ConcurrencyLimit {
    #private;
    /** Less than 1, or not a number, counts as 1. */
    constructor(limit: number);
    /** Takes a permit, if there is one. */
    tryAcquire(): boolean;
    /** Calls `run` when a permit is free and has been taken for it. */
    acquire(run: () => void): void;
    release(): void;
}
/** What a queue needs of the helper. */
export interface TransformQueueHost {
    /** How many bytes may wait. */
    readonly maxPending: number;
    /** Whether the client is still there. */
    isHere(): boolean;
    /** Transforms and sends. Calls `settled` once, at once or later. Does not throw. */
    run(message: Message, settled: () => void): void;
    dropped(message: Message): void;
}
/**
 * The messages of one client that pass through the transformer: one at a time, in the order of the
 * calls.
 */
export declare class TransformQueue {
    #private;
    constructor(host: TransformQueueHost);
    /** Runs at once if nothing is waiting and a permit is free. */
    push(message: Message, limit: ConcurrencyLimit | undefined): void;
}
