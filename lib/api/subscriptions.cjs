"use strict";
/** Who is subscribed to which channel. */
Object.defineProperty(exports, "__esModule", { value: true });
exports.getSubscribers = exports.getSubscriptions = exports.isSubscribed = exports.hasSubscriptions = exports.copySubscriptions = exports.unsubscribeAll = exports.unsubscribeMany = exports.subscribeMany = exports.unsubscribe = exports.subscribe = void 0;
exports.listening = listening;
exports.closeChannel = closeChannel;
exports.subscriberCount = subscriberCount;
const load_cjs_1 = require("../native/load.cjs");
const channel_calls_cjs_1 = require("../options/channel-calls.cjs");
/**
 * Resolves when this instance receives what others publish to the channel: a moment after the
 * channel's first subscriber here. Until then, for one round trip to Redis, messages from other
 * instances may be missed. A channel that already has subscribers here has no such moment, except
 * after a loss of the bus. For a channel without subscribers the promise stays pending.
 *
 * @returns true, or false if the process has not joined others or {@link shutdown} came first
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
async function listening(channel) {
    return load_cjs_1.native.listening((0, channel_calls_cjs_1.channelBytes)('listening', channel));
}
/**
 * Subscribes the socket to the channel. Anything published later, on any thread, reaches it. The
 * subscription ends when the connection closes.
 *
 * @returns true: added. false: it was already subscribed, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`
 */
exports.subscribe = load_cjs_1.native.subscribe;
/**
 * Ends a subscription. What this thread published before still reaches the socket.
 *
 * @returns true: removed. false: there was no such subscription
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.unsubscribe = load_cjs_1.native.unsubscribe;
/**
 * Does what {@link subscribe} does, for several channels.
 *
 * @returns how many subscriptions were added
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none is added
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`;
 * then none is added
 */
exports.subscribeMany = load_cjs_1.native.subscribeMany;
/**
 * Does what {@link unsubscribe} does, for several channels.
 *
 * @returns how many subscriptions were removed
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none is removed
 */
exports.unsubscribeMany = load_cjs_1.native.unsubscribeMany;
/**
 * Ends all subscriptions of the socket.
 *
 * @returns how many there were
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.unsubscribeAll = load_cjs_1.native.unsubscribeAll;
/**
 * Subscribes every socket that is subscribed to `from` to `to` as well. Anything published to `to`
 * after the call reaches them.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelNameLength`, and no socket was subscribed;
 * or `maxChannelsPerSocket` for some sockets, and the others were subscribed
 */
exports.copySubscriptions = load_cjs_1.native.copySubscriptions;
/**
 * Does what {@link close} does, for every subscriber of the channel.
 *
 * @param options `cluster: true`: on all instances, after what this one has published
 * @returns how many subscribers there are on this instance
 * @throws as {@link close}
 */
function closeChannel(channel, code, reason, options) {
    if (options === undefined)
        return load_cjs_1.native.closeChannel(channel, code, reason);
    const everywhere = (0, channel_calls_cjs_1.checkCloseChannel)(channel, code, reason, options);
    return everywhere === undefined
        ? load_cjs_1.native.closeChannel(channel, code, reason)
        : load_cjs_1.native.closeChannelEverywhere(everywhere.channel, everywhere.code, everywhere.reason);
}
/**
 * Whether the channel has a subscriber.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.hasSubscriptions = load_cjs_1.native.hasSubscriptions;
/**
 * How many subscribers the channel has on this instance, or with `cluster: true` on all instances.
 *
 * @param options `cluster: true`: ask all instances. `timeout`: how long they may take to answer,
 * in milliseconds, 1 to 2^31-1, 1000 by default
 * @returns the number; with `cluster`, a promise of `{ count, missing }`: the sum, and the
 * instances that did not answer
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
function subscriberCount(channel, options) {
    if (options === undefined)
        return load_cjs_1.native.subscriberCount(channel);
    const everywhere = (0, channel_calls_cjs_1.checkSubscriberCount)(channel, options);
    if (everywhere === undefined)
        return load_cjs_1.native.subscriberCount(channel);
    return load_cjs_1.native.clusterCount(everywhere.channel, everywhere.timeout);
}
/**
 * Whether the socket is subscribed to the channel.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.isSubscribed = load_cjs_1.native.isSubscribed;
/**
 * The channels that the socket is subscribed to, in no particular order. A name that is UTF-8 is a
 * string, any other a `Buffer`.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.getSubscriptions = load_cjs_1.native.getSubscriptions;
/**
 * The ids of the channel's subscribers, in no particular order.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.getSubscribers = load_cjs_1.native.getSubscribers;
