import type { NativeDrainOptions } from '../native.cjs';
import { WSBrokerRangeError } from '../errors.cjs';
import type { DrainOptions, DrainProgress } from '../types/server.cjs';
import { bytesOf } from './channel-calls.cjs';
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

// The options of `drain`.

const KNOWN = [
  'over',
  'jitter',
  'delay',
  'deadline',
  'code',
  'retryAfter',
  'notice',
  'onProgress',
] as const satisfies readonly (keyof DrainOptions)[];

export function checkDrainOptions(options: unknown): {
  readonly native: NativeDrainOptions;
  readonly onProgress: ((progress: DrainProgress) => void) | undefined;
} {
  const call = 'drain';
  const bag = options === undefined ? {} : knownKeys(call, 'options', options, KNOWN);
  const time = (name: string): number | undefined =>
    duration(call, name, bag[name], 0);
  const delay = time('delay') ?? 0;
  const over = time('over') ?? 10_000;
  const deadline = time('deadline') ?? delay + over + 5_000;
  const code = integer(call, 'code', bag['code'], 1000, 4999) ?? 1012;
  if (!isSendableCode(code)) throw wrongValue(call, 'code', SENDABLE_CODES, code);
  const notice = bag['notice'];
  const native: NativeDrainOptions = {
    delay,
    over,
    deadline,
    code,
    jitter: fraction(call, 'jitter', bag['jitter']) ?? 0.1,
    retryAfter: time('retryAfter') ?? 1_000,
    noticeIsText: typeof notice === 'string',
  };
  if (notice !== undefined) native.notice = bytesOf(call, 'notice', notice);
  const onProgress = optional(call, 'onProgress', bag['onProgress'], 'function');
  return { native, onProgress: onProgress as ((progress: DrainProgress) => void) | undefined };
}

function fraction(call: string, name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw wrongType(call, name, 'a number', value);
  if (!(value >= 0 && value <= 1)) {
    throw new WSBrokerRangeError(`${call}: "${name}" must be a number from 0 to 1, got ${value}`);
  }
  return value;
}
