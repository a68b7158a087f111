// example/chat: what is said while somebody joins, on whatever thread, reaches them, and with Redis it outlives the server. What a visitor sees is in test/browser.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';

import { findRedis } from '../../example/redis.mjs';
import { connect, visitor } from './chat-visitor.mjs';
import { ENDED, startExample } from './example.mjs';
import { until } from './harness.mjs';

const ROUNDS = 60;
const startChat = (env) => startExample('example/chat/server.mjs', env);

const noRedis = spawnSync('redis-server', ['--version']).status === 0 ? false : 'no redis-server; enable with: apt-get install redis-server';

test('who joins hears what is said meanwhile, on all threads', { timeout: 90_000 }, async (t) => {
  const chat = await startChat({ THREADS: '4' });
  t.after(() => chat.stop());
  for (let round = 0; round < ROUNDS; round++) {
    const room = `room-${round}`;
    const [speaker, listener] = [visitor(chat.url, `speaker ${round}`), visitor(chat.url, `listener ${round}`)];
    speaker.enter(room);
    await speaker.isIn(room);
    listener.enter(room);
    const texts = ['one', 'two', 'three'];
    for (const text of texts) await speaker.say(room, text);
    await listener.isIn(room);
    const heard = () => new Set(listener.room(room).texts);
    await until(() => texts.every((text) => heard().has(text)), `all that was said in round ${round}`, 5000, () => `: heard ${[...heard()]}`);
    // The speaker is told of the other one, or found them in the list.
    const { people, news } = speaker.room(room);
    await until(() => [...people, ...news].some((one) => one.name === `listener ${round}`), 'the other one');
    for (const one of [speaker, listener]) one.client.close();
  }
  assert.equal(await chat.stop(), ENDED, chat.output());
});

test('what a page must not do is refused, in words', { timeout: 60_000 }, async (t) => {
  const chat = await startChat();
  t.after(() => chat.stop());
  const ada = visitor(chat.url, 'Ada');
  t.after(() => ada.client.close());
  ada.enter('lobby');
  await ada.isIn('lobby');
  const fails = (promise, reason, message) => assert.rejects(promise, (error) => {
    assert.equal(error.reason, reason);
    assert.match(error.message, message);
    return true;
  });
  for (const [data, message] of [
    [null, /type: expected one of people, newest/],
    ['people', /type: expected one of/],
    [{ type: '__proto__' }, /type: expected one of/],
    [{ type: 'people', room: 7 }, /room: expected a string, got number/],
    [{ type: 'people', room: 'Big Room' }, /room: small letters, digits/],
    [{ type: 'name', name: ' \u200b ' }, /name: must not be empty/],
    [{ type: 'name', name: 'x'.repeat(25) }, /name: at most 24 characters, got 25/],
    [{ type: 'leave', room: 'lobby' }, /nobody can leave lobby/],
  ]) await fails(ada.client.request(data), 'error', message);
  await fails(ada.say('lobby', '   '), 'error', /text: must not be empty/);
  await fails(ada.say('lobby', new Uint8Array([1])), 'error', /text: expected a string/);
  for (const channel of ['room:elsewhere', 'here:lobby', 'in:lobby', 'name:ada']) await fails(ada.client.publish(channel, 'x'), 'forbidden', /forbidden/);
  for (const channel of ['in:lobby', 'everyone', 'room:Lobby', 'room:']) {
    const ended = new Promise((resolve) => ada.client.subscribe(channel, { onMessage() {}, onEnd: resolve }));
    assert.equal(await ended, 'forbidden', channel);
  }
  const nobody = connect(chat.url, { token: () => JSON.stringify({ session: 'short', name: 'Eve' }) });
  t.after(() => nobody.close());
  const reasons = [];
  nobody.on('message', ({ type, reason }) => reasons.push([type, reason]));
  assert.equal(await new Promise((resolve) => nobody.subscribe('here:lobby', { onMessage() {}, onEnd: resolve })), 'forbidden');
  assert.deepEqual(reasons, [['refused', 'session: expected 32 hexadecimal digits']]);
  await fails(nobody.request({ type: 'rooms' }), 'error', /enter a room first/);
  assert.equal(await chat.stop(), ENDED);
  assert.doesNotMatch(chat.output(), /Error/);
});

test('a page that comes back while its old connection lingers replaces it, and asks anew who is there', { timeout: 60_000 }, async (t) => {
  const chat = await startChat();
  t.after(() => chat.stop());
  const session = randomBytes(16).toString('hex');
  const old = visitor(chat.url, 'Ada', session);
  old.enter('lobby');
  await old.isIn('lobby');
  const again = visitor(chat.url, 'Ada', session);
  // The old one would come back, and replace the new one in turn.
  old.client.on('state', ({ state }) => state === 'waiting' && old.client.close());
  t.after(() => [old, again].forEach(({ client }) => client.close()));
  again.enter('lobby');
  await again.isIn('lobby');
  assert.deepEqual(again.room('lobby').people.map(({ name }) => name), ['Ada']);
  await until(() => old.client.state === 'closed', 'the old connection to end');
});

test('killed, with Redis: what was said before and meanwhile comes once, and nothing is lost', { timeout: 90_000, skip: noRedis }, async (t) => {
  const redis = await findRedis('node --test');
  t.after(() => redis.close());
  const env = { REDIS_URL: redis.url };
  let chat = await startChat(env);
  t.after(() => chat.stop());
  const [ada, bob] = [visitor(chat.url, 'Ada'), visitor(chat.url, 'Bob')];
  t.after(() => [ada, bob].forEach(({ client }) => client.close()));
  for (const one of [ada, bob]) {
    one.enter('lobby');
    await one.isIn('lobby');
  }
  await ada.say('lobby', 'before');
  await until(() => bob.room('lobby').texts.includes('before'), 'what was said before');
  await chat.kill();
  await until(() => [ada, bob].every(({ client }) => client.state !== 'open'), 'both to notice');
  const written = ada.say('lobby', 'meanwhile');
  chat = await startChat({ ...env, ...chat.ports });
  await written;
  await bob.say('lobby', 'after');
  for (const { room } of [ada, bob]) {
    await until(() => room('lobby').texts.includes('after'), 'the last text');
    assert.deepEqual([room('lobby').texts, room('lobby').lost], [['before', 'meanwhile', 'after'], 0]);
  }
  await until(() => [ada, bob].every(({ room }) => room('lobby').people.length > 0), 'who is there');
});
