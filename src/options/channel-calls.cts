import { types } from 'node:util';
import {
  duration,
  integer,
  isSendableCode,
  knownKeys,
  optional,
  SENDABLE_CODES,
  wrongType,
  wrongValue,
} from './checks.cjs';

// Arguments of calls with options that the addon does not have.

/** The name of a channel, as the addon takes it. */
export function channelBytes(call: string, channel: unknown): Buffer {
  return bytesOf(call, 'channel', channel);
}

/** What can be sent, as the addon takes it. */
export function bytesOf(call: string, name: string, data: unknown): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  if (types.isArrayBuffer(data)) return Buffer.from(data);
  if (types.isUint8Array(data)) {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }
  throw wrongType(call, name, 'a string, ArrayBuffer or Uint8Array', data);
}

/** @returns `undefined` for this instance only */
export function checkSubscriberCount(
  channel: unknown,
  options: unknown,
): { channel: Buffer; timeout: number } | undefined {
  const call = 'subscriberCount';
  const bag = knownKeys(call, 'options', options, ['cluster', 'timeout']);
  const timeout = duration(call, 'timeout', bag['timeout'], 1) ?? 1_000;
  return optional(call, 'cluster', bag['cluster'], 'boolean') === true
    ? { channel: channelBytes(call, channel), timeout }
    : undefined;
}

/** @returns `undefined` for this instance only */
export function checkCloseChannel(
  channel: unknown,
  code: unknown,
  reason: unknown,
  options: unknown,
): { channel: Buffer; code: number; reason: string } | undefined {
  const call = 'closeChannel';
  const bag = knownKeys(call, 'options', options, ['cluster']);
  if (optional(call, 'cluster', bag['cluster'], 'boolean') !== true) return undefined;
  const given = integer(call, 'code', code, 1000, 4999) ?? 1000;
  if (!isSendableCode(given)) throw wrongValue(call, 'code', SENDABLE_CODES, given);
  if (reason !== undefined && typeof reason !== 'string') {
    throw wrongType(call, 'reason', 'a string', reason);
  }
  if (reason !== undefined && Buffer.byteLength(reason) > 123) {
    throw wrongValue(call, 'reason', 'at most 123 bytes', reason);
  }
  return { channel: channelBytes(call, channel), code: given, reason: reason ?? '' };
}
