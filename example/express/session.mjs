// A session is a signed cookie: any thread can check it, and none has to remember it.

import { createHmac, timingSafeEqual } from 'node:crypto';

export const COOKIE = 'session';
/** How long a login holds, in seconds. */
export const LIFETIME = 8 * 3600;

const signature = (text, secret) => createHmac('sha256', secret).update(text).digest();

/** The value of the cookie for this name. */
export function seal(name, secret) {
  const text = Buffer.from(JSON.stringify({ name, until: Date.now() + LIFETIME * 1000 })).toString('base64url');
  return `${text}.${signature(text, secret).toString('base64url')}`;
}

/** Whose session it is, by the header `Cookie` of any request; undefined if it is not one of ours. */
export function nameIn(cookies, secret) {
  const [, value] = /(?:^|;\s*)session=([^;]+)/u.exec(cookies ?? '') ?? [];
  const [text = '', given = ''] = value?.split('.') ?? [];
  const expected = signature(text, secret);
  const bytes = Buffer.from(given, 'base64url');
  if (bytes.length !== expected.length || !timingSafeEqual(bytes, expected)) return undefined;
  const { name, until } = JSON.parse(Buffer.from(text, 'base64url').toString());
  return until > Date.now() ? name : undefined;
}
