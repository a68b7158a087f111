import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger, TWebSocketBusState } from '../types.cjs';
import type { BusStateReporter } from './bus-state-reporter.cjs';
import type { Bus } from './bus.cjs';
import type { EnvelopeRelay } from './envelope-relay.cjs';
/** What the input uses. */
export interface RedisInputParts {
    readonly scope: string;
    readonly lifecycle: HelperLifecycle;
    readonly bus: Bus;
    readonly relay: EnvelopeRelay;
    readonly states: BusStateReporter;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
}
/**
 * Messages from Redis. One helper subscribes for the whole instance, and another one when that
 * helper ends. Also derives the state of the bus, from the input and the publisher.
 */
export declare class RedisInput {
    #private;
    constructor(parts: RedisInputParts);
    /** Subscribes, or waits for the helper that does. */
    open(instance: Instance | undefined): Promise<void>;
    /** Undoes `open`: `configure()` has failed. */
    undo(): void;
    /** Stops waiting and trying again. */
    end(): void;
    received(text: string): void;
    busChanged(): void;
    /** The state of the instance's input has changed. */
    changed(state: TWebSocketBusState): void;
    update(): void;
    /** The helper that subscribed for the instance has ended: this one takes over. */
    take(): void;
}
