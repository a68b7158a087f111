// The native transport on the native bus (form c): between two processes, on a Redis of the test's own. What needs no JavaScript crosses without it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { startRedis } from '../redis/redis.mjs';
import { between, crowd, pool } from './native-kit.mjs';

const skip = spawnSync('redis-server', ['--version']).error === undefined ? false : 'there is no redis-server';
const events = (messages) => messages.map(({ event }) => event);

/** Two processes of two workers each, with two clients at each worker. */
async function instances(t, options = '') {
  const redis = await startRedis(t);
  const make = async () => {
    const server = await pool(t, { threads: 2, options: `{ redisConnection: ${JSON.stringify(redis.url)}, ${options} }` });
    return { server, peers: await crowd(server, 2, 2, (i) => ({ user: `u${i}` })) };
  };
  return { redis, here: await make(), there: await make() };
}

/** What these clients got of what `publish` sent at `from`, up to a mark that goes the same way behind it. */
async function across(from, peers, publish) {
  await from.run(publish, peers.map(({ id }) => id));
  await from.run((helper, context, ids) => {
    for (const id of ids) helper.send({ destination: id, payload: { topic: 'mark', data: null } });
  }, peers.map(({ id }) => id));
  const got = [];
  for (const peer of peers) {
    const messages = [];
    for (;;) {
      const message = await peer.next();
      if (message.event === 'mark') break;
      messages.push(message);
    }
    got.push(messages);
  }
  return got;
}

test('send reaches clients, rooms and everybody of another instance, each once', { skip }, async (t) => {
  const { here, there } = await instances(t);
  const [from] = here.peers;
  const all = [...here.peers, ...there.peers];
  for (const peer of all.filter((peer, i) => i % 2 === 0)) await peer.join('r');
  const got = await across(from, all, (helper, context, ids) => {
    helper.send({ destination: 'r', payload: { topic: 'room', data: { a: [1, 'ü'] } } });
    helper.send({ payload: { topic: 'all', data: null } });
    helper.send({ destination: ids[5], payload: { topic: 'one', data: 1 } });
  });
  got.forEach((messages, i) => {
    assert.deepEqual(events(messages), [...(i % 2 === 0 ? ['room'] : []), 'all', ...(i === 5 ? ['one'] : [])], `client ${i}`);
    if (i % 2 === 0) assert.deepEqual(messages[0].data, { a: [1, 'ü'] });
  });
});

test('what needs no JavaScript reaches clients while every worker of the instance stands still', { skip }, async (t) => {
  const { here, there } = await instances(t);
  for (const peer of there.peers) await peer.join('r');
  const one = there.peers.filter(({ thread }, i) => there.peers.findIndex((peer) => peer.thread === thread) === i);
  const busy = one.map((peer) => peer.run((helper, { kit }) => {
    const fs = require('node:fs');
    const wait = new Int32Array(new SharedArrayBuffer(4));
    kit.tell('standing');
    while (!fs.existsSync('go on')) Atomics.wait(wait, 0, 0, 5);
  }));
  for (let i = 0; i < one.length; i++) await there.server.told.next('standing');
  await here.peers[0].run((helper, context, id) => {
    helper.send({ destination: 'r', payload: { topic: 'room', data: 1 } });
    helper.send({ payload: { topic: 'all', data: 1 } });
    helper.send({ destination: id, payload: { topic: 'one', data: 1 } });
  }, there.peers[0].id);
  for (const [i, peer] of there.peers.entries()) {
    assert.deepEqual(events(await peer.take(i === 0 ? 3 : 2)), i === 0 ? ['room', 'all', 'one'] : ['room', 'all']);
  }
  there.server.file('go on', '');
  await Promise.all(busy);
});

test('encrypted clients of another instance get it through their own transformer', { skip }, async (t) => {
  const transformer = "outboundTransformer: ({ event, data }) => (['connected', 'mark'].includes(event) ? null : { event: 'encrypted', data: { event, data } })";
  const { here, there } = await instances(t, transformer);
  for (const peer of there.peers) await peer.join('r');
  for (const i of [0, 3]) await there.peers[i].run((helper, { clientId }) => helper.enableClientEncryption({ clientId }));
  const got = await across(here.peers[0], there.peers, (helper, context, ids) => {
    helper.send({ destination: 'r', payload: { topic: 'room', data: 1 } });
    helper.send({ payload: { topic: 'all', data: 2 } });
    helper.send({ destination: ids[3], payload: { topic: 'one', data: 3 } });
  });
  got.forEach((messages, i) => {
    const seen = messages.map((message) => ([0, 3].includes(i) ? message.data : message));
    assert.deepEqual(seen, [{ event: 'room', data: 1 }, { event: 'all', data: 2 }, ...(i === 3 ? [{ event: 'one', data: 3 }] : [])], `client ${i}`);
  });
});

test('a helper that leaves does not take the bus of its instance with it', { skip }, async (t) => {
  const { here, there } = await instances(t);
  const first = there.peers[0];
  await first.run((helper) => void helper.shutdown());
  await first.end();
  const rest = there.peers.filter(({ thread }) => thread !== first.thread);
  const got = await across(here.peers[0], rest, (helper) => helper.send({ payload: { topic: 'all', data: 1 } }));
  for (const messages of got) assert.deepEqual(events(messages), ['all']);
  const own = await between(rest[0], rest, () => rest[0].run((helper) => helper.broadcast({ event: 'own', data: 1 })));
  for (const messages of own) assert.deepEqual(events(messages), ['own']);
});
