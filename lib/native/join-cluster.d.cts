import type { NativeBusEvent } from '../native.cjs';
import type { CheckedClusterOptions } from '../options/cluster.cjs';
import type { BusEvent } from '../types/cluster-options.cjs';
/** Joins, at once or with the first server. */
export declare function joinCluster({ native: options, onBus }: CheckedClusterOptions): void;
/** A function for the addon to call: no error of the application's may get into it. */
export declare function busEventReporter(onBus: ((event: BusEvent) => void) | undefined): (events: NativeBusEvent[]) => void;
/** Waits until the bus is ready for the first time. */
export declare function busReady(timeout: number): Promise<void>;
