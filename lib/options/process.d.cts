import type { Native, NativeProcessOptions } from '../native.cjs';
import type { ProcessOptions } from './start.cjs';
/** Limits that do not apply unless a call sets them. */
declare const OFF: {
    maxConnections: undefined;
    maxConnectionsPerIp: undefined;
    maxChannelsPerSocket: undefined;
    maxChannelNameLength: undefined;
};
/** All process-wide options except `threads`, which matters only if there is a worker module. */
export type CompleteProcessOptions = Omit<ProcessOptions, 'threads' | keyof typeof OFF> & {
    [K in keyof typeof OFF]: number | undefined;
};
export declare function defaultProcessOptions(native: Pick<Native, 'brokerDefaults'>): CompleteProcessOptions;
export declare function toNativeProcessOptions(options: CompleteProcessOptions): NativeProcessOptions;
/**
 * What does not concern raw handlers: a broker that helpers have made has nothing to say about
 * those.
 */
export declare function fromNativeOptions(options: NativeProcessOptions): Partial<CompleteProcessOptions>;
/**
 * The options of the broker there is, or else the defaults, with those that were given.
 *
 * @param started whether one that `start` has made counts, too
 */
export declare function processOptionsWith(native: Pick<Native, 'brokerDefaults' | 'processOptionsNow'>, given: Partial<ProcessOptions>, started: boolean): CompleteProcessOptions;
export {};
