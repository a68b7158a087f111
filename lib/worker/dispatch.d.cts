import type { HandlerTable } from './handlers.cjs';
import type { Dispatch, Native } from '../native.cjs';
export type DispatchNative = Pick<Native, 'openVerdict' | 'settle' | 'slotBytes' | 'slotToken' | 'tokenVersion'>;
export interface Dispatcher {
    /** What the addon calls. It never throws. */
    readonly dispatch: Dispatch;
    /** Before the first event. */
    attach(control: ArrayBuffer): void;
    /** Resolves when no handler is pending. */
    idle(): Promise<void>;
    /** Runs what waits for pending handlers, in order, and lets nothing wait from now on. */
    hurry(): void;
    /** Starts no handler any more: what is not started belongs to the addon again. */
    stop(): void;
}
/**
 * @param goodbye called when the addon says that the broker is gone, which only happens in threads
 * of the user's own
 */
export declare function createDispatcher(native: DispatchNative, table: HandlerTable, goodbye: () => void): Dispatcher;
