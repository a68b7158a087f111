import { types } from 'node:util';
import { WSBrokerError } from '../errors.cjs';
import type { NativeAccept, NativeReject } from '../native.cjs';
import { mostSimilar, typeName } from '../options/checks.cjs';
import { headerPairs } from '../options/headers.cjs';

/** What the addon gets. */
export type CheckedVerdict =
  | {
      readonly accepted: true;
      readonly detail: NativeAccept | undefined;
      /** See {@link WHEN_ACCEPTED}. */
      readonly whenAccepted?: (() => void) | undefined;
    }
  | { readonly accepted: false; readonly detail: NativeReject };

export const ACCEPTED: CheckedVerdict = { accepted: true, detail: undefined };
/** `handleOpen` refused, or failed. */
export const FORBIDDEN: CheckedVerdict = { accepted: false, detail: { status: 403 } };
/** `handleOpen` returned something that is not a verdict. */
export const INVALID: CheckedVerdict = { accepted: false, detail: { status: 500 } };
/** `handleOpen` took too long. */
export const TIMED_OUT: CheckedVerdict = { accepted: false, detail: { status: 503 } };

/**
 * A property of verdicts that accept: a function. It is called just before the addon gets the
 * verdict, so that what it sends and subscribes takes effect with the 101, and only if nothing but
 * the client can prevent that any more: each call is followed by one `handleClose`. If it throws,
 * the connection is refused with 500.
 */
export const WHEN_ACCEPTED = Symbol('wsbroker.whenAccepted');

const ACCEPT_KEYS = ['protocol', 'headers', 'token', 'channels'];
const REJECT_KEYS = ['status', 'headers', 'body'];

/**
 * Checks a verdict. `offered` are the client's subprotocols.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT: it is not a verdict, and must not count as
 * an acceptance
 */
export function checkVerdict(verdict: unknown, offered: readonly string[]): CheckedVerdict {
  if (verdict === undefined || verdict === true) return ACCEPTED;
  if (verdict === false) return FORBIDDEN;
  if (typeof verdict !== 'object' || verdict === null || Array.isArray(verdict)) {
    throw invalidVerdict(`got ${typeName(verdict)}`);
  }
  const bag = verdict as Record<string, unknown>;
  const refuses = 'status' in bag;
  const known = refuses ? REJECT_KEYS : ACCEPT_KEYS;
  const keys = Object.keys(bag);
  const odd = keys.find((key) => !known.includes(key));
  if (odd !== undefined) {
    const similar = mostSimilar(odd, known, 2);
    const advice = similar === undefined ? '' : `; did you mean "${similar}"?`;
    throw invalidVerdict(`got an object with the unknown key "${odd}"${advice}`);
  }
  // An empty Map, Date or record of a database is not the same as `{}`.
  if (keys.length === 0 && !isPlain(bag)) throw invalidVerdict('got an instance of a class');
  return refuses
    ? { accepted: false, detail: reject(bag) }
    : {
        accepted: true,
        detail: accept(bag, offered),
        whenAccepted: (verdict as { readonly [WHEN_ACCEPTED]?: () => void })[WHEN_ACCEPTED],
      };
}

function reject(bag: Record<string, unknown>): NativeReject {
  const { status, body } = bag;
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    throw invalidVerdict(
      '"status" must be an integer from 200 to 599, got ' +
        `${typeof status === 'number' ? status : typeName(status)}`,
    );
  }
  const detail: NativeReject = { status };
  if (bag['headers'] !== undefined) detail.headers = headerPairs(bag['headers'], invalidVerdict);
  if (body !== undefined) detail.body = typeof body === 'string' ? body : bytes(body, 'body');
  return detail;
}

function accept(bag: Record<string, unknown>, offered: readonly string[]): NativeAccept {
  const { protocol, token, channels } = bag;
  const detail: NativeAccept = {};
  if (protocol !== undefined) {
    if (typeof protocol !== 'string') {
      throw invalidVerdict(`"protocol" must be a string, got ${typeName(protocol)}`);
    }
    if (!offered.includes(protocol)) {
      throw invalidVerdict('"protocol" must be one of those that the client offered');
    }
    detail.protocol = protocol;
  }
  if (bag['headers'] !== undefined) detail.headers = headerPairs(bag['headers'], invalidVerdict);
  if (token !== undefined) {
    detail.token = typeof token === 'string' ? Buffer.from(token) : bytes(token, 'token');
  }
  if (channels !== undefined) {
    if (!Array.isArray(channels)) {
      throw invalidVerdict(`"channels" must be an array, got ${typeName(channels)}`);
    }
    detail.channels = channels.map((channel: unknown) =>
      typeof channel === 'string' ? channel : bytes(channel, 'channels'),
    );
  }
  return detail;
}

function bytes(value: unknown, name: string): Uint8Array {
  // `instanceof` would not do: test runners give modules globals of their own.
  if (types.isUint8Array(value)) return value;
  if (types.isArrayBuffer(value)) return new Uint8Array(value);
  throw invalidVerdict(
    `"${name}" must be ${name === 'channels' ? 'an array of' : 'a'} string, ArrayBuffer or ` +
      `Uint8Array, got ${typeName(value)}`,
  );
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function invalidVerdict(what: string): WSBrokerError {
  const end = what.endsWith('?') ? '' : '.';
  return new WSBrokerError(
    'ERR_WSBROKER_INVALID_VERDICT',
    'handleOpen: the verdict must be undefined, a boolean, { status, headers?, body? } or ' +
      `{ protocol?, headers?, token?, channels? }: ${what}${end} The client got 500`,
  );
}
