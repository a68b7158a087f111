import { types } from 'node:util';
import { WSBrokerError } from '../errors.cjs';
import type { NativeAccept, NativeReject } from '../native.cjs';
import { isHttpToken, nearest, typeName } from '../options/checks.cjs';

/** Told to the addon. */
export type Judgement =
  | { readonly accepted: true; readonly detail: NativeAccept | undefined }
  | { readonly accepted: false; readonly detail: NativeReject };

export const ACCEPTED: Judgement = { accepted: true, detail: undefined };
/** `handleOpen` said no, or failed. */
export const FORBIDDEN: Judgement = { accepted: false, detail: { status: 403 } };
/** `handleOpen` said something that means nothing. */
export const BROKEN: Judgement = { accepted: false, detail: { status: 500 } };
/** `handleOpen` took too long. */
export const LATE: Judgement = { accepted: false, detail: { status: 503 } };

const ACCEPT_KEYS = ['protocol', 'headers', 'token', 'channels'];
const REJECT_KEYS = ['status', 'headers', 'body'];

/** Headers that the answer has anyhow, or that would change where it ends. */
const RESERVED = new Set([
  'connection',
  'content-length',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'transfer-encoding',
  'upgrade',
]);

/**
 * What the verdict means. `offered` are the client's subprotocols.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT if it means nothing; it never counts as an
 * acceptance
 */
export function judge(verdict: unknown, offered: readonly string[]): Judgement {
  if (verdict === undefined || verdict === true) return ACCEPTED;
  if (verdict === false) return FORBIDDEN;
  if (typeof verdict !== 'object' || verdict === null || Array.isArray(verdict))
    throw meaningless(`got ${typeName(verdict)}`);
  const bag = verdict as Record<string, unknown>;
  const refuses = 'status' in bag;
  const known = refuses ? REJECT_KEYS : ACCEPT_KEYS;
  const keys = Object.keys(bag);
  const odd = keys.find((key) => !known.includes(key));
  if (odd !== undefined) {
    const near = nearest(odd, known, 2);
    throw meaningless(
      `got an object with the unknown key "${odd}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
    );
  }
  // An empty Map, Date or record of a database is not the same as `{}`.
  if (keys.length === 0 && !isPlain(bag)) throw meaningless('got an object of a class');
  return refuses
    ? { accepted: false, detail: reject(bag) }
    : { accepted: true, detail: accept(bag, offered) };
}

function reject(bag: Record<string, unknown>): NativeReject {
  const { status, body } = bag;
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    throw meaningless(
      `"status" must be an integer from 200 to 599, got ${typeof status === 'number' ? status : typeName(status)}`,
    );
  }
  const detail: NativeReject = { status };
  if (bag['headers'] !== undefined) detail.headers = headerPairs(bag['headers']);
  if (body !== undefined) detail.body = typeof body === 'string' ? body : bytes(body, 'body');
  return detail;
}

function accept(bag: Record<string, unknown>, offered: readonly string[]): NativeAccept {
  const { protocol, token, channels } = bag;
  const detail: NativeAccept = {};
  if (protocol !== undefined) {
    if (typeof protocol !== 'string')
      throw meaningless(`"protocol" must be a string, got ${typeName(protocol)}`);
    if (!offered.includes(protocol))
      throw meaningless('"protocol" must be one of those that the client offered');
    detail.protocol = protocol;
  }
  if (bag['headers'] !== undefined) detail.headers = headerPairs(bag['headers']);
  if (token !== undefined)
    detail.token = typeof token === 'string' ? Buffer.from(token) : bytes(token, 'token');
  if (channels !== undefined) {
    if (!Array.isArray(channels))
      throw meaningless(`"channels" must be an array, got ${typeName(channels)}`);
    detail.channels = channels.map((channel: unknown) =>
      typeof channel === 'string' ? channel : bytes(channel, 'channels'),
    );
  }
  return detail;
}

function bytes(value: unknown, name: string): Uint8Array {
  // Not by `instanceof`: test runners give modules globals of their own.
  if (types.isUint8Array(value)) return value;
  if (types.isArrayBuffer(value)) return new Uint8Array(value);
  throw meaningless(
    `"${name}" must be ${name === 'channels' ? 'an array of' : 'a'} string, ArrayBuffer or Uint8Array, got ${typeName(value)}`,
  );
}

/**
 * What came from a request can be put into a header by mistake: a line break in it must not become
 * a header of its own.
 */
function headerPairs(headers: unknown): [string, string][] {
  if (typeof headers !== 'object' || headers === null)
    throw meaningless(`"headers" must be an object, got ${typeName(headers)}`);
  const entries: unknown[] =
    Symbol.iterator in headers ? [...(headers as Iterable<unknown>)] : Object.entries(headers);
  return entries.flatMap((entry) => {
    const [name, value] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof name !== 'string' || !isHttpToken(name))
      throw meaningless('"headers" has a name that HTTP does not allow');
    if (RESERVED.has(name.toLowerCase())) throw meaningless(`"headers" may not set ${name}`);
    return (Array.isArray(value) ? (value as unknown[]) : [value]).map((one): [string, string] => [
      name,
      headerValue(name, one),
    ]);
  });
}

function headerValue(name: string, value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number')
    throw meaningless(`"headers" must have strings as values, got ${typeName(value)} for ${name}`);
  const text = String(value);
  if (!/^[\t\x20-\x7e]*$/.test(text))
    throw meaningless(`"headers" has a value for ${name} that is not printable ASCII`);
  return text;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function meaningless(what: string): WSBrokerError {
  return new WSBrokerError(
    'ERR_WSBROKER_INVALID_VERDICT',
    `handleOpen: the verdict must be a boolean, nothing, or an object of the known keys: ${what}. Refused with 500`,
  );
}
