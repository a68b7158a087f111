import type { Position, Since } from '../types/history.cjs';

// What clients send in the subprotocol `wsbroker.v1`, and what is answered. docs/protocol.md has
// all of it. What is read here was written by anybody.

export const SUBPROTOCOL = 'wsbroker.v1';

const MAX_MESSAGE = 64 << 10;
const MAX_TOKEN = 8 << 10;
/** Channels in one message. */
const MAX_CHANNELS = 100;
const MAX_ID = 64;
const MAX_EPOCH = 64;

/** A message of a client. */
export type ClientMessage =
  | { readonly type: 'hello'; readonly client: string; readonly token: string | undefined }
  | { readonly type: 'token'; readonly token: string }
  | { readonly type: 'subscribe'; readonly channels: readonly WantedChannel[] }
  | { readonly type: 'unsubscribe'; readonly channels: readonly string[] }
  | PublishMessage
  | RequestMessage;

export interface WantedChannel {
  readonly channel: string;
  readonly since: Since | undefined;
}

export interface PublishMessage {
  readonly type: 'publish';
  readonly id: string;
  readonly channel: string;
  readonly data: string | Buffer;
}

export interface RequestMessage {
  readonly type: 'request';
  readonly id: string | number;
  readonly data: unknown;
}

/** Why a channel is not subscribed. */
export type RefusalReason = 'forbidden' | 'limit' | 'unavailable' | 'subscribed';
/** Why a publish or a request failed. */
export type FailureReason = 'forbidden' | 'limit' | 'unavailable' | 'unknown' | 'error';

/** A message of the server, but for those that Rust writes. */
export type ServerMessage =
  | { readonly type: 'welcome' }
  | { readonly type: 'refused'; readonly channel: string; readonly reason: RefusalReason }
  | { readonly type: 'unsubscribed'; readonly channel: string; readonly reason?: 'forbidden' }
  | { readonly type: 'lost'; readonly channel: string; readonly position: Position }
  | {
      readonly type: 'published';
      readonly id: string;
      readonly position: Position;
      readonly duplicate: boolean;
    }
  | {
      readonly type: 'failed';
      readonly id: string | number;
      readonly reason: FailureReason;
      readonly message?: string;
    }
  | { readonly type: 'response'; readonly id: string | number; readonly data: unknown }
  | { readonly type: 'message'; readonly data: unknown };

/** What is wrong with a message. The connection is closed with 4400 and this reason. */
export class InvalidMessage extends Error {}

/** @throws {InvalidMessage} */
export function readMessage(text: string): ClientMessage {
  if (text.length > MAX_MESSAGE / 3 && Buffer.byteLength(text) > MAX_MESSAGE) {
    throw new InvalidMessage('message longer than 64 KiB');
  }
  const bag = object(parse(text), 'message');
  switch (bag['type']) {
    case 'hello':
      return {
        type: 'hello',
        client: matching(bag, 'client', /^[0-9a-f]{32}$/, '32 hex digits'),
        token: bag['token'] === undefined ? undefined : token(bag['token']),
      };
    case 'token':
      return { type: 'token', token: token(bag['token']) };
    case 'subscribe':
      return { type: 'subscribe', channels: list(bag).map(wanted) };
    case 'unsubscribe':
      return { type: 'unsubscribe', channels: list(bag).map(name) };
    case 'publish':
      return {
        type: 'publish',
        id: matching(bag, 'id', /^[!-~]{1,64}$/, '1 to 64 visible ASCII characters'),
        channel: name(bag['channel']),
        data: payload(bag),
      };
    case 'request':
      return { type: 'request', id: requestId(bag['id']), data: bag['data'] };
    default:
      throw new InvalidMessage('unknown type');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidMessage('not JSON');
  }
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidMessage(`${what} must be an object`);
  }
  return value as Record<string, unknown>;
}

function matching(
  bag: Record<string, unknown>,
  key: string,
  pattern: RegExp,
  expected: string,
): string {
  const value = bag[key];
  if (typeof value !== 'string' || !pattern.test(value)) {
    throw new InvalidMessage(`"${key}" must be ${expected}`);
  }
  return value;
}

function token(value: unknown): string {
  if (typeof value !== 'string') throw new InvalidMessage('"token" must be a string');
  if (Buffer.byteLength(value) > MAX_TOKEN) throw new InvalidMessage('"token" longer than 8 KiB');
  return value;
}

function list({ channels }: Record<string, unknown>): unknown[] {
  if (!Array.isArray(channels) || channels.length > MAX_CHANNELS) {
    throw new InvalidMessage(`"channels" must be an array of at most ${MAX_CHANNELS}`);
  }
  return channels;
}

/** A half of a surrogate pair would become another name in UTF-8. */
function name(value: unknown): string {
  if (typeof value !== 'string' || /\p{Surrogate}/u.test(value)) {
    throw new InvalidMessage('a channel must be a string of whole characters');
  }
  return value;
}

function wanted(value: unknown): WantedChannel {
  const bag = object(value, 'an entry of "channels"');
  return { channel: name(bag['channel']), since: since(bag['since']) };
}

function since(value: unknown): Since | undefined {
  if (value === undefined || value === 'now' || value === 'latest') return value;
  const { offset, epoch } = object(value, '"since"');
  if (
    typeof offset !== 'number' ||
    !Number.isSafeInteger(offset) ||
    offset < 0 ||
    typeof epoch !== 'string' ||
    epoch.length > MAX_EPOCH
  ) {
    throw new InvalidMessage('"since" must be a position, "now" or "latest"');
  }
  return { offset, epoch };
}

function payload({ data, base64 }: Record<string, unknown>): string | Buffer {
  if (typeof data === 'string' && base64 === undefined) return data;
  if (typeof base64 === 'string' && data === undefined && isBase64(base64)) {
    return Buffer.from(base64, 'base64');
  }
  throw new InvalidMessage('a publish must have "data", a string, or "base64"');
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

function requestId(value: unknown): string | number {
  if (typeof value === 'string' && value.length <= MAX_ID) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new InvalidMessage('"id" must be an integer, or a string of at most 64 characters');
}
