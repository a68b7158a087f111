import type { CheckedStartOptions } from '../options/start.cjs';
import { type CheckedThreadOptions } from '../options/threads.cjs';
import { Pool } from '../pool/pool.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
export declare function hasWorkers(): boolean;
export declare function currentPool(): Pool | undefined;
/** To be called when they have been stopped. */
export declare function forgetWorkers(): void;
/**
 * Checks that a call of `start` agrees with the workers that there are.
 *
 * @throws {WSBrokerError | RangeError} it does not, or there would be no worker
 */
export declare function checkWorkers(file: string | undefined, threads: number | undefined, given: CheckedThreadOptions | undefined): void;
/** What {@link startWorkers} needs of the `start` that calls it. */
export interface WorkersHost {
    readonly signal: AbortSignal;
    /** The functions of `onWorker`. */
    readonly watchers: ReadonlyMap<unknown, (event: WorkerEvent) => void>;
    /** Steps that undo what has been done, if the start fails. */
    readonly undo: (() => unknown)[];
    /** How many milliseconds `handleStop` has then. */
    undoTimeout(): number;
}
/**
 * Resolves when the workers are ready, those that this call starts and those that there are.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED
 */
export declare function startWorkers(file: string | undefined, options: CheckedStartOptions, { signal, watchers, undo, undoTimeout }: WorkersHost): Promise<void>;
/** The error of a worker that did not load, with what to do about it. */
export declare function explain(file: string | undefined, error: unknown, signal: AbortSignal): Promise<unknown>;
