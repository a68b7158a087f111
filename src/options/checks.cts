import { WSBrokerError, WSBrokerRangeError, WSBrokerTypeError } from '../errors.cjs';

// Checks of single values. Each takes the names of the call and of the argument, so that a message
// can say: `start: "threads" must be …, got …`.

/** The longest time that a timer accepts, in milliseconds. */
export const MAX_DURATION = 2 ** 31 - 1;
/** The largest size of anything that crosses into Rust as 32 bits. */
export const MAX_SIZE = 2 ** 31 - 1;

/** What the options count that are no plain numbers. */
export type Unit = 'milliseconds' | 'bytes';

/**
 * Checks that the value is an object without unknown keys.
 *
 * @param hints what to use instead of names that come from other libraries
 * @param expected what the value must be, for messages: an example helps
 */
export function knownKeys(
  call: string,
  name: string,
  value: unknown,
  known: readonly string[],
  hints: Readonly<Record<string, string>> = {},
  expected = 'an object',
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(call, name, expected, value);
  }
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = mostSimilar(key, known);
    const where = name === 'options' ? '' : ` in "${name}"`;
    const hint = Object.hasOwn(hints, key)
      ? hints[key]
      : near === undefined
        ? `known options: ${known.join(', ')}`
        : `did you mean "${near}"?`;
    throw new WSBrokerError(
      'ERR_WSBROKER_UNKNOWN_OPTION',
      `${call}: unknown option "${key}"${where}; ${hint}`,
    );
  }
  return value as Record<string, unknown>;
}

/** @param unit what it is a number of, for messages: many write '30s' and '1mb' */
export function integer(
  call: string,
  name: string,
  value: unknown,
  from: number,
  to: number,
  unit?: Unit,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') {
    throw wrongType(call, name, unit === undefined ? 'a number' : `a number of ${unit}`, value);
  }
  if (!Number.isInteger(value) || value < from || value > to) {
    const range = `an integer from ${from} to ${to}`;
    throw wrongValue(call, name, unit === undefined ? range : `${range} ${unit}`, value);
  }
  return value;
}

/** A time, in milliseconds. */
export function duration(
  call: string,
  name: string,
  value: unknown,
  from: number,
): number | undefined {
  return integer(call, name, value, from, MAX_DURATION, 'milliseconds');
}

export function oneOf<T extends string>(
  call: string,
  name: string,
  value: unknown,
  allowed: readonly T[],
): T | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw wrongType(call, name, 'a string', value);
  if (!allowed.includes(value as T)) {
    throw wrongValue(call, name, alternatives(allowed), value);
  }
  return value as T;
}

/** `'a', 'b' or 'c'` */
function alternatives(allowed: readonly string[]): string {
  const quoted = allowed.map((one) => `'${one}'`);
  const last = quoted.pop();
  return quoted.length === 0 ? `${last}` : `${quoted.join(', ')} or ${last}`;
}

export function optional(
  call: string,
  name: string,
  value: unknown,
  type: 'boolean',
): boolean | undefined;
export function optional(
  call: string,
  name: string,
  value: unknown,
  type: 'string',
): string | undefined;
export function optional(call: string, name: string, value: unknown, type: 'function'): unknown;
export function optional(
  call: string,
  name: string,
  value: unknown,
  type: 'boolean' | 'string' | 'function',
): unknown {
  if (value !== undefined && typeof value !== type) throw wrongType(call, name, `a ${type}`, value);
  return value;
}

export function strings(call: string, name: string, value: unknown, expected: string): string[] {
  if (!Array.isArray(value)) throw wrongType(call, name, expected, value);
  const odd = value.findIndex((one) => typeof one !== 'string');
  if (odd !== -1) throw wrongType(call, `${name}[${odd}]`, 'a string', value[odd]);
  return value as string[];
}

/** RFC 9110, section 5.6.2. */
export function isHttpToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

/** Whether RFC 6455, section 7.4, allows an application to send this close code. */
export function isSendableCode(code: number): boolean {
  return (
    (code >= 1000 && code <= 1003) ||
    (code >= 1007 && code <= 1014) ||
    (code >= 3000 && code <= 4999)
  );
}

export function wrongType(
  call: string,
  name: string,
  expected: string,
  value: unknown,
): WSBrokerTypeError {
  return new WSBrokerTypeError(`${call}: "${name}" must be ${expected}, got ${typeName(value)}`);
}

export function wrongValue(
  call: string,
  name: string,
  expected: string,
  value: string | number,
): WSBrokerRangeError {
  const shown =
    typeof value === 'number'
      ? String(value)
      : `'${value.length > 100 ? `${value.slice(0, 100)}…` : value}'`;
  return new WSBrokerRangeError(`${call}: "${name}" must be ${expected}, got ${shown}`);
}

/** The type of a value, never the value itself: that may be a secret. */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : typeof value;
}

/** The most similar known name, if it is similar enough to be what was meant. */
export function mostSimilar(
  name: string,
  known: readonly string[],
  maxDistance = Math.max(2, Math.floor(name.length / 3)),
): string | undefined {
  let best: string | undefined;
  let least = maxDistance + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/**
 * How many letters were left out, added, changed, or swapped with their neighbor (optimal string
 * alignment), computed row by row. Names longer than 64 characters are not compared: they may come
 * from outside, and nothing is similar to them anyway.
 */
export function editDistance(a: string, b: string): number {
  if (a.length > 64) return a.length;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      let least = Math.min(
        (next[j - 1] ?? 0) + 1,
        (row[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      }
      next.push(least);
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}

/** The closing codes that {@link isSendableCode} allows, for messages. */
export const SENDABLE_CODES =
  'a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)';
