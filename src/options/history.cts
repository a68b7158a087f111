import { WSBrokerRangeError } from '../errors.cjs';
import type { NativeHistoryRule } from '../native.cjs';
import type { HistoryQuery, Position, Since } from '../types/history.cjs';
import {
  integer,
  knownKeys,
  MAX_DURATION,
  MAX_SIZE,
  optional,
  strings,
  wrongType,
  wrongValue,
} from './checks.cjs';

// The option `history` of `start`, and the arguments of the calls that concern it.

const RULE_OPTIONS = ['channels', 'size', 'ttl', 'maxBytes', 'maxReplay', 'framed'] as const;
const MAX_LIMIT = 100_000;

/** How {@link checkSince} tells the addon what `since` is. */
const SINCE = { position: 0, latest: 1, now: 2 } as const;

/** The option `history`. */
export function checkHistory(call: string, value: unknown): NativeHistoryRule[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw wrongType(call, 'history', 'an array of objects', value);
  return value.map((one, i) => checkRule(call, `history[${i}]`, one));
}

function checkRule(call: string, name: string, value: unknown): NativeHistoryRule {
  const bag = knownKeys(call, name, value, RULE_OPTIONS);
  const number = (key: string, to: number, fallback: number): number =>
    integer(call, `${name}.${key}`, bag[key], 1, to) ?? fallback;
  return {
    channels: channels(call, `${name}.channels`, bag['channels']),
    size: number('size', MAX_SIZE, 500),
    ttl: number('ttl', MAX_DURATION, 300_000),
    maxBytes: number('maxBytes', MAX_SIZE, 2 ** 20),
    maxReplay: number('maxReplay', MAX_SIZE, 1_000),
    framed: optional(call, `${name}.framed`, bag['framed'], 'boolean') ?? true,
  };
}

function channels(call: string, name: string, value: unknown): string[] {
  const list =
    typeof value === 'string'
      ? [value]
      : strings(call, name, value, 'a string or an array of strings');
  if (list.length === 0) {
    throw new WSBrokerRangeError(`${call}: "${name}" must have at least one name, got none`);
  }
  const odd = list.find((one) => one.slice(0, -1).includes('*'));
  if (odd !== undefined) {
    throw wrongValue(call, name, "names, or prefixes such as 'chat:*' with one '*' at the end", odd);
  }
  return [...new Set(list)];
}

function position(call: string, name: string, value: unknown, expected: string): Position {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(call, name, expected, value);
  }
  const { offset, epoch } = value as Partial<Position>;
  if (typeof epoch !== 'string') throw wrongType(call, `${name}.epoch`, 'a string', epoch);
  const checked = integer(call, `${name}.offset`, offset, 0, Number.MAX_SAFE_INTEGER);
  if (checked === undefined) throw wrongType(call, `${name}.offset`, 'a number', offset);
  return { offset: checked, epoch };
}

/** @returns what it is, the offset and the epoch, as the addon takes them */
export function checkSince(call: string, since: Since): [kind: number, offset: number, epoch: string] {
  if (since === 'latest' || since === 'now') return [SINCE[since], 0, ''];
  const expected = "a position, 'latest' or 'now'";
  if (typeof since === 'string') throw wrongValue(call, 'since', expected, since);
  const { offset, epoch } = position(call, 'since', since, expected);
  return [SINCE.position, offset, epoch];
}

/** @returns the options of `recover`, checked */
export function checkRecover(call: string, options: unknown): boolean {
  if (options === undefined) return false;
  const bag = knownKeys(call, 'options', options, ['orReject']);
  return optional(call, 'orReject', bag['orReject'], 'boolean') ?? false;
}

/**
 * @returns the offset and epoch of `since` (-1: there is no `since`), the limit and the direction
 */
export function checkQuery(
  call: string,
  query: HistoryQuery | undefined,
): [offset: number, epoch: string, limit: number, reverse: boolean] {
  const bag =
    query === undefined ? {} : knownKeys(call, 'options', query, ['since', 'limit', 'reverse']);
  const since = bag['since'];
  const { offset, epoch } =
    since === undefined ? { offset: -1, epoch: '' } : position(call, 'since', since, 'a position');
  return [
    offset,
    epoch,
    integer(call, 'limit', bag['limit'], 1, MAX_LIMIT) ?? 100,
    optional(call, 'reverse', bag['reverse'], 'boolean') ?? false,
  ];
}

/** @returns the offset; -1: all */
export function checkDelete(call: string, options: unknown): number {
  if (options === undefined) return -1;
  const bag = knownKeys(call, 'options', options, ['before']);
  return integer(call, 'before', bag['before'], 0, Number.MAX_SAFE_INTEGER) ?? -1;
}
