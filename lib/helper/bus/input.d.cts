import type { BusStates } from './bus-state.cjs';
import type { Bus } from './bus.cjs';
import type { Life } from '../helper-lifecycle.cjs';
import type { Relay } from './relay.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger, TWebSocketBusState } from '../types.cjs';
/** What the input is made of. */
export interface InputParts {
    readonly scope: string;
    readonly life: Life;
    readonly bus: Bus;
    readonly relay: Relay;
    readonly states: BusStates;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
}
/**
 * What comes from Redis: one helper subscribes for all of the instance, and another when that one
 * ends. With the publisher it is the state of the bus.
 */
export declare class Input {
    #private;
    constructor(parts: InputParts);
    /** Subscribes, or waits for the helper that does. */
    open(instance: Instance | undefined): Promise<void>;
    /** What `open` has done does not hold: `configure()` was rejected. */
    undo(): void;
    /** Nothing is waited for, or tried again. */
    end(): void;
    received(text: string): void;
    busChanged(): void;
    /** The instance's input is in this state now. */
    changed(state: TWebSocketBusState): void;
    update(): void;
    /** The one that subscribed for the instance has ended. */
    take(): void;
}
