// What a browser may say, and how long it may be. Everything from a socket is untrusted, so it is
// checked here once, field by field. The rest of the code can rely on the values.

import { RequestError } from 'wsbroker/channels';

/**
 * The limits, in one place. The page gets those it needs with `welcome`, so that the two never
 * disagree.
 */
export const limits = {
  /** Longest name and room, in UTF-16 code units: what `maxlength` counts in the page. */
  name: 24,
  room: 32,
  /** Longest message text, likewise. */
  text: 2000,
  /** Rooms one visitor may be in at a time. */
  roomsJoined: 20,
  /** People in one room: the list of who is here is sent whole, so it must be bounded. */
  peopleInRoom: 500,
  /** Messages of a room that a page shows at first. */
  newest: 50,
  /**
   * Bytes of one WebSocket message. A full `text` needs 12 KB when every character is escaped in
   * JSON.
   */
  payload: 16 * 1024,
};

/** The one room everybody is in. */
export const LOBBY = 'lobby';

/**
 * Control characters, and the marks that change the writing direction, which can make one name look
 * like another.
 */
const INVISIBLE = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;
/**
 * The same for texts, where a new line and a tab are allowed, and so are joiners, which emoji and
 * some scripts need.
 */
const CONTROL = /(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

// What these functions throw, the page shows: wsbroker passes a RequestError on to the client.

const string = (value, field) => {
  if (typeof value !== 'string') throw new RequestError(`${field}: expected a string, got ${kind(value)}`);
  return value;
};

const bounded = (value, field, max) => {
  if (value.length === 0) throw new RequestError(`${field}: must not be empty`);
  if (value.length > max) {
    throw new RequestError(`${field}: at most ${max} characters, got ${value.length}`);
  }
  return value;
};

// A check takes what arrived and returns what the handlers see. NFC turns the two spellings of "é"
// into one.

const name = (value, field) =>
  bounded(string(value, field).normalize('NFC').replace(INVISIBLE, '').replace(/\s+/gu, ' ').trim(), field, limits.name);

const room = (value, field) => {
  const clean = string(value, field);
  bounded(clean, field, limits.room);
  if (!isRoom(clean)) throw new RequestError(`${field}: small letters, digits, - and _ only`);
  return clean;
};

const isRoom = (value) =>
  value.length <= limits.room && value === value.normalize('NFC').toLowerCase() && /^[\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*$/u.test(value);

/** The random key of an open page. */
const key = (value, field) => {
  if (!/^[0-9a-f]{32}$/u.test(string(value, field))) {
    throw new RequestError(`${field}: expected 32 hexadecimal digits`);
  }
  return value;
};

/** What is said in a room. */
export const checkText = (value) =>
  bounded(string(value, 'text').replace(/\r\n?/gu, '\n').replace(CONTROL, '').trim(), 'text', limits.text);

/** `room:garden` as ['room', 'garden']; undefined if it is no channel of the chat. */
export function parseChannel(channel) {
  const [, about, of] = /^(room|here):(.*)$/su.exec(channel) ?? [];
  return about !== undefined && isRoom(of) ? [about, of] : undefined;
}

/** Who a page says it is: its token. Throws a `RequestError`. */
export function parseToken(token) {
  return fieldsOf(json(token ?? 'null'), 'token', { session: key, name });
}

/**
 * Every request a page may make, with its fields. A Map, so that no type reaches
 * `Object.prototype`.
 */
const requests = new Map(
  Object.entries({
    people: { room },
    newest: { room },
    leave: { room },
    typing: { room },
    name: { name },
    rooms: {},
  }),
);

/**
 * Checks one request. Returns a fresh object that has exactly the fields of its type: anything else
 * is removed. Throws a `RequestError`.
 */
export function parseRequest(data) {
  const type = data?.type;
  const fields = requests.get(type);
  if (!fields) throw new RequestError(`type: expected one of ${[...requests.keys()].join(', ')}`);
  return { type, ...fieldsOf(data, 'request', fields) };
}

function fieldsOf(value, what, fields) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestError(`${what}: expected an object, got ${kind(value)}`);
  }
  return Object.fromEntries(Object.entries(fields).map(([field, check]) => [field, check(value[field], field)]));
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestError('token: expected JSON');
  }
}

const kind = (value) => (value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value);
