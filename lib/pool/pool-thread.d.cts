import { WSBrokerError } from '../errors.cjs';
import type { CheckedThreadOptions } from '../options/threads.cjs';
/**
 * A worker that ran for this many milliseconds did not fail at its start: its replacement is
 * started at once.
 */
export declare const STABLE_AFTER = 10000;
/** What a thread is in its pool. */
export interface PoolThreadPlace {
    readonly generation: number;
    readonly held: boolean;
    /** The channel on which it reports the files that it loads; `undefined`: it does not. */
    readonly imports: string | undefined;
}
/** One thread of the pool. */
export declare class PoolThread {
    #private;
    readonly id: number;
    /** Rejects if the thread fails or ends before it is ready. */
    readonly ready: Promise<void>;
    /** Resolves with the reason when the thread has ended. */
    readonly ended: Promise<WSBrokerError>;
    /** It has loaded its module, and gets events unless it is {@link held}. */
    wasReady: boolean;
    /** It gets events only after {@link begin}. */
    held: boolean;
    /** Which of the pool's generations it belongs to. */
    readonly generation: number;
    /** Called when it has run for {@link STABLE_AFTER}. */
    onStable: (() => void) | undefined;
    /** Others take its place, so it is not replaced when it ends. */
    superseded: boolean;
    /** It has ended, though not by itself after it was asked to: events may have been in hand. */
    broken: boolean;
    constructor(file: string, { workerData, options }: CheckedThreadOptions, startTimeout: number, { generation, held, imports }: PoolThreadPlace);
    age(): number;
    /**
     * How many connections were closed because others take its place: clients of its helpers, and
     * those that handlers keep to their thread. Resolves when it has ended.
     */
    closed(): Promise<number>;
    /** A thread that was held gets events from now on. Resolves when it does, or has ended. */
    begin(): Promise<void>;
    /** Others are ready to take its place: its connections move to them. */
    supersede(): void;
    /** Resolves when it has no connections any more and its handlers have settled. */
    emptied(): Promise<unknown>;
    /**
     * Lets the worker run `handleStop` first, if it is ready. A thread that a system call blocks
     * cannot be ended and is left behind.
     *
     * @returns whether it has ended by itself, and not by an error
     */
    stop(timeout: number): Promise<boolean>;
    /**
     * Ends it whatever its handlers are at: what they have not begun goes to others. `handleStop`
     * runs if the thread still responds.
     */
    cut(): Promise<void>;
    /** Ends it at once. Its connections move to others even if it cannot be ended. */
    terminate(error?: unknown): Promise<void>;
}
