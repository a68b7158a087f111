// The chat itself. Pages use `wsbroker/client`: they subscribe to channels, publish, and send
// requests. This file says who may do what, and answers.
//
//   channel room:garden   what was said. wsbroker keeps it (`history` in server.mjs), so a page that
//                         comes back misses nothing, and a newcomer sees the newest of it.
//   channel here:garden   who comes, goes, types, or has another name
//
// Every worker thread loads this file, and each connection belongs to one of them: Ada may be served
// by the first thread and Bob by the second. So a variable here cannot hold what both must see. It
// is in the broker, which all threads share:
//
//   a socket's token      who this is: { name, session, rooms }. It can be read for any socket.
//   channel in:garden     who is in the room. On this channel and the next ones nobody ever
//                         publishes: they are lists of sockets.
//   channel name:ada      who has the name: at most one.
//   channel session:…     the connection of one open page: at most one.
//   channel everyone      all who are here.

import {
  getSubscribers, getToken, history, publish, sendToChannel, setToken, subscribe, subscriberCount, terminate, unsubscribe,
  unsubscribeAll,
} from 'wsbroker';
import { RequestError, sendMessage, serveChannels } from 'wsbroker/channels';
import { LOBBY, checkText, limits, parseChannel, parseRequest, parseToken } from './messages.mjs';

const EVERYONE = 'everyone';
const sessionChannel = (session) => `session:${session}`;
// Names that differ only in case, or in letters that look the same in another width, count as one.
const nameChannel = (name) => `name:${name.normalize('NFKC').toLowerCase()}`;

export default serveChannels({
  /**
   * A web page of any site may open a WebSocket to this server; the browser only tells us where the
   * page came from. Pages of our own host are accepted. Without an Origin it is not a browser, so no
   * user can be tricked.
   */
  handleOpen(_socketId, _ip, headers) {
    if (headers.origin === undefined) return true;
    return hostname(headers.origin) !== undefined && hostname(headers.origin) === hostname(`http://${headers.host}`);
  },

  /** Called for each channel that a page subscribes to, also when it comes back. */
  async authorize(socketId, channel, { token, action }) {
    const [about, room] = parseChannel(channel) ?? [];
    if (room === undefined) return false;
    try {
      const me = recognize(socketId, token);
      if (action === 'publish') return about === 'room' && me.rooms.includes(room);
      if (about === 'room') return true;
      await enter(socketId, me, room);
      // Nothing of the past, so that a page that comes back asks anew who is there.
      return { since: 'now' };
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      sendMessage(socketId, { type: 'refused', room, reason: error.message });
      return false;
    }
  },

  /** A page publishes what somebody has written. Everybody gets it with the author's name. */
  handlePublish(socketId, _channel, text, { id }) {
    const me = stateOf(socketId);
    return me !== undefined && JSON.stringify({ id, from: socketId, name: me.name, text: checkText(text), at: Date.now() });
  },

  handleRequest(socketId, data) {
    const request = parseRequest(data);
    const me = stateOf(socketId);
    if (!me) throw new RequestError('enter a room first');
    return answers[request.type](socketId, request, me);
  },

  /** The socket has left its channels by itself; its token still says which rooms must hear of it. */
  handleClose(socketId, token) {
    if (!token) return;
    for (const room of JSON.parse(token).rooms) tell(room, { type: 'left', id: socketId });
  },
});

