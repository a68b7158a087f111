"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.channelBytes = channelBytes;
exports.checkSubscriberCount = checkSubscriberCount;
exports.checkCloseChannel = checkCloseChannel;
const node_util_1 = require("node:util");
const checks_cjs_1 = require("./checks.cjs");
// Arguments of calls with options that the addon does not have.
/** The name of a channel, as the addon takes it. */
function channelBytes(call, channel) {
    if (typeof channel === 'string')
        return Buffer.from(channel);
    if (node_util_1.types.isArrayBuffer(channel))
        return Buffer.from(channel);
    if (node_util_1.types.isUint8Array(channel)) {
        return Buffer.from(channel.buffer, channel.byteOffset, channel.byteLength);
    }
    throw (0, checks_cjs_1.wrongType)(call, 'channel', 'a string, ArrayBuffer or Uint8Array', channel);
}
/** @returns `undefined` for this instance only */
function checkSubscriberCount(channel, options) {
    const call = 'subscriberCount';
    const bag = (0, checks_cjs_1.knownKeys)(call, 'options', options, ['cluster', 'timeout']);
    const timeout = (0, checks_cjs_1.integer)(call, 'timeout', bag['timeout'], 1, checks_cjs_1.MAX_DURATION) ?? 1_000;
    return (0, checks_cjs_1.optional)(call, 'cluster', bag['cluster'], 'boolean') === true
        ? { channel: channelBytes(call, channel), timeout }
        : undefined;
}
/** @returns `undefined` for this instance only */
function checkCloseChannel(channel, code, reason, options) {
    const call = 'closeChannel';
    const bag = (0, checks_cjs_1.knownKeys)(call, 'options', options, ['cluster']);
    if ((0, checks_cjs_1.optional)(call, 'cluster', bag['cluster'], 'boolean') !== true)
        return undefined;
    const given = (0, checks_cjs_1.integer)(call, 'code', code, 1000, 4999) ?? 1000;
    if (!(0, checks_cjs_1.isSendableCode)(given))
        throw (0, checks_cjs_1.wrongValue)(call, 'code', checks_cjs_1.SENDABLE_CODES, given);
    if (reason !== undefined && typeof reason !== 'string') {
        throw (0, checks_cjs_1.wrongType)(call, 'reason', 'a string', reason);
    }
    if (reason !== undefined && Buffer.byteLength(reason) > 123) {
        throw (0, checks_cjs_1.wrongValue)(call, 'reason', 'at most 123 bytes', reason);
    }
    return { channel: channelBytes(call, channel), code: given, reason: reason ?? '' };
}
