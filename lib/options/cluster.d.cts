import type { NativeBusEvent, NativeCluster } from '../native.cjs';
import type { BusEvent } from '../types/cluster-options.cjs';
/** A place on a bus that is allowed. */
export interface ClusterRequest {
    readonly native: NativeCluster;
    readonly required: boolean;
    readonly onBus: ((event: BusEvent) => void) | undefined;
}
/**
 * @throws {TypeError | WSBrokerError} naming the option, what was expected and what came; never a
 * password
 */
export declare function clusterRequest(call: string, name: string, value: unknown, known?: string[]): ClusterRequest;
/** Joins, at once or with the first server. */
export declare function join({ native: options, onBus }: ClusterRequest): void;
/** What the addon calls: a throw of the application's must not get into it. */
export declare function teller(onBus: ((event: BusEvent) => void) | undefined): (events: NativeBusEvent[]) => void;
/** Waits for the first time that the bus is ready. */
export declare function busReady(limit: number): Promise<void>;
