// Forms a and b of `redisConnection` with a real Redis and the real ioredis: alone, and as a Cluster. Sockets are fakes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Cluster, Redis } from 'ioredis';

import { until } from '../e2e/harness.mjs';
import { startRedis } from '../redis/redis.mjs';
import { lib, world } from './world.mjs';

const { WebSocketEmitter } = lib;

const escaped = [];
process.on('unhandledRejection', (error) => escaped.push(error));
process.on('uncaughtExceptionMonitor', (error) => escaped.push(error));
after(() => assert.deepEqual(escaped, [], 'nothing escapes'));

/** How the application has its Redis: what the two kinds of it need, and how a client of each is made. */
const kinds = [
  { name: 'a single Redis', start: (t) => startRedis(t), client: ({ port }) => new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => 50 }) },
  {
    name: 'a Redis Cluster',
    start: (t) => startRedis(t, { cluster: true }),
    client: ({ port }) => new Cluster([{ host: '127.0.0.1', port }], { lazyConnect: true, clusterRetryStrategy: () => 50, redisOptions: { connectTimeout: 2000 } }),
  },
];

for (const { name, start, client } of kinds) {
  /** A helper on that Redis, with what its application is told. */
  const instance = async (t, redis, options = {}) => {
    const parent = client(redis);
    t.after(() => parent.disconnect());
    const states = [];
    const w = await world(t, { redis: parent, busStateFn: (state) => states.push(state), ...options });
    return Object.assign(w, { states, parent });
  };

  test(`two instances and an emitter reach each other's clients for all four types, exactly once (${name})`, async (t) => {
    const redis = await start(t);
    const [one, two] = [await instance(t, redis), await instance(t, redis, { redis: { getClient: () => client(redis) } })];
    assert.equal(one.parent.status, 'wait', 'the parent is left alone');
    const [a, b, c] = [await one.member({ user: 'u' }), await two.member({ user: 'u' }), await two.connect()];
    two.helper.joinRoom({ clientId: b.id, room: 'r' });
    const emitter = new WebSocketEmitter({ redisConnection: client(redis) });
    t.after(() => emitter.shutdown());
    await emitter.configure();
    const cases = [
      [() => one.helper.send({ payload: { topic: 'all', data: 1 } }), [1, 1, 0]],
      [() => two.helper.send({ destination: 'r', payload: { topic: 'room', data: 1 } }), [0, 1, 0]],
      [() => one.helper.send({ destination: 'r', payload: { topic: 'room', data: 1 } }), [0, 1, 0]],
      [() => one.helper.send({ destination: b.id, payload: { topic: 'client', data: 1 } }), [0, 1, 0]],
      [() => one.helper.send({ destination: c.id, payload: { topic: 'unauthenticated', data: 1 } }), [0, 0, 1]],
      [() => emitter.toClient({ clientId: a.id, event: 'client', data: 1 }), [1, 0, 0]],
      [() => emitter.toUser({ userId: 'u', event: 'user', data: 1 }), [1, 1, 0]],
      [() => emitter.toRoom({ room: 'ws-default', event: 'room', data: 1, exclude: [a.id] }), [0, 1, 0]],
      [() => emitter.broadcast({ event: 'all', data: 1 }), [1, 1, 0]],
    ];
    const wanted = [0, 0, 0];
    for (const [send, counts] of cases) {
      await send();
      counts.forEach((count, i) => (wanted[i] += count));
    }
    const got = () => [a, b, c].map(({ socket, taken }) => socket.texts.length - taken);
    await until(() => got().every((count, i) => count >= wanted[i]), 'all arrives');
    // What would come twice comes before an answer to a question that is asked now.
    one.helper.send({ destination: c.id, payload: { topic: 'fence', data: 1 } });
    two.helper.send({ destination: a.id, payload: { topic: 'fence', data: 1 } });
    await until(() => [a, c].every(({ socket }) => socket.texts.at(-1).includes('fence')), 'the fences arrive');
    assert.deepEqual(got(), [wanted[0] + 1, wanted[1], wanted[2] + 1]);
    assert.deepEqual([one.states, two.states], [['ready'], ['ready']]);
  });

  test(`Redis goes and comes back while clients are online (${name})`, async (t) => {
    const redis = await start(t);
    const [one, two] = [await instance(t, redis), await instance(t, redis)];
    const [a, b] = [await one.member(), await two.member()];
    const states = [];
    const emitter = new WebSocketEmitter({ redisConnection: client(redis), busStateFn: (state) => states.push(state) });
    t.after(() => emitter.shutdown());
    await emitter.configure();
    for (let round = 1; round <= 2; round++) {
      await redis.kill();
      await until(() => [one, two].every(({ states }) => states.at(-1) === 'lost') && states.at(-1) === 'lost', 'the loss is reported');
      // It may have been the subscriber's: the publisher hears of it by itself.
      const before = one.helper.getStats().busRefused;
      await until(() => {
        one.helper.send({ payload: { topic: 'probe', data: round } });
        return one.helper.getStats().busRefused > before;
      }, 'the publisher is lost, too');
      const refused = one.helper.getStats().busRefused;
      for (let i = 0; i < 5; i++) one.helper.send({ payload: { topic: 'local', data: i } });
      assert.equal(one.helper.getStats().busRefused, refused + 5);
      assert.equal(a.take().filter(({ event }) => event === 'local').length, 5, 'local clients are served');
      await assert.rejects(emitter.broadcast({ event: 'x', data: 1 }), { code: 'ERR_WSBROKER_BUS_LOST' });
      const late = await one.member();
      assert.equal(late.entry.state, 'authenticated');
      late.close();
      await redis.run();
      await until(() => [one, two].every(({ states }) => states.at(-1) === 'ready') && states.at(-1) === 'ready', 'it is ready again', 30_000);
      // Told to be ready means: what is published from now on arrives.
      one.helper.send({ payload: { topic: 'there', data: round } });
      two.helper.send({ payload: { topic: 'back', data: round } });
      await emitter.broadcast({ event: 'job', data: round });
      for (const [client, events] of [[a, ['there', 'back', 'job']], [b, ['there', 'back', 'job']]]) {
        const got = [];
        await until(() => got.push(...client.take()) && events.every((event) => got.some((one) => one.event === event && one.data === round)), `${events} arrive`);
        assert.ok(!got.some(({ event, data }) => event === 'local' && client === b && data >= 0), 'what was refused is not sent later');
      }
    }
    assert.deepEqual([a.ended, b.ended], [undefined, undefined]);
    for (const list of [one.states, two.states, states]) {
      assert.deepEqual(list.filter((state, i) => state === list[i - 1]), [], 'each change once');
      assert.equal(list[0], 'ready');
    }
  });

  test(`without a Redis configure rejects, and with one it succeeds later (${name})`, async (t) => {
    const redis = await start(t);
    await redis.kill();
    const w = await instance(t, redis, { configured: false });
    await assert.rejects(w.helper.configure());
    assert.equal(w.helper.getStats().busState, 'idle');
    await redis.run();
    // ioredis goes on by itself; an error of a try that was under way may come first.
    for (let i = 0; ; i++) {
      try {
        await w.helper.configure();
        break;
      } catch (error) {
        if (i === 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    assert.deepEqual(w.states, ['ready']);
  });

  test(`a process ends by itself after shutdown, with Redis there, gone, or never asked (${name})`, async (t) => {
    const redis = await start(t);
    const program = fileURLToPath(new URL('./programs/life.cjs', import.meta.url));
    const run = (how) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [program, name.includes('Cluster') ? 'cluster' : 'single', String(redis.port), how], { encoding: 'utf8', timeout: 60_000 });
      assert.equal(status, 0, `${how}: ${stderr}`);
      assert.equal(stdout.trim(), 'shut down', how);
    };
    run('configured');
    run('unconfigured');
    await redis.kill();
    run('refused');
  });
}
