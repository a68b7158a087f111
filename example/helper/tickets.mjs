// Who a user is: a ticket, signed by this process, valid for a moment. A page gets one over HTTP
// and sends it in `authenticate`.
//
// Anyone may take any name here: there is no password. Put your check into `nameFor` in server.mjs;
// everything else stays as it is.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Long enough to connect. It travels before there is a key, so it should be useless to anyone who
 * finds it later.
 */
const LIFETIME = 30_000;
const LONGEST_NAME = 24;

const key = randomBytes(32);
const signature = (content) => createHmac('sha256', key).update(content).digest();

export function issue(name) {
  const content = Buffer.from(JSON.stringify({ name, until: Date.now() + LIFETIME })).toString('base64url');
  return `${content}.${signature(content).toString('base64url')}`;
}

/** The name on the ticket; undefined if it is not one of ours, or has expired. */
export function check(ticket, now = Date.now()) {
  if (typeof ticket !== 'string') return undefined;
  const [content, signed] = ticket.split('.');
  const given = Buffer.from(signed ?? '', 'base64url');
  const expected = signature(content);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const { name, until } = JSON.parse(Buffer.from(content, 'base64url').toString());
  return now < until ? name : undefined;
}

/** The canonical spelling of a name, or undefined if it is not a valid one. */
export function nameOf(given) {
  if (typeof given !== 'string') return undefined;
  const name = given.normalize('NFC').trim().replace(/\s+/gu, ' ');
  return [...name].length <= LONGEST_NAME && /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._'-]*$/u.test(name) ? name : undefined;
}
