import type { Dispatch, Native } from '../native.cjs';
import type { HandlerName } from '../types/worker-interface.cjs';
import type { HandlerTable } from './handlers.cjs';
/** By `EventKind`. */
export declare const HANDLER_OF_EVENT: readonly HandlerName[];
export type DispatchNative = Pick<Native, 'close' | 'continueChannel' | 'copyToken' | 'handlerRan' | 'openVerdict' | 'settle' | 'slotBytes' | 'slotToken' | 'tokenVersion'>;
export interface Dispatcher {
    /** The addon calls this. It never throws. */
    readonly dispatch: Dispatch;
    /** To be called before the first event. */
    attach(control: ArrayBuffer): void;
    /** Resolves when no handler is pending. */
    idle(): Promise<void>;
    /** Handles the events that wait for pending handlers, in order. From now on no event waits. */
    hurry(): void;
    /** Starts no more handlers: events that have not started belong to the addon again. */
    stop(): void;
}
/**
 * @param onBrokerGone called when the broker is gone, which happens only in threads of the
 * application's own
 */
export declare function createDispatcher(native: DispatchNative, table: HandlerTable, onBrokerGone: () => void): Dispatcher;
