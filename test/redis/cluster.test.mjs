// Several processes on one Redis, as an application sees them.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { failure, launch, until } from '../e2e/harness.mjs';
import { instance, member, ready } from './instance.mjs';
import { startRedis } from './redis.mjs';

test('a publish on any instance reaches subscribers on all, once and in order', async (t) => {
  const redis = await startRedis(t);
  const servers = await Promise.all([instance(t, redis), instance(t, redis), instance(t, redis)]);
  await Promise.all(servers.map(ready));
  const members = await Promise.all(servers.map((server) => member(server, 'room')));
  const count = 200;
  const given = await Promise.all(servers.map((server, number) => server.main((wsb, kit, number, count) => {
    const counts = [];
    for (let i = 0; i < count; i++) counts.push(wsb.sendToChannel('room', i % 2 ? `${number} ${i}` : Buffer.from(`${number} ${i}`)));
    return counts;
  }, number, count)));
  assert.ok(given.flat().every((subscribers) => subscribers === 1), 'the subscribers of the instance are counted');
  for (const client of members) {
    const next = servers.map(() => 0);
    for (const message of await client.take(3 * count)) {
      const [number, i] = String(message).split(' ').map(Number);
      assert.equal(i, next[number]++, 'in the order of its publisher');
      assert.equal(typeof message, i % 2 ? 'string' : 'object', 'text as text, bytes as bytes');
    }
  }
  const { bus } = await servers[0].main((wsb) => wsb.stats());
  assert.deepEqual([bus.state, bus.published, bus.received, bus.missed, bus.dropped], ['ready', count, 2 * count, 0, 0]);
});

test('subscribers are counted, and a channel closed, on all instances', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await Promise.all([instance(t, redis, { instanceId: 'one' }), instance(t, redis, { instanceId: 'two' })]);
  await Promise.all([ready(one), ready(two)]);
  const clients = [await member(one, 'room'), await member(two, 'room'), await member(two, 'room')];
  await until(() => one.main((wsb) => wsb.stats().bus.instances === 1), 'they know each other');
  assert.deepEqual(await one.main((wsb) => wsb.subscriberCount('room', { cluster: true })), { count: 3, missing: [] });
  assert.equal(await one.main((wsb) => wsb.subscriberCount('room')), 1);
  assert.equal(await one.main((wsb) => wsb.closeChannel('room', 4000, 'over', { cluster: true })), 1);
  for (const client of clients) assert.deepEqual(await client.end(), { code: 4000, reason: 'over' });
});

test('instances with another prefix do not hear each other, also where names on the bus are the same', async (t) => {
  const redis = await startRedis(t);
  const [short, long] = await Promise.all([instance(t, redis, { prefix: 'app' }), instance(t, redis, { prefix: 'app:live' })]);
  await Promise.all([ready(short), ready(long)]);
  const [at, inside] = [await member(short, 'live:news'), await member(long, 'news')];
  const { Emitter } = await import('wsbroker/emitter');
  const { default: Redis } = await import('ioredis');
  const own = new Redis(redis.url);
  own.on('error', () => {});
  t.after(() => own.disconnect());
  await short.main((wsb) => wsb.sendToChannel('live:news', 'of app'));
  await long.main((wsb) => wsb.sendToChannel('news', 'of app:live'));
  for (const publisher of [redis.url, own]) {
    for (const [prefix, channel] of [['app', 'live:news'], ['app:live', 'news'], ['app', 'live:news']]) {
      const emitter = new Emitter({ redis: publisher, prefix });
      await emitter.publish(channel, `of ${prefix}`);
      await emitter.close();
    }
  }
  assert.deepEqual(await at.take(5), Array(5).fill('of app'));
  assert.deepEqual(await inside.take(3), Array(3).fill('of app:live'));
});

test('while Redis is away local subscribers are served, and afterwards the loss is reported', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await Promise.all([instance(t, redis), instance(t, redis)]);
  await Promise.all([ready(one), ready(two)]);
  const [here, there] = [await member(one, 'room'), await member(two, 'room')];
  const publish = (text) => one.main((wsb, kit, text) => wsb.sendToChannel('room', text), text);
  await publish('before');
  assert.deepEqual([await here.next(), await there.next()], ['before', 'before']);
  await redis.kill();
  for (const server of [one, two]) {
    const { event } = await server.told.next('bus', ({ event }) => event.state === 'lost');
    assert.equal(typeof event.reason, 'string');
  }
  for (const text of ['1', '2', '3']) {
    assert.equal(await publish(text), 1);
    assert.equal(await here.next(), text);
  }
  await redis.run();
  await Promise.all([ready(one), ready(two)]);
  await publish('after');
  assert.deepEqual([await here.next(), await there.next()], ['after', 'after']);
  const gap = await two.told.next('bus', ({ event }) => event.state === 'gap');
  assert.deepEqual(gap.event, { state: 'gap', channel: 'room', missed: 3 });
  const own = await one.told.next('bus', ({ event }) => event.state === 'gap');
  assert.deepEqual(own.event, { state: 'gap', missed: 3 }, 'the instance that published them is told, too');
});

