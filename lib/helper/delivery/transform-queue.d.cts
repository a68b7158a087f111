import type { Message } from './message.cjs';
/** How many runs of one send may be in flight. */
export declare class ConcurrencyLimit {
    #private;
    /** Below 1, and what is no number, is 1. */
    constructor(limit: number);
    /** Takes a slot, if there is one. */
    enter(): boolean;
    /** `run` is called, with a slot taken for it, when there is one. */
    wait(run: () => void): void;
    leave(): void;
}
/** The helper, as a line sees it. */
export interface TransformQueueHost {
    /** Bytes that may wait. */
    readonly maxPending: number;
    /** The client is still there. */
    isHere(): boolean;
    /** Transforms and sends; `settled` is called once, at once or later. Does not throw. */
    run(message: Message, settled: () => void): void;
    dropped(message: Message): void;
}
/**
 * The messages of one client that pass the transformer: one at a time, in the order of the calls.
 */
export declare class TransformQueue {
    #private;
    constructor(host: TransformQueueHost);
    /** Runs at once if nothing is before it and there is a slot. */
    push(message: Message, window: ConcurrencyLimit | undefined): void;
}
