import { WSBrokerError } from '../errors.cjs';
import { type HandlerTable } from './handlers.cjs';
/** How this thread relates to the pool and to `start`. */
export declare const thread: {
    /** It belongs to a pool, which was started by another thread. */
    inPool: boolean;
    /** A `start` waits for this thread's handlers, and rejects if `handleStart` fails. */
    loading: boolean;
    /** It becomes a worker only when the pool says so: see {@link Registration.begin}. */
    held: boolean;
    /** Helpers whose clients live in this thread. */
    helpers: Set<ThreadHelper>;
    /** Modules that are still loading although `start` has given them up. */
    late: Set<LateModule>;
};
/** A helper of this thread, as the thread's end needs it. */
export interface ThreadHelper {
    /** It gets no more connections. */
    stopAccepting(): void;
    /**
     * Other threads take its place: closes its clients with 1012, after the application has been
     * told of each. Returns how many there were.
     */
    leave(): Promise<number>;
}
interface LateModule {
    readonly names: readonly string[];
    /** Why `start` gave it up. */
    readonly error: WSBrokerError;
}
/** This thread as a worker. */
export declare class Registration {
    #private;
    /**
     * Resolves when `handleStart` is done and events may come, or {@link begin} may be called;
     * rejects with its error.
     */
    readonly ready: Promise<void>;
    /** Made for a module without handlers: a later `registerWorkerThread` replaces it. */
    readonly implicit: boolean;
    /** @param started what `handleStart` returned */
    constructor(table: HandlerTable, started: unknown, implicit: boolean, replaced: Registration | undefined);
    /** The object that was registered. */
    get handlers(): unknown;
    /** Events come from now on, if `handleStart` is done. */
    begin(): void;
    /**
     * Leaves the events that have come to other workers, whatever its handlers are at, and runs
     * `handleStop` within `timeout`. Never rejects.
     *
     * @returns whether `handleStop` has settled
     */
    leave(timeout: number): Promise<boolean>;
    /**
     * Handles the events that have come, waits for their handlers, runs `handleStop`, all within
     * `timeout`, and detaches from the addon. Handlers have half of that time to settle; then the
     * events that wait for them, such as closed connections, are handled all the same. `handleStop`
     * has what is left. Never rejects.
     *
     * @returns whether `handleStop` has settled
     */
    stop(timeout: number): Promise<boolean>;
    /** Detaches from the addon at once. */
    drop(): void;
}
export declare function currentRegistration(): Registration | undefined;
/**
 * Makes this thread a worker.
 *
 * @param call the name of the call, for messages
 * @param implicit the module has no handlers, and a later registration may replace this one
 * @param holders where the handlers were found
 * @throws what `handleStart` throws; a `TypeError` if a handler is not a function;
 * ERR_WSBROKER_UNKNOWN_HANDLER if a handler is misspelled; ERR_WSBROKER_CONFLICT if the thread is
 * already a worker; ERR_WSBROKER_WORKER_FAILED if `start` has given up the module that calls
 */
export declare function register(call: string, handlers: unknown, implicit?: boolean, holders?: readonly unknown[]): Registration;
export {};