/** The answers to requests, by type. `me` is the token: { name, session, rooms }. */
const answers = {
  people(_socketId, { room }) {
    return getSubscribers(`in:${room}`).flatMap((id) => {
      const name = stateOf(id)?.name;
      return name === undefined ? [] : [{ id, name }];
    });
  },

  /** The newest of what was said, the oldest first. */
  async newest(_socketId, { room }) {
    const { messages } = await history(`room:${room}`, { limit: limits.newest, reverse: true });
    return messages.reverse().map(({ data }) => JSON.parse(data));
  },

  leave(socketId, { room }, me) {
    if (room === LOBBY) throw new RequestError(`nobody can leave ${LOBBY}`);
    if (!me.rooms.includes(room)) return;
    me.rooms = me.rooms.filter((other) => other !== room);
    save(socketId, me);
    unsubscribe(socketId, `in:${room}`);
    tell(room, { type: 'left', id: socketId });
  },

  typing(socketId, { room }, me) {
    if (me.rooms.includes(room)) tell(room, { type: 'typing', id: socketId }, { exclude: socketId });
  },

  name(socketId, { name }, me) {
    if (nameChannel(name) !== nameChannel(me.name)) {
      if (!claimName(socketId, name)) throw new RequestError(`somebody is called ${name} already`);
      unsubscribe(socketId, nameChannel(me.name));
    }
    me.name = name;
    save(socketId, me);
    for (const room of me.rooms) tell(room, { type: 'named', id: socketId, name });
    return name;
  },

  /**
   * The list for the room picker. It goes through all connections, so it is made on request and not
   * kept up to date.
   */
  rooms() {
    const people = new Map([[LOBBY, 0]]);
    for (const id of getSubscribers(EVERYONE)) {
      for (const room of stateOf(id)?.rooms ?? []) people.set(room, (people.get(room) ?? 0) + 1);
    }
    const rooms = [...people].map(([room, count]) => ({ room, people: count }));
    return rooms.sort((a, b) => b.people - a.people).slice(0, 100);
  },
};

/** Who this connection is. The first time its name is claimed, and the page is told. */
function recognize(socketId, token) {
  const known = stateOf(socketId);
  if (known) return known;
  const { session, name } = parseToken(token);
  // After a network failure the page is back before the server knows that the old connection is
  // dead. The page proves with its session that it is the same one; the old connection gives up its
  // name and rooms at once.
  for (const old of getSubscribers(sessionChannel(session))) {
    unsubscribeAll(old);
    terminate(old);
  }
  const me = { name: freeName(socketId, name), session, rooms: [] };
  subscribe(socketId, sessionChannel(session));
  subscribe(socketId, EVERYONE);
  save(socketId, me);
  sendMessage(socketId, { type: 'welcome', id: socketId, name: me.name, limits });
  return me;
}

async function enter(socketId, me, room) {
  if (!me.rooms.includes(room)) {
    if (me.rooms.length >= limits.roomsJoined) throw new RequestError(`at most ${limits.roomsJoined} rooms at a time`);
    if (subscriberCount(`in:${room}`) >= limits.peopleInRoom) throw new RequestError(`#${room} is full`);
    me.rooms.push(room);
    save(socketId, me);
    subscribe(socketId, `in:${room}`);
  }
  // First the list, then the news of it. So a page that subscribes, and then asks for the list, gets
  // each arrival in one of the two, or in both. If Redis is away this page cannot subscribe either:
  // it asks again, and enters then.
  await publish(`here:${room}`, JSON.stringify({ type: 'joined', id: socketId, name: me.name })).catch(() => {});
}

/** To all pages in a room, in one call, whatever their number and threads. */
const tell = (room, news, options) => sendToChannel(`here:${room}`, JSON.stringify(news), options);

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

/** The name, or the next similar one that is free: a name should keep nobody out of a chat. */
function freeName(socketId, name) {
  if (claimName(socketId, name)) return name;
  for (const suffix of [2, 3, 4, 5, `#${socketId}`]) {
    const next = `${name.slice(0, limits.name - 1 - `${suffix}`.length)} ${suffix}`;
    if (claimName(socketId, next)) return next;
  }
  throw new RequestError(`somebody is called ${name} already`);
}

const save = (socketId, me) => setToken(socketId, JSON.stringify(me));

/** What a socket's token says; undefined if it has none (yet), or has ended. */
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