test('while JavaScript is busy, gaps in many channels become one event', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await Promise.all([instance(t, redis), instance(t, redis)]);
  await Promise.all([ready(one), ready(two)]);
  const client = await two.connect();
  const CHANNELS = 300;
  await client.run((wsb, id, count) => {
    for (let i = 0; i < count; i++) wsb.subscribe(id, `room ${i}`);
  }, CHANNELS);
  assert.equal(await two.main((wsb, kit, last) => wsb.listening(last), `room ${CHANNELS - 1}`), true);
  const publish = (times = 1) => one.main((wsb, kit, count, times) => {
    for (let i = 0; i < count * times; i++) wsb.sendToChannel(`room ${i % count}`, 'x');
  }, CHANNELS, times);
  await publish();
  await client.take(CHANNELS);
  await redis.kill();
  for (const server of [one, two]) await server.told.next('bus', ({ event }) => event.state === 'lost');
  await publish(2);
  await redis.run();
  await Promise.all([ready(one), ready(two)]);
  // Its thread does nothing else until all that is missing is known.
  const busy = two.main((wsb, kit, missed) => {
    while (wsb.stats().bus.missed < missed);
  }, 2 * CHANNELS);
  await publish();
  await busy;
  const { event } = await two.told.next('bus', ({ event }) => event.state.startsWith('gap'));
  assert.deepEqual([event.state, event.count, event.missed, [...event.channels].sort()], ['gaps', CHANNELS, 2 * CHANNELS, Array.from({ length: CHANNELS }, (_, i) => `room ${i}`).sort()]);
  assert.deepEqual(await client.take(CHANNELS), Array(CHANNELS).fill('x'));
});

test('without Redis start resolves, unless it is required', async (t) => {
  const redis = await startRedis(t);
  await redis.kill();
  const server = await launch(t, { start: false });
  const given = { ...server.defaults, cluster: { redis: redis.url } };
  await server.start(given);
  assert.equal((await server.main((wsb) => wsb.stats())).bus.state, 'lost');
  await failure(server.main((wsb) => wsb.joinCluster({ redis: 'redis://127.0.0.1' })), { code: 'ERR_WSBROKER_CONFLICT' });
  await server.start({ ...given, bind: '127.0.0.1:0' });
  await server.main((wsb) => wsb.shutdown());
  await failure(server.start({ ...given, cluster: { redis: redis.url, required: true } }), { code: 'ERR_WSBROKER_BUS_LOST' });
  await redis.run();
  await server.start({ ...given, cluster: { redis: redis.url, required: true } });
  assert.equal((await server.main((wsb) => wsb.stats())).bus.state, 'ready');
});

test('joinCluster works before start and after it, and shutdown leaves', async (t) => {
  const redis = await startRedis(t);
  const server = await launch(t, { start: false });
  const join = (wsb, kit, url) => wsb.joinCluster({ redis: url, onBus: (event) => kit.tell('bus', { event }) });
  await server.main(join, redis.url);
  await server.start();
  await ready(server);
  await server.main((wsb) => wsb.shutdown());
  await server.start();
  assert.equal((await server.main((wsb) => wsb.stats())).bus, undefined);
  await server.main(join, redis.url);
  await ready(server);
});

test('an option that is wrong is named, and a password never', async (t) => {
  const server = await launch(t, { start: false });
  for (const [cluster, message, code = 'ERR_WSBROKER_INVALID_ARG_VALUE'] of [
    [{ redis: 'http://secret@x' }, /"cluster.redis" must be a redis:/],
    [{ redis: {}, prefx: 'x' }, /unknown option "prefx" in "cluster"; did you mean "prefix"/, 'ERR_WSBROKER_UNKNOWN_OPTION'],
    [{ redis: { host: 'a', nodes: [] } }, /one of url, host, nodes and sentinels, got host and nodes/],
    [{ redis: { sentinels: [{ host: 'a' }] } }, /"cluster.redis.name" must be the name of the primary/, 'ERR_WSBROKER_INVALID_ARG_TYPE'],
    [{ redis: { port: 0 } }, /"cluster.redis.port" must be an integer from 1 to 65535/],
    [{ redis: { host: 'a', tls: { ca: 'x' } } }, /"cluster.redis.tls.ca" must be PEM/],
    [{}, /"cluster.redis" must be a redis:\/\/ or rediss:\/\/ URL, or an object, got undefined/, 'ERR_WSBROKER_INVALID_ARG_TYPE'],
    [{ redis: {} }, /must have exactly one of url, host, nodes and sentinels, got none/],
    [{ redis: { nodes: [{ host: 'a' }], db: 2 } }, /"cluster.redis.db" must be left out/],
    [{ redis: { nodes: [] } }, /must contain at least one server/],
    [{ redis: 'redis://secret@a:99999' }, /"redis" must be a URL/],
  ]) {
    const error = await failure(server.start({ cluster }), { code, message });
    assert.doesNotMatch(error.message, /secret/);
  }
});

