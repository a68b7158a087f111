import type { NativeCluster } from '../native.cjs';
import type { BusEvent } from '../types/cluster-options.cjs';
/** The options, checked. */
export interface CheckedClusterOptions {
    readonly native: NativeCluster;
    readonly required: boolean;
    readonly onBus: ((event: BusEvent) => void) | undefined;
}
/**
 * @throws {TypeError | WSBrokerError} naming the option, what was expected and what came; never a
 * password
 */
export declare function checkClusterOptions(call: string, name: string, value: unknown, known?: string[]): CheckedClusterOptions;
