import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger, TWebSocketBusState } from '../types.cjs';
import type { BusStateReporter } from './bus-state-reporter.cjs';
import type { Bus } from './bus.cjs';
import type { EnvelopeRelay } from './envelope-relay.cjs';
/** What the input is made of. */
export interface RedisInputParts {
    readonly scope: string;
    readonly life: HelperLifecycle;
    readonly bus: Bus;
    readonly relay: EnvelopeRelay;
    readonly states: BusStateReporter;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
}
/**
 * What comes from Redis: one helper subscribes for all of the instance, and another when that one
 * ends. With the publisher it is the state of the bus.
 */
export declare class RedisInput {
    #private;
    constructor(parts: RedisInputParts);
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
