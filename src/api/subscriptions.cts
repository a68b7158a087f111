/** Who is subscribed to which channel. */

import type { Buffer } from '../ambient.cjs';
import { native } from '../native/load.cjs';
import {
  channelBytes,
  checkCloseChannel,
  checkSubscriberCount,
} from '../options/channel-calls.cjs';
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
export async function listening(channel: Data): Promise<boolean> {
  return native.listening(channelBytes('listening', channel));
}

/**
 * Subscribes the socket to the channel. Anything published later, on any thread, reaches it. The
 * subscription ends when the connection closes.
 *
 * @returns true: added. false: it was already subscribed, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`
 */
export const subscribe: (socketId: number, channel: Data) => boolean = native.subscribe;

/**
 * Ends a subscription. What this thread published before still reaches the socket.
 *
 * @returns true: removed. false: there was no such subscription
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export const unsubscribe: (socketId: number, channel: Data) => boolean = native.unsubscribe;

/**
 * Does what {@link subscribe} does, for several channels.
 *
 * @returns how many subscriptions were added
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none is added
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`;
 * then none is added
 */
export const subscribeMany: (socketId: number, channels: readonly Data[]) => number =
  native.subscribeMany;

/**
 * Does what {@link unsubscribe} does, for several channels.
 *
 * @returns how many subscriptions were removed
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none is removed
 */
export const unsubscribeMany: (socketId: number, channels: readonly Data[]) => number =
  native.unsubscribeMany;

/**
 * Ends all subscriptions of the socket.
 *
 * @returns how many there were
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export const unsubscribeAll: (socketId: number) => number = native.unsubscribeAll;

/**
 * Subscribes every socket that is subscribed to `from` to `to` as well. Anything published to `to`
 * after the call reaches them.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelNameLength`, and no socket was subscribed;
 * or `maxChannelsPerSocket` for some sockets, and the others were subscribed
 */
export const copySubscriptions: (from: Data, to: Data) => void = native.copySubscriptions;

/**
 * Does what {@link close} does, for every subscriber of the channel.
 *
 * @param options `cluster: true`: on all instances, after what this one has published
 * @returns how many subscribers there are on this instance
 * @throws as {@link close}
 */
export function closeChannel(
  channel: Data,
  code?: number,
  reason?: string,
  options?: { readonly cluster?: boolean },
): number {
  if (options === undefined) return native.closeChannel(channel, code, reason);
  const everywhere = checkCloseChannel(channel, code, reason, options);
  return everywhere === undefined
    ? native.closeChannel(channel, code, reason)
    : native.closeChannelEverywhere(everywhere.channel, everywhere.code, everywhere.reason);
}

/**
 * Whether the channel has a subscriber.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export const hasSubscriptions: (channel: Data) => boolean = native.hasSubscriptions;

/**
 * How many subscribers the channel has on this instance.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export function subscriberCount(channel: Data): number;
/**
 * How many subscribers the channel has on all instances.
 *
 * @param options `timeout`: how long other instances may take to answer, in milliseconds, 1 to
 * 2^31-1, 1000 by default
 * @returns a promise of the sum, and of the instances that did not answer
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export function subscriberCount(
  channel: Data,
  options: { readonly cluster: true; readonly timeout?: number },
): Promise<ClusterCount>;
/**
 * How many subscribers the channel has on this instance, or with `cluster: true` on all instances.
 *
 * @param options `cluster: true`: ask all instances. `timeout`: how long they may take to answer,
 * in milliseconds, 1 to 2^31-1, 1000 by default
 * @returns the number; with `cluster`, a promise of `{ count, missing }`: the sum, and the
 * instances that did not answer
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export function subscriberCount(
  channel: Data,
  options?: { readonly cluster?: boolean; readonly timeout?: number },
): number | Promise<ClusterCount> {
  if (options === undefined) return native.subscriberCount(channel);
  const everywhere = checkSubscriberCount(channel, options);
  if (everywhere === undefined) return native.subscriberCount(channel);
  return native.clusterCount(everywhere.channel, everywhere.timeout);
}

/**
 * Whether the socket is subscribed to the channel.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export const isSubscribed: (socketId: number, channel: Data) => boolean = native.isSubscribed;

/**
 * The channels that the socket is subscribed to, in no particular order. A name that is UTF-8 is a
 * string, any other a `Buffer`.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export const getSubscriptions: (socketId: number) => (string | Buffer)[] = native.getSubscriptions;

/**
 * The ids of the channel's subscribers, in no particular order.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export const getSubscribers: (channel: Data) => number[] = native.getSubscribers;
