// A visitor of example/chat without a page, in any version of Node.

import { randomBytes } from 'node:crypto';
import WebSocket from 'ws';

import { until } from './harness.mjs';

globalThis.WebSocket ??= class extends WebSocket {
  constructor(url, protocol) {
    super(url, protocol);
    // What goes wrong before it is open, which browsers tell by its close.
    this.on('error', () => {});
  }
};
export const { connect } = await import('wsbroker/client');

/** Somebody with a page, as far as the server can tell. */
export function visitor(url, name, session = randomBytes(16).toString('hex')) {
  const client = connect(url, { token: () => JSON.stringify({ session, name }), backoff: { min: 10, max: 100 } });
  const told = [];
  client.on('message', (message) => told.push(message));
  client.on('error', () => {});
  const rooms = new Map();
  const roomOf = (room) => {
    if (!rooms.has(room)) rooms.set(room, { texts: [], news: [], lost: 0, states: 0 });
    return rooms.get(room);
  };
  return {
    client,
    told,
    room: roomOf,
    enter(room) {
      const seen = roomOf(room);
      client.subscribe(`here:${room}`, {
        async getState() {
          seen.people = await client.request({ type: 'people', room });
        },
        onMessage: ({ data }) => seen.news.push(JSON.parse(data)),
        onEnd: (reason) => (seen.ended = reason),
      });
      client.subscribe(`room:${room}`, {
        async getState() {
          const messages = await client.request({ type: 'newest', room });
          seen.texts = [...seen.texts, ...messages.map(({ text }) => text)];
          seen.states += 1;
        },
        onMessage: ({ data }) => seen.texts.push(JSON.parse(data).text),
        onLost: () => (seen.lost += 1),
      });
    },
    isIn: (room) => until(() => roomOf(room).people?.length > 0 && roomOf(room).states > 0, `${name} to be in ${room}`),
    say: (room, text) => client.publish(`room:${room}`, text),
  };
}

