"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.channelBytes = channelBytes;
exports.countRequest = countRequest;
exports.closeRequest = closeRequest;
const node_util_1 = require("node:util");
const checks_cjs_1 = require("./checks.cjs");
// Calls with options that the addon does not know.
/** A channel's name for the addon. */
function channelBytes(call, channel) {
    if (typeof channel === 'string')
        return Buffer.from(channel);
    if (node_util_1.types.isArrayBuffer(channel))
        return Buffer.from(channel);
    if (node_util_1.types.isUint8Array(channel))
        return Buffer.from(channel.buffer, channel.byteOffset, channel.byteLength);
    throw (0, checks_cjs_1.wrongType)(call, 'channel', 'a string, ArrayBuffer or Uint8Array', channel);
}
/** `undefined`: on this instance only. */
function countRequest(channel, options) {
    const call = 'subscriberCount';
    const bag = (0, checks_cjs_1.optionBag)(call, 'options', options, ['cluster', 'timeout']);
    const timeout = (0, checks_cjs_1.integer)(call, 'timeout', bag['timeout'], 1, checks_cjs_1.MAX_DURATION) ?? 1_000;
    return (0, checks_cjs_1.optional)(call, 'cluster', bag['cluster'], 'boolean') === true
        ? { channel: channelBytes(call, channel), timeout }
        : undefined;
}
/** `undefined`: on this instance only. */
function closeRequest(channel, code, reason, options) {
    const call = 'closeChannel';
    const bag = (0, checks_cjs_1.optionBag)(call, 'options', options, ['cluster']);
    if ((0, checks_cjs_1.optional)(call, 'cluster', bag['cluster'], 'boolean') !== true)
        return undefined;
    const given = (0, checks_cjs_1.integer)(call, 'code', code, 1000, 4999) ?? 1000;
    if (!(0, checks_cjs_1.isSendableCode)(given))
        throw (0, checks_cjs_1.wrongValue)(call, 'code', 'a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)', given);
    if (reason !== undefined && typeof reason !== 'string')
        throw (0, checks_cjs_1.wrongType)(call, 'reason', 'a string', reason);
    if (reason !== undefined && Buffer.byteLength(reason) > 123)
        throw (0, checks_cjs_1.wrongValue)(call, 'reason', 'at most 123 bytes', reason);
    return { channel: channelBytes(call, channel), code: given, reason: reason ?? '' };
}
