// example/chat: what is said while somebody joins, on whatever thread, reaches them. What a visitor sees is in test/browser.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import WebSocket from 'ws';

import { startExample } from './example.mjs';
import { until } from './harness.mjs';

const ROUNDS = 60;
const key = () => randomBytes(16).toString('hex');

/** A connection to the chat, and what it hears. */
async function guest(url) {
  const socket = new WebSocket(url.replace('http', 'ws'));
  const heard = [];
  socket.on('message', (data) => heard.push(JSON.parse(data)));
  socket.on('error', () => {});
  await new Promise((resolve, reject) => socket.once('open', resolve).once('close', reject));
  const say = (message) => socket.send(JSON.stringify(message));
  return {
    say,
    hello: (name, room) => say({ type: 'hello', session: key(), name, rooms: [room] }),
    isIn: (room) => until(() => heard.some((one) => one.type === 'room' && one.room === room), `the list of ${room}`),
    /** The texts said in a room: among its last messages, and afterwards. */
    texts: (room) => heard.flatMap((one) => (one.room !== room ? [] : one.type === 'room' ? one.messages : one.type === 'message' ? [one] : [])).map(({ text }) => text),
    end: () => socket.terminate(),
  };
}

test('who joins hears what is said meanwhile, on all threads', { timeout: 90_000 }, async (t) => {
  const chat = await startExample('example/chat/server.mjs', { THREADS: '4' });
  t.after(() => chat.stop());
  for (let round = 0; round < ROUNDS; round++) {
    const room = `room-${round}`;
    const [speaker, listener] = await Promise.all([guest(chat.url), guest(chat.url)]);
    speaker.hello(`speaker ${round}`, room);
    await speaker.isIn(room);
    listener.hello(`listener ${round}`, room);
    const texts = ['one', 'two', 'three'];
    for (const text of texts) {
      speaker.say({ type: 'say', room, id: key(), text });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await listener.isIn(room);
    await until(() => speaker.texts(room).length === texts.length, 'what was said to come back');
    await until(() => texts.every((text) => listener.texts(room).includes(text)), `all that was said in round ${round}`, 5000, () => `: heard ${listener.texts(room)}`);
    for (const one of [speaker, listener]) one.end();
  }
  assert.equal(await chat.stop(), 0, chat.output());
});