test('an emitter names the option that is wrong, also with a client of one\'s own', async () => {
  const { Emitter } = await import('wsbroker/emitter');
  const client = { publish: () => Promise.resolve() };
  for (const [options, message] of [
    [undefined, /"options" must be an object, got undefined/],
    ['redis://127.0.0.1', /"options" must be an object, got string/],
    [{ redis: client, timeout: 'x' }, /"timeout" must be a number of milliseconds, got string/],
    [{ redis: client, timeout: -1 }, /"timeout" must be an integer from 0 to 2147483647 milliseconds, got -1/],
    [{ redis: client, prefx: 'x' }, /unknown option "prefx"; did you mean "prefix"/],
  ]) assert.throws(() => new Emitter(options), message);
});

test('an emitter publishes from a process without sockets, with the native client and with one of its own', async (t) => {
  const redis = await startRedis(t);
  const server = await instance(t, redis);
  await ready(server);
  const client = await member(server, 'room');
  const process = await launch(t, { start: false });
  await process.main(async (wsb, kit, url) => {
    const { Emitter } = require(require('node:path').join(require('node:path').dirname(globalThis.process.env.WSB_PACKAGE), 'emitter.cjs'));
    const emitter = new Emitter({ redis: url });
    await Promise.all([emitter.publish('room', 'text'), emitter.publish(Buffer.from('room'), Buffer.from([1, 2]))]);
    await emitter.close();
  }, redis.url);
  assert.deepEqual(await client.take(2), ['text', Buffer.from([1, 2])]);
  const { Emitter } = await import('wsbroker/emitter');
  const { default: Redis } = await import('ioredis');
  const own = new Redis(redis.url);
  own.on('error', () => {});
  t.after(() => own.disconnect());
  const emitter = new Emitter({ redis: own });
  for (let i = 0; i < 300; i++) await emitter.publish('room', `${i}`);
  assert.deepEqual(await client.take(300), Array.from({ length: 300 }, (_, i) => `${i}`));
  const { bus } = await server.main((wsb) => wsb.stats());
  assert.deepEqual([bus.received, bus.missed, bus.invalid], [302, 0, 0]);
  await emitter.close();
  await assert.rejects(emitter.publish('room', 'late'), { code: 'ERR_WSBROKER_SHUT_DOWN' });
  await redis.kill();
  const lost = new Emitter({ redis: redis.url, timeout: 300 });
  await assert.rejects(lost.publish('room', 'x'), { code: 'ERR_WSBROKER_BUS_LOST' });
  await lost.close();
});

test('what a thread has joined, the same start on another thread joins again when the first has ended', async (t) => {
  const redis = await startRedis(t);
  for (const others of [true, false]) {
    // With a server of another thread's the broker goes on, and with it its place on the bus.
    const server = await launch(t, { start: others });
    const file = server.file('starter.cjs', `
      const { parentPort, workerData } = require('node:worker_threads');
      const wsb = require(process.env.WSB_PACKAGE);
      wsb.start({ bind: '127.0.0.1:0', ...workerData, cluster: { redis: ${JSON.stringify(redis.url)}, required: true, onBus: ({ state }) => parentPort.postMessage(state) } })
        .catch((error) => parentPort.postMessage(error.message));
    `);
    const first = (file, workerPath) => server.main((wsb, kit, file, workerData) => {
      const { Worker } = require('node:worker_threads');
      kit.thread = new Worker(file, { workerData });
      return new Promise((resolve) => kit.thread.once('message', resolve));
    }, file, workerPath);
    for (let round = 0; round < 2; round++) {
      assert.equal(await first(file, others ? {} : { workerPath: server.defaults.workerPath, threads: 1 }), 'ready');
      await server.main((wsb, kit) => kit.thread.terminate().then(() => {}));
    }
  }
});
