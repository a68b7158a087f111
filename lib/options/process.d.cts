import type { Native, NativeProcessOptions } from '../native.cjs';
import type { ProcessOptions } from './start.cjs';
/** Process-wide options that are off unless a call sets them. */
declare const OFF: {
    maxConnections: undefined;
    maxConnectionsPerIp: undefined;
    maxChannelsPerSocket: undefined;
    maxChannelNameLength: undefined;
};
/** All process-wide options but `threads`, which counts only where there is a module. */
export type Agreed = Omit<ProcessOptions, 'threads' | keyof typeof OFF> & {
    [K in keyof typeof OFF]: number | undefined;
};
export declare function defaultsOf(native: Pick<Native, 'brokerDefaults'>): Agreed;
export declare function toNative(options: Agreed): NativeProcessOptions;
/**
 * What does not concern raw handlers: a broker that helpers have made has nothing to say about
 * those.
 */
export declare function fromNativeOptions(options: NativeProcessOptions): Partial<Agreed>;
/**
 * The options of the broker there is, or else the defaults, with those that were given.
 *
 * @param started whether one that `start` has made counts, too
 */
export declare function following(native: Pick<Native, 'brokerDefaults' | 'processOptionsNow'>, given: Partial<ProcessOptions>, started: boolean): Agreed;
export {};
