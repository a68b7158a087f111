import type { NativeCluster } from '../native.cjs';
import type { BusEvent } from '../types/cluster-options.cjs';
/** The options, checked. */
export interface CheckedClusterOptions {
    readonly native: NativeCluster;
    readonly required: boolean;
    readonly onBus: ((event: BusEvent) => void) | undefined;
}
/**
 * @throws {TypeError | WSBrokerError} an option is wrong; the message says which, what was expected
 * and what was given, but never shows a password
 */
export declare function checkClusterOptions(call: string, name: string, value: unknown, known?: string[]): CheckedClusterOptions;
