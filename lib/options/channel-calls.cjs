"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.channelBytes = channelBytes;
exports.bytesOf = bytesOf;
exports.checkSubscriberCount = checkSubscriberCount;
exports.checkCloseChannel = checkCloseChannel;
const node_util_1 = require("node:util");
const checks_cjs_1 = require("./checks.cjs");
// Arguments of calls with options that the addon does not have.
/** The name of a channel, as the addon takes it. */
function channelBytes(call, channel) {
    return bytesOf(call, 'channel', channel);
}
/** What can be sent, as the addon takes it. */
function bytesOf(call, name, data) {
    if (typeof data === 'string')
        return Buffer.from(data);
    if (node_util_1.types.isArrayBuffer(data))
        return Buffer.from(data);
    if (node_util_1.types.isUint8Array(data)) {
        return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    }
    throw (0, checks_cjs_1.wrongType)(call, name, 'a string, ArrayBuffer or Uint8Array', data);
}
/** @returns `undefined` for this instance only */
function checkSubscriberCount(channel, options) {
    const call = 'subscriberCount';
    const bag = (0, checks_cjs_1.knownKeys)(call, 'options', options, ['cluster', 'timeout']);
    const timeout = (0, checks_cjs_1.duration)(call, 'timeout', bag['timeout'], 1) ?? 1_000;
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
