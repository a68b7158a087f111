// The native transport on the native bus (form c): between two processes, on a Redis of the test's own. What needs no JavaScript crosses without it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { test } from 'node:test';

import { WebSocketEmitter } from 'wsbroker/server-helper';

import { until } from '../e2e/harness.mjs';
import { startRedis } from '../redis/redis.mjs';
import { between, crowd, pool, single, upToMark } from './native-kit.mjs';

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
  return upToMark(peers);
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

const require = createRequire(import.meta.url);

/** The two ways from a worker to Redis, as source. */
const ways = {
  'the native bus': ({ url }) => JSON.stringify(url),
  'a client of ioredis': ({ port }) => `new (require(${JSON.stringify(require.resolve('ioredis'))}).Redis)(${port}, '127.0.0.1', { lazyConnect: true })`,
};

for (const [name, way] of Object.entries(ways)) {
  test(`two processes of four workers and an emitter: everything reaches everybody it is for exactly once (${name})`, { skip }, async (t) => {
    const redis = await startRedis(t);
    const options = `{
      redisConnection: ${way(redis)},
      outboundTransformer: ({ event, data }) => (event === 'connected' ? null : { event: 'encrypted', data: { event, data } }),
    }`;
    const processes = [];
    for (let i = 0; i < 2; i++) {
      const server = await pool(t, { options });
      const peers = await crowd(server, 4, 2, (n) => ({ user: n % 2 === 0 ? 'even' : `${i} ${n}` }));
      processes.push({ server, peers });
    }
    const peers = processes.flatMap((one) => one.peers);
    const inRoom = (i) => i % 3 !== 0;
    const encrypted = new Set([1, 4, 9, 12]);
    for (const [i, peer] of peers.entries()) if (inRoom(i)) await peer.join('r');
    for (const i of encrypted) await peers[i].run((helper, { clientId }) => helper.enableClientEncryption({ clientId }));
    const emitter = new WebSocketEmitter({ redisConnection: redis.url });
    await emitter.configure();

    const ids = peers.map(({ id }) => id);
    const senders = processes.flatMap(({ peers: own }) => own.filter(({ thread }, i) => own.findIndex((peer) => peer.thread === thread) === i));
    assert.equal(senders.length, 8);
    const rounds = 5;
    const fromWorker = (peer, sender) => peer.run((helper, context, all, by, count) => {
      for (let round = 0; round < count; round++) {
        helper.send({ payload: { topic: 'all', data: [by, round] } });
        helper.send({ destination: 'r', payload: { topic: 'room', data: [by, round] } });
        for (const destination of all) helper.send({ destination, payload: { topic: 'client', data: [by, round] } });
      }
      helper.send({ payload: { topic: 'mark', data: by } });
    }, ids, sender, rounds);
    const fromEmitter = async () => {
      for (let round = 0; round < rounds; round++) {
        const data = ['emitter', round];
        await emitter.broadcast({ event: 'all', data });
        await emitter.toRoom({ room: 'r', event: 'room', data, exclude: [ids[2], ids[9]] });
        await emitter.toUser({ userId: 'even', event: 'user', data });
        for (const clientId of ids) await emitter.toClient({ clientId, event: 'client', data });
      }
      await emitter.broadcast({ event: 'mark', data: 'emitter' });
      await emitter.shutdown();
    };
    await Promise.all([...senders.map(fromWorker), fromEmitter()]);

    for (const [i, peer] of peers.entries()) {
      const wanted = [];
      for (const sender of [...senders.keys(), 'emitter']) {
        const excluded = sender === 'emitter' && [2, 9].includes(i);
        for (let round = 0; round < rounds; round++) {
          wanted.push(`all ${sender} ${round}`, `client ${sender} ${round}`);
          if (inRoom(i) && !excluded) wanted.push(`room ${sender} ${round}`);
          if (sender === 'emitter' && (i % 8) % 2 === 0) wanted.push(`user ${sender} ${round}`);
        }
      }
      const got = [];
      // What each has sent comes before its mark.
      for (let marks = 0; marks < senders.length + 1;) {
        const message = await peer.next();
        assert.equal(message.event === 'encrypted', encrypted.has(i));
        const { event, data } = encrypted.has(i) ? message.data : message;
        if (event === 'mark') marks++;
        else got.push(`${event} ${data.join(' ')}`);
      }
      assert.deepEqual(got.sort(), wanted.sort(), `client ${i}`);
    }
    for (const { peers: [peer] } of processes) {
      const { busState, ...counts } = await peer.run((helper) => helper.getStats());
      assert.deepEqual([busState, counts], ['ready', { busRefused: 0, busFailed: 0, busInvalid: 0, framesDropped: 0 }]);
    }
    // From the first `ready` on nothing was lost, and nobody was told of anything else.
    for (const { server } of processes) assert.deepEqual(server.told.of('bus').map(({ state }) => state), ['ready', 'ready', 'ready', 'ready']);
  });
}

