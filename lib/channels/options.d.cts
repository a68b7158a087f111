import type { Since } from '../types/history.cjs';
import type { ChannelsOptions } from './types.cjs';
export declare const CALL = "serveChannels";
export interface CheckedChannels {
    readonly handlers: ChannelsOptions;
    readonly timeout: number;
    readonly socketRate: number;
    readonly addressRate: number;
}
/** @throws what {@link serveChannels} says */
export declare function checkChannelsOptions(options: ChannelsOptions): CheckedChannels;
/** What `authorize` has granted. */
export interface CheckedGrant {
    readonly since: Exclude<Since, 'latest'> | undefined;
    readonly maxReplay: number;
    readonly sender: string | undefined;
}
/**
 * @returns `undefined`: it may not
 * @throws {TypeError | RangeError | WSBrokerError} it is something else, which must not count as
 * permission
 */
export declare function checkGrant(value: unknown): CheckedGrant | undefined;
