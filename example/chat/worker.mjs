// The chat itself. Every worker thread loads this file, and each connection belongs to one of them:
// Ada may be served by the first thread and Bob by the second. So a variable here cannot hold
// what both must see. It is in the broker, which all threads share:
//
//   a socket's token      who this is: { name, session, rooms }. Every handler gets it, and it can
//                         be read for any socket.
//   channel room:garden   who is in the room; publishing there reaches them on all threads.
//   channel name:ada      who has the name: at most one.
//   channel session:…     the connection of one open page: at most one.
//   channel everyone      all who said hello.
//
// A connection's handlers run one after the other on one thread, so a handler may read the token,
// change it and write it back without a lock: nothing else writes it.

import {
  close, getSubscribers, getToken, send, sendToChannel, setToken, subscribe, subscriberCount, terminate, unsubscribe,
  unsubscribeAll,
} from 'wsbroker';
import { lastMessages, remember } from './history.mjs';
import { LOBBY, Refused, limits, parseMessage } from './messages.mjs';

const EVERYONE = 'everyone';
const roomChannel = (room) => `room:${room}`;
const sessionChannel = (session) => `session:${session}`;
// Names that differ only in case, or in letters that look the same in another width, count as one.
const nameChannel = (name) => `name:${name.normalize('NFKC').toLowerCase()}`;

/**
 * A web page of any site may open a WebSocket to this server; the browser only tells us where the
 * page came from. Pages of our own host are accepted. Without an Origin it is not a browser, so no
 * user can be tricked.
 */
export function handleOpen(_socketId, _ip, headers) {
  if (headers.origin === undefined) return true;
  return hostname(headers.origin) !== undefined && hostname(headers.origin) === hostname(`http://${headers.host}`);
}

export async function handleTextMessage(text, socketId, token) {
  let message;
  try {
    message = parseMessage(text);
    const me = token && JSON.parse(token);
    if (charge(socketId) < 0) throw new Refused('slow-down', 'too many messages, wait a moment');
    if (!me && message.type !== 'hello') throw new Refused('hello-first', 'say hello first');
    if (me && message.type === 'hello') throw new Refused('hello-again', 'hello was said already');
    await answers[message.type](socketId, message, me);
  } catch (error) {
    refuse(socketId, error, message);
  }
}

export function handleBinaryMessage(_bytes, socketId) {
  refuse(socketId, new Refused('bad-message', 'messages are text'));
}

/**
 * The socket has left its channels by itself; its token still says which rooms must hear of it.
 */
export function handleClose(socketId, token) {
  allowances.delete(socketId);
  if (!token) return;
  for (const room of JSON.parse(token).rooms) publish(room, { type: 'left', room, id: socketId });
}

/** What to do for each type of message. `me` is the token: { name, session, rooms }. */
const answers = {
  async hello(socketId, { session, name, rooms }) {
    // After a network failure the page is back before the server knows that the old connection is
    // dead. The page proves with its session that it is the same one; the old connection gives up
    // its name and rooms at once.
    for (const old of getSubscribers(sessionChannel(session))) {
      unsubscribeAll(old);
      terminate(old);
    }
    subscribe(socketId, sessionChannel(session));
    const me = { name: freeName(socketId, name), session, rooms: [] };
    save(socketId, me);
    subscribe(socketId, EVERYONE);
    reply(socketId, { type: 'welcome', id: socketId, name: me.name, limits });
    // A full room must not keep anyone out of the others.
    for (const room of new Set([LOBBY, ...rooms])) {
      try {
        await join(socketId, me, room);
      } catch (error) {
        refuse(socketId, error, { type: 'join', room });
      }
    }
  },

  name(socketId, { name }, me) {
    if (nameChannel(name) !== nameChannel(me.name)) {
      if (!claimName(socketId, name)) throw new Refused('name-taken', `somebody is called ${name} already`);
      unsubscribe(socketId, nameChannel(me.name));
    }
    me.name = name;
    save(socketId, me);
    const change = { type: 'named', id: socketId, name };
    reply(socketId, change);
    for (const room of me.rooms) publish(room, { ...change, room });
  },

  async join(socketId, { room }, me) {
    await join(socketId, me, room);
  },

  leave(socketId, { room }, me) {
    if (room === LOBBY) throw new Refused('not-possible', `nobody can leave ${LOBBY}`);
    if (!me.rooms.includes(room)) return;
    me.rooms = me.rooms.filter((other) => other !== room);
    save(socketId, me);
    unsubscribe(socketId, roomChannel(room));
    publish(room, { type: 'left', room, id: socketId });
  },

  async say(socketId, { room, id, text }, me) {
    mustBeIn(room, me);
    const message = { id, from: socketId, name: me.name, text, at: Date.now() };
    // Keep first, publish second. Those who join subscribe first and read what is kept second, so
    // they find it there, or it is published to them, or both.
    await remember(room, message);
    // To everybody, the author too: when their own text comes back, it is known to have arrived.
    publish(room, { type: 'message', room, ...message });
  },

  typing(socketId, { room }, me) {
    mustBeIn(room, me);
    publish(room, { type: 'typing', room, id: socketId }, socketId);
  },

  /**
   * The list for the room picker. It goes through all connections, so it is made on request and not
   * kept up to date.
   */
  rooms(socketId) {
    charge(socketId, 4);
    const people = new Map([[LOBBY, 0]]);
    for (const id of getSubscribers(EVERYONE)) {
      for (const room of stateOf(id)?.rooms ?? []) people.set(room, (people.get(room) ?? 0) + 1);
    }
    const rooms = [...people].map(([room, count]) => ({ room, people: count }));
    rooms.sort((a, b) => b.people - a.people);
    reply(socketId, { type: 'rooms', rooms: rooms.slice(0, 100) });
  },
};

