import { type HandlerTable } from './handlers.cjs';
/** What this thread is to the pool. */
export declare const thread: {
    /** It belongs to a pool, which another thread watches. */
    inPool: boolean;
    /** A `start` waits for this thread's handlers and hears of a `handleStart` that fails. */
    loading: boolean;
};
/** This thread as a worker. */
export declare class Registration {
    #private;
    /** Resolves when `handleStart` is done and events may come; rejects with its error. */
    readonly ready: Promise<void>;
    /** Nobody asked for it: a later `registerWorkerThread` takes its place. */
    readonly implicit: boolean;
    /** @param started what `handleStart` returned */
    constructor(table: HandlerTable, started: unknown, implicit: boolean, replaced: Registration | undefined);
    /** The object that was registered. */
    get handlers(): unknown;
    /**
     * Runs the events that have come, waits for their handlers, runs `handleStop`, all within
     * `timeout`, and lets go of the addon. Handlers that do not settle have half of it: then what
     * waits behind them is run all the same, ends of connections among it. Never rejects.
     */
    stop(timeout: number): Promise<void>;
    /** Lets go of the addon at once. */
    drop(): void;
}
export declare function currentRegistration(): Registration | undefined;
/**
 * Makes this thread a worker.
 *
 * @param call who asks, for messages
 * @param implicit the module has no handlers, and a later registration may replace this one
 * @param holders where the handlers were found
 * @throws what `handleStart` throws; a `TypeError` if a handler is no function;
 * ERR_WSBROKER_UNKNOWN_HANDLER if one is misspelt; ERR_WSBROKER_CONFLICT if the thread is a worker
 * already
 */
export declare function register(call: string, handlers: unknown, implicit?: boolean, holders?: readonly unknown[]): Registration;
