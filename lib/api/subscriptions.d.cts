/** Who is subscribed to which channel. */
import type { Buffer } from '../ambient.cjs';
import type { ClusterCount } from '../types/cluster-options.cjs';
import type { Data } from '../types/messages.cjs';
/**
 * Resolves when this instance receives what others publish to the channel: a moment after the
 * channel's first subscriber here. Until then, for one round trip to Redis, messages from other
 * instances may be missed. A channel that already has subscribers here has no such moment, except
 * after a loss of the bus. For a channel without subscribers the promise stays pending.
 *
 * @returns true, or false if the process has not joined others or {@link shutdown} came first
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare function listening(channel: Data): Promise<boolean>;
/**
 * Subscribes the socket to the channel. Anything published later, on any thread, reaches it. The
 * subscription ends when the connection closes.
 *
 * @returns true: added. false: it was already subscribed, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`
 */
export declare const subscribe: (socketId: number, channel: Data) => boolean;
/**
 * Ends a subscription. What this thread published before still reaches the socket.
 *
 * @returns true: removed. false: there was no such subscription
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const unsubscribe: (socketId: number, channel: Data) => boolean;
/**
 * Does what {@link subscribe} does, for several channels.
 *
 * @returns how many subscriptions were added
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none is added
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`;
 * then none is added
 */
export declare const subscribeMany: (socketId: number, channels: readonly Data[]) => number;
/**
 * Does what {@link unsubscribe} does, for several channels.
 *
 * @returns how many subscriptions were removed
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none is removed
 */
export declare const unsubscribeMany: (socketId: number, channels: readonly Data[]) => number;
/**
 * Ends all subscriptions of the socket.
 *
 * @returns how many there were
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const unsubscribeAll: (socketId: number) => number;
/**
 * Subscribes every socket that is subscribed to `from` to `to` as well. Anything published to `to`
 * after the call reaches them.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelNameLength`, and no socket was subscribed;
 * or `maxChannelsPerSocket` for some sockets, and the others were subscribed
 */
export declare const copySubscriptions: (from: Data, to: Data) => void;
/**
 * Does what {@link close} does, for every subscriber of the channel.
 *
 * @param options `cluster: true`: on all instances, after what this one has published
 * @returns how many subscribers there are on this instance
 * @throws as {@link close}
 */
export declare function closeChannel(channel: Data, code?: number, reason?: string, options?: {
    readonly cluster?: boolean;
}): number;
/**
 * Whether the channel has a subscriber.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const hasSubscriptions: (channel: Data) => boolean;
/**
 * How many subscribers the channel has on this instance.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare function subscriberCount(channel: Data): number;
/**
 * How many subscribers the channel has on all instances.
 *
 * @param options `timeout`: how long other instances may take to answer, in milliseconds, 1 to
 * 2^31-1, 1000 by default
 * @returns a promise of the sum, and of the instances that did not answer
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare function subscriberCount(channel: Data, options: {
    readonly cluster: true;
    readonly timeout?: number;
}): Promise<ClusterCount>;
/**
 * Whether the socket is subscribed to the channel.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const isSubscribed: (socketId: number, channel: Data) => boolean;
/**
 * The channels that the socket is subscribed to, in no particular order. A name that is UTF-8 is a
 * string, any other a `Buffer`.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const getSubscriptions: (socketId: number) => (string | Buffer)[];
/**
 * The ids of the channel's subscribers, in no particular order.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const getSubscribers: (channel: Data) => number[];
