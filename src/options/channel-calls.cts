import { types } from 'node:util';
import {
  integer,
  isSendableCode,
  MAX_DURATION,
  optionBag,
  optional,
  wrongType,
  wrongValue,
} from './checks.cjs';

// Calls with options that the addon does not know.

/** A channel's name for the addon. */
export function channelBytes(call: string, channel: unknown): Buffer {
  if (typeof channel === 'string') return Buffer.from(channel);
  if (types.isArrayBuffer(channel)) return Buffer.from(channel);
  if (types.isUint8Array(channel))
    return Buffer.from(channel.buffer, channel.byteOffset, channel.byteLength);
  throw wrongType(call, 'channel', 'a string, ArrayBuffer or Uint8Array', channel);
}

/** `undefined`: on this instance only. */
export function countRequest(
  channel: unknown,
  options: unknown,
): { channel: Buffer; timeout: number } | undefined {
  const call = 'subscriberCount';
  const bag = optionBag(call, 'options', options, ['cluster', 'timeout']);
  const timeout = integer(call, 'timeout', bag['timeout'], 1, MAX_DURATION) ?? 1_000;
  return optional(call, 'cluster', bag['cluster'], 'boolean') === true
    ? { channel: channelBytes(call, channel), timeout }
    : undefined;
}

/** `undefined`: on this instance only. */
export function closeRequest(
  channel: unknown,
  code: unknown,
  reason: unknown,
  options: unknown,
): { channel: Buffer; code: number; reason: string } | undefined {
  const call = 'closeChannel';
  const bag = optionBag(call, 'options', options, ['cluster']);
  if (optional(call, 'cluster', bag['cluster'], 'boolean') !== true) return undefined;
  const given = integer(call, 'code', code, 1000, 4999) ?? 1000;
  if (!isSendableCode(given))
    throw wrongValue(
      call,
      'code',
      'a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)',
      given,
    );
  if (reason !== undefined && typeof reason !== 'string')
    throw wrongType(call, 'reason', 'a string', reason);
  if (reason !== undefined && Buffer.byteLength(reason) > 123)
    throw wrongValue(call, 'reason', 'at most 123 bytes', reason);
  return { channel: channelBytes(call, channel), code: given, reason: reason ?? '' };
}
