import type { IWebSocketLogger, TWebSocketBusState } from '../types.cjs';
/**
 * Calls `busStateFn` for each change of the bus, once and in order, from the end of `configure()`
 * until `shutdown()`.
 */
export declare class BusStateReporter {
    #private;
    constructor(fn: ((state: TWebSocketBusState) => void) | undefined, log: IWebSocketLogger);
    get state(): TWebSocketBusState | 'idle';
    /** The helper is configured, which counts as `ready` whatever comes next. */
    begin(): void;
    update(state: TWebSocketBusState): void;
    end(): void;
}
