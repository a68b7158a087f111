// Arguments and options, checked before anything begins.

import type { BackoffOptions, ClientUrl } from './types.mjs';

export const MOST = 2 ** 31 - 1;

/** What text has to match, the name of another type, or the least and the most of a number. */
type Rule = RegExp | 'function' | 'object' | readonly [number, number];

/** Text that JSON can hold: no half of a surrogate pair. The server takes no other name. */
export const NAME = /^\P{Cs}+$/u;

export const wrong = (name: string, expected: unknown, got: unknown, Kind: ErrorConstructor = TypeError): Error =>
  new Kind(`${name}: expected ${expected}, got ${JSON.stringify(got) ?? got}`);

export function check(name: string, value: unknown, rule: Rule): void {
  if (Array.isArray(rule)) {
    const isNumber = typeof value === 'number';
    if (!isNumber || !(value >= rule[0] && value <= rule[1])) throw wrong(name, rule.join(' to '), value, isNumber ? RangeError : TypeError);
  } else if (typeof rule === 'string' ? !value || typeof value !== rule : typeof value !== 'string' || !(rule as RegExp).test(value)) {
    throw wrong(name, rule, value);
  }
}

/** Checks what is given of these options, and that nothing else is. */
export function checkOptions<T extends object>(given: T | undefined, rules: { [K in keyof T]-?: Rule | null }): T {
  const options = given ?? ({} as T);
  check('options', options, 'object');
  for (const key of Object.keys(options) as (keyof T & string)[]) {
    if (!(key in rules)) throw wrong('option', Object.keys(rules).join(', '), key);
    if (options[key] !== undefined && rules[key]) check(key, options[key], rules[key]);
  }
  return options;
}

/** Draws how long to wait after so many failures, in milliseconds. */
export type Backoff = (failures: number) => number;

export function backoffOf(given: BackoffOptions | undefined): Backoff {
  const { min = 500, max = Math.max(20_000, min), jitter = 1 } = checkOptions(given, { min: [1, MOST], max: [1, MOST], jitter: [0, 1] });
  check('max', max, [min, MOST]);
  return (failures) => Math.min(max, min * 2 ** failures) * (1 - jitter * Math.random());
}

export function urlOf(given: ClientUrl): string {
  try {
    const url = new URL(given as string, (globalThis as { location?: { href: string } }).location?.href);
    // http: becomes ws:, https: becomes wss:.
    url.protocol = url.protocol.replace('http', 'ws');
    url.hash = '';
    if (/^wss?:$/.test(url.protocol)) return url.href;
  } catch {
    // It is told below.
  }
  throw wrong('url', 'a ws: or wss: URL', given);
}
