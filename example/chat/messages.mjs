// What a browser may say, and how long it may be. Everything from a socket is untrusted, so each
// message is checked here once, field by field. The rest of the code can rely on the values.

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
  /** Messages a room remembers for those who come later. */
  history: 50,
  /**
   * Bytes of one WebSocket message. A full `text` needs 6 KB when every character has the
   * longest encoding.
   */
  payload: 16 * 1024,
};

/** The one room everybody is in. */
export const LOBBY = 'lobby';

/**
 * Why a message was refused, in words that help the sender. `about` says which message, if that is
 * known.
 */
export class Refused extends Error {
  constructor(code, message, about) {
    super(message);
    this.code = code;
    this.about = about;
  }
}

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

const string = (value, field) => {
  if (typeof value !== 'string') throw new Refused('bad-message', `${field}: expected a string, got ${kind(value)}`);
  return value;
};

const bounded = (value, field, max) => {
  if (value.length === 0) throw new Refused('bad-message', `${field}: must not be empty`);
  if (value.length > max) {
    throw new Refused('bad-message', `${field}: at most ${max} characters, got ${value.length}`);
  }
  return value;
};

// A check takes what arrived and returns what the handlers see. NFC turns the two spellings of "é"
// into one.

const name = (value, field) =>
  bounded(string(value, field).normalize('NFC').replace(INVISIBLE, '').replace(/\s+/gu, ' ').trim(), field, limits.name);

const room = (value, field) => {
  const clean = string(value, field).normalize('NFC').trim().toLowerCase().replace(/^#/u, '').replace(/\s+/gu, '-');
  bounded(clean, field, limits.room);
  if (!/^[\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*$/u.test(clean)) {
    throw new Refused('bad-message', `${field}: letters, digits, - and _ only`);
  }
  return clean;
};

const text = (value, field) =>
  bounded(string(value, field).replace(/\r\n?/gu, '\n').replace(CONTROL, '').trim(), field, limits.text);

/**
 * A random key from the page: the id of a message, or the secret that identifies the page after a
 * reconnect.
 */
const key = (value, field) => {
  if (!/^[0-9a-f]{32}$/u.test(string(value, field))) {
    throw new Refused('bad-message', `${field}: expected 32 hexadecimal digits`);
  }
  return value;
};

const roomList = (value, field) => {
  if (!Array.isArray(value)) throw new Refused('bad-message', `${field}: expected a list, got ${kind(value)}`);
  if (value.length > limits.roomsJoined) throw new Refused('bad-message', `${field}: at most ${limits.roomsJoined} rooms`);
  return [...new Set(value.map((entry, index) => room(entry, `${field}[${index}]`)))];
};

/**
 * Every message a browser may send, with its fields. A Map, so that no type reaches
 * `Object.prototype`.
 */
const shapes = new Map(
  Object.entries({
    hello: { session: key, name, rooms: roomList },
    name: { name },
    join: { room },
    leave: { room },
    say: { room, id: key, text },
    typing: { room },
    rooms: {},
  }),
);

/**
 * Parses and checks one message. Returns a fresh object that has exactly the fields of its type:
 * anything else is removed. Throws `Refused`.
 */
export function parseMessage(json) {
  let raw;
  try {
    raw = JSON.parse(json);
  } catch {
    throw new Refused('bad-json', 'a message must be JSON');
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new Refused('bad-message', `a message must be a JSON object, got ${kind(raw)}`);
  }
  const shape = shapes.get(raw.type);
  if (!shape) {
    throw new Refused('unknown-type', `type: expected one of ${[...shapes.keys()].join(', ')}`);
  }
  const message = { type: raw.type };
  try {
    for (const [field, check] of Object.entries(shape)) message[field] = check(raw[field], field);
  } catch (error) {
    if (error instanceof Refused) error.about = aboutOf(raw);
    throw error;
  }
  return message;
}

/**
 * Which message an error reply is about: the page needs the id to mark the right text as not sent.
 */
const aboutOf = ({ type, id, room }) => ({ type, id: brief(id), room: brief(room) });
const brief = (value) => (typeof value === 'string' && value.length <= limits.room ? value : undefined);

const kind = (value) => (value === null ? 'null' : Array.isArray(value) ? 'a list' : `${typeof value}`);