async function join(socketId, me, room) {
  const channel = roomChannel(room);
  if (!me.rooms.includes(room)) {
    if (me.rooms.length >= limits.roomsJoined) throw new Refused('too-many-rooms', `at most ${limits.roomsJoined} rooms at a time`);
    if (subscriberCount(channel) >= limits.peopleInRoom) throw new Refused('room-full', `#${room} is full`);
    me.rooms.push(room);
    save(socketId, me);
    subscribe(socketId, channel);
    publish(room, { type: 'joined', room, id: socketId, name: me.name }, socketId);
  }
  // Subscribe first, read second: what is said in between is among the last messages, or published
  // to us, or both, but never missing. So are those who come or go: in the list, or announced. The
  // page applies the announcements on top of the list, and knows messages by their ids.
  const messages = await lastMessages(room);
  const people = [];
  for (const id of getSubscribers(channel)) {
    const name = stateOf(id)?.name;
    if (name !== undefined) people.push({ id, name });
  }
  reply(socketId, { type: 'room', room, people, messages });
}

/**
 * Takes a name if it is free. Two threads may try for one name at the same instant, and there is no
 * lock between them. But a connection that is the only subscriber *after* subscribing has the name,
 * since the other one, which must have come later, sees two. At worst both see two and both give
 * up: a name may stay free, but it is never given twice.
 */
function claimName(socketId, name) {
  const channel = nameChannel(name);
  subscribe(socketId, channel);
  if (subscriberCount(channel) === 1) return true;
  unsubscribe(socketId, channel);
  return false;
}

/**
 * The name, or the next similar one that is free: a name should keep nobody out of a chat.
 */
function freeName(socketId, name) {
  if (claimName(socketId, name)) return name;
  for (const suffix of [2, 3, 4, 5, `#${socketId}`]) {
    const next = `${name.slice(0, limits.name - 1 - `${suffix}`.length)} ${suffix}`;
    if (claimName(socketId, next)) return next;
  }
  throw new Refused('name-taken', `somebody is called ${name} already`);
}

function mustBeIn(room, me) {
  if (!me.rooms.includes(room)) throw new Refused('not-in-room', `join #${room} first`);
}

/**
 * Tells a visitor why their message had no effect. `message` is the one it was about, if that is
 * known.
 */
function refuse(socketId, error, message) {
  // Our mistake, not theirs: wsbroker reports what a handler throws, and everything goes on.
  if (!(error instanceof Refused)) throw error;
  const about = error.about ?? (message && { type: message.type, id: message.id, room: message.room });
  reply(socketId, { type: 'error', code: error.code, message: error.message, about });
  // A refusal counts too, so that invalid messages are limited like valid ones, and a sender who
  // continues is disconnected.
  if (charge(socketId) < -BURST) close(socketId, 4008, 'too many messages');
}

const reply = (socketId, message) => send(socketId, JSON.stringify(message));

/**
 * To everyone in a room, in one call, whatever their number and threads: the broker does the rest
 * outside JavaScript.
 */
const publish = (room, message, exclude) =>
  sendToChannel(roomChannel(room), JSON.stringify(message), exclude === undefined ? undefined : { exclude });

const save = (socketId, me) => setToken(socketId, JSON.stringify(me));

/** What another socket's token says; undefined if it has none (yet), or has ended. */
function stateOf(socketId) {
  const token = getToken(socketId);
  return token && JSON.parse(token);
}

function hostname(url) {
  try {
    return new URL(url).hostname;
  } catch {
    return undefined;
  }
}

// A visitor may say 20 things at once and 5 a second in the long run. This can be a
// variable: a connection belongs to one worker, and if that worker dies, its successor may start
// counting again.
const BURST = 20;
const PER_SECOND = 5;
/** socketId -> { left, at } */
const allowances = new Map();

/** Uses up some of a visitor's allowance. Returns what is left; below zero it was too much. */
function charge(socketId, cost = 1) {
  const now = performance.now();
  const { left, at } = allowances.get(socketId) ?? { left: BURST, at: now };
  const refilled = Math.min(BURST, left + ((now - at) / 1000) * PER_SECOND);
  allowances.set(socketId, { left: refilled - cost, at: now });
  return refilled - cost;
}