for (const [name, way] of Object.entries(ways)) {
  test(`Redis goes and comes back while clients of every worker are online (${name})`, { skip }, async (t) => {
    const redis = await startRedis(t);
    const server = await pool(t, { threads: 2, options: `{ redisConnection: ${way(redis)} }` });
    const peers = await crowd(server, 2, 2);
    const every = (state) => until(async () => {
      for (const peer of peers) if (await peer.run((helper) => helper.getStats().busState) !== state) return false;
      return true;
    }, `every helper is ${state}`, 30_000);
    await redis.kill();
    await every('lost');
    const here = await between(peers[0], peers, () => peers[0].run((helper) => helper.broadcast({ event: 'here', data: 1 })));
    for (const messages of here) assert.deepEqual(events(messages), ['here']);
    await redis.run();
    await every('ready');
    const emitter = new WebSocketEmitter({ redisConnection: redis.url });
    await emitter.configure();
    await emitter.broadcast({ event: 'again', data: 1 });
    await emitter.shutdown();
    for (const peer of peers) assert.equal((await peer.next()).event, 'again');
    for (const { thread } of [peers[0], peers.find((peer) => peer.thread !== peers[0].thread)]) {
      assert.deepEqual(server.told.of('bus', (event) => event.thread === thread).map(({ state }) => state), ['ready', 'lost', 'ready']);
    }
  });
}

/** Some of it is made at once, some later. */
const ENCRYPTING = `
  serverOptions: { backpressureLimit: 1 << 26 },
  maxPendingTransforms: Infinity,
  outboundTransformer: async ({ event, data }) => {
    if (event === 'connected' || event === 'mark') return null;
    if (data % 5 === 0) await new Promise(setImmediate);
    return { event: 'encrypted', data: { event, data } };
  },`;

for (const [name, way] of Object.entries(ways)) {
  test(`a client that becomes encrypted while messages come gets each once and in order, and nothing in clear behind the first encrypted (${name})`, { skip }, async (t) => {
    const COUNT = 6_000;
    const redis = await startRedis(t);
    const server = await pool(t, { threads: 2, options: `{ redisConnection: ${way(redis)}, ${ENCRYPTING} }` });
    const peers = await crowd(server, 2, 4, () => ({ user: 'u' }));
    for (const peer of peers) await peer.join('r');
    const encrypt = (peer) => peer.run((helper, { clientId }) => helper.enableClientEncryption({ clientId }));
    // One at each worker is encrypted all the time: so its helper is told of each message.
    const first = peers.filter(({ thread }, i) => peers.findIndex((peer) => peer.thread === thread) === i);
    for (const peer of first) await encrypt(peer);
    const emitter = new WebSocketEmitter({ redisConnection: redis.url });
    await emitter.configure();
    t.after(() => emitter.shutdown());
    const flood = async () => {
      for (let i = 0; i < COUNT; i += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, j) => {
          const data = i + j;
          if (data % 3 === 0) return emitter.toRoom({ room: 'r', event: 'room', data, exclude: data % 2 === 0 ? ['nobody'] : undefined });
          return data % 3 === 1 ? emitter.toUser({ userId: 'u', event: 'user', data }) : emitter.broadcast({ event: 'all', data });
        }));
      }
      await emitter.broadcast({ event: 'mark', data: 0 });
    };
    const expected = Array.from({ length: COUNT }, (_, data) => [['room', 'user', 'all'][data % 3], data]);
    const read = async (peer, i) => {
      const got = [];
      let encrypted = false;
      for (;;) {
        const message = await peer.next();
        if (message.event === 'mark') break;
        const { event, data } = message.event === 'encrypted' ? message.data : message;
        assert.ok(message.event === 'encrypted' || !encrypted, `client ${i}: ${data} came in clear behind an encrypted one`);
        encrypted = message.event === 'encrypted';
        got.push([event, data]);
        if (got.length === 400 * (i + 1)) encrypt(peer).catch(() => {});
      }
      assert.ok(encrypted, `client ${i} became encrypted`);
      assert.deepEqual(got, expected, `client ${i}`);
    };
    await Promise.all([flood(), ...peers.map(read)]);
  });
}

test('shutdown ends a configure that waits for Redis, and nothing of it keeps the process', async (t) => {
  const sockets = [];
  const silent = createServer((socket) => sockets.push(socket.on('error', () => {})));
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    silent.close();
    for (const socket of sockets) socket.destroy();
  });
  const server = await single(t, { redisConnection: { host: '127.0.0.1', port: silent.address().port, connectTimeout: 60_000 } }, { configured: false, clean: false });
  await server.run((helper, context) => void (context.outcome = helper.configure().then(() => 'configured', ({ code }) => code)));
  await until(() => sockets.length > 0, 'it to be at its connections');
  const ended = await server.run(async (helper, { outcome }) => {
    await helper.shutdown();
    return outcome;
  });
  assert.equal(ended, 'ERR_WSBROKER_SHUT_DOWN');
  await server.main((wsb, kit) => kit.hold(false));
  // By itself: a client that waited would do so for 30 s.
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});
