// Sections 3 and B: configure.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeRedis, FakeServer } from './fakes.mjs';
import { deferred, lib, turns, world } from './world.mjs';

const { WSBrokerError } = lib;
/** Clients that are on their way. */
const slow = (status = 'connecting') => new FakeRedis((one) => (one.status = status));
const settledYet = async (promise) => {
  let settled = false;
  const note = () => (settled = true);
  promise.then(note, note);
  await turns();
  return settled;
};

test('exactly one of bind and server must be given', async (t) => {
  for (const options of [{ server: undefined }, { server: null }, { bind: '127.0.0.1:0' }, { server: undefined, bind: null }]) {
    const w = await world(t, { ...options, configured: false });
    const error = await w.helper.configure().then(() => assert.fail(), (error) => error);
    assert.ok(error instanceof WSBrokerError);
    assert.equal(error.code, 'ERR_WSBROKER_INVALID_ARGUMENT');
    assert.deepEqual(w.redis.subscriber.calls, []);
  }
});

test('handlers come first, then connect, then the wait for all, then the four subscriptions', async (t) => {
  const redis = slow('wait');
  const w = await world(t, { redis, configured: false });
  for (const one of redis.duplicates) {
    one.does.connect = () => {
      one.calls.push(['handlers', ...['error', 'message', 'pmessage'].map((event) => one.listenerCount(event))]);
      return Promise.reject(new Error('caught'));
    };
  }
  const configured = w.helper.configure();
  assert.deepEqual(redis.publisher.calls, [['connect'], ['handlers', 1, 0, 0]]);
  assert.deepEqual(redis.subscriber.calls, [['connect'], ['handlers', 1, 1, 1]]);
  redis.publisher.is('ready');
  assert.equal(await settledYet(configured), false, 'all of them');
  assert.equal(redis.subscriber.calls.length, 2);
  const confirms = [];
  redis.subscriber.does.subscribe = redis.subscriber.does.psubscribe = () => {
    const one = deferred();
    confirms.push(one);
    return one.promise;
  };
  redis.subscriber.is('ready');
  await turns();
  assert.deepEqual(redis.subscriber.calls.slice(2), [['subscribe', 'ws:broadcast'], ['psubscribe', 'ws:room:*'], ['psubscribe', 'ws:client:*'], ['psubscribe', 'ws:user:*']], 'together');
  for (const one of confirms.slice(1)) one.resolve(1);
  assert.equal(await settledYet(configured), false, 'all awaited');
  assert.equal(w.helper.getStats().busState, 'idle');
  confirms[0].resolve(1);
  assert.equal(await configured, undefined);
  assert.equal(w.helper.getStats().busState, 'ready');
});

test('connect is called where the status is wait only, and may throw', async (t) => {
  for (const status of ['connecting', 'connect', 'reconnecting']) {
    const redis = slow(status);
    const w = await world(t, { redis, configured: false });
    const configured = w.helper.configure();
    assert.ok(!redis.publisher.calls.some(([name]) => name === 'connect'));
    for (const one of redis.duplicates) one.is('ready');
    await configured;
  }
  const redis = new FakeRedis((one) => {
    one.status = 'wait';
    one.does.connect = () => {
      queueMicrotask(() => one.is('ready'));
      throw new Error('sync');
    };
  });
  await (await world(t, { redis, configured: false })).helper.configure();
  const ready = await world(t);
  assert.ok(!ready.redis.publisher.calls.some(([name]) => name === 'connect'), 'status ready is enough');
});

test('a client whose status alone says that it has connected is ready', async (t) => {
  const connects = [(one) => void (one.status = 'ready'), async (one) => {
    await turns();
    one.status = 'ready';
  }];
  for (const connect of connects) {
    const redis = new FakeRedis((one) => {
      one.status = 'wait';
      one.does.connect = () => connect(one);
    });
    const w = await world(t, { redis, configured: false });
    let configured = false;
    w.helper.configure().then(() => (configured = true));
    await turns(12);
    assert.ok(configured);
  }
});

test('what a client emits while connect runs counts', async (t) => {
  const failing = new FakeRedis((one) => {
    one.status = 'wait';
    one.does.connect = () => void one.emit('error', new Error('at once'));
  });
  await assert.rejects((await world(t, { redis: failing, configured: false })).helper.configure(), /at once/);
  const coming = new FakeRedis((one) => {
    one.status = 'wait';
    one.does.connect = () => one.is('ready');
  });
  await (await world(t, { redis: coming, configured: false })).helper.configure();
});

test('the first error before ready rejects with that very error; a later call tries again, with the handlers of the first', async (t) => {
  const redis = slow();
  const w = await world(t, { redis, configured: false });
  const refused = new Error('ECONNREFUSED');
  const first = w.helper.configure();
  assert.equal(w.helper.configure(), first, 'the same promise');
  redis.subscriber.emit('error', refused);
  redis.publisher.emit('error', new Error('later'));
  assert.equal(await first.then(() => assert.fail(), (error) => error), refused);
  const counts = () => redis.duplicates.map((one) => one.eventNames().map((event) => [event, one.listenerCount(event)]));
  const handlers = counts();
  redis.subscriber.emit('error', new Error('late'));
  const second = w.helper.configure();
  assert.notEqual(second, first);
  assert.deepEqual(counts(), handlers, 'once only');
  for (const one of redis.duplicates) one.is('ready');
  await second;
  assert.equal(w.helper.configure(), second);
  redis.publisher.emit('error', new Error('later still'));
  const client = await w.member();
  w.remote({ serverId: 'x', type: 'broadcast', event: 'e', data: 1 });
  assert.equal(client.take().length, 1, 'once');
});

test('after 30 s without ready it gives up', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const redis = slow('connecting');
  const w = await world(t, { redis, configured: false });
  const configured = w.helper.configure();
  redis.publisher.is('ready');
  t.mock.timers.tick(29_999);
  assert.equal(await settledYet(configured), false);
  redis.subscriber.status = 'reconnecting';
  t.mock.timers.tick(1);
  await assert.rejects(configured, { message: 'Redis client did not become ready within 30000ms (status: reconnecting)', code: 'ERR_WSBROKER_BUS_LOST' });
});

test('a rejection leaves no timer, and Redis is not listened to', async (t) => {
  const open = new Set();
  const [set, clear] = [setTimeout, clearTimeout];
  t.mock.method(globalThis, 'setTimeout', (...args) => {
    const timer = set(...args);
    open.add(timer);
    return timer;
  });
  t.mock.method(globalThis, 'clearTimeout', (timer) => (open.delete(timer), clear(timer)));
  const intervals = t.mock.method(globalThis, 'setInterval');
  const redis = slow();
  const w = await world(t, { redis, configured: false });
  const configured = w.helper.configure();
  redis.publisher.emit('error', new Error('no'));
  await assert.rejects(configured, /no/);
  assert.equal(open.size, 0);
  assert.equal(intervals.mock.callCount(), 0);
  redis.publisher.status = redis.subscriber.status = 'ready';
  redis.subscriber.does.psubscribe = () => Promise.reject(new Error('NOPERM'));
  await assert.rejects(w.helper.configure(), /NOPERM/);
  assert.equal(open.size, 0);
  const client = await w.member();
  w.remote({ serverId: 'x', type: 'broadcast', event: 'e', data: 1 });
  assert.deepEqual(client.take(), [], 'Redis input needs configure');
  assert.equal(w.helper.getStats().busState, 'idle');
  redis.subscriber.does.psubscribe = undefined;
  await w.helper.configure();
  w.remote({ serverId: 'x', type: 'broadcast', event: 'e', data: 1 });
  assert.equal(client.take().length, 1);
});

test('all that is local works without configure', async (t) => {
  const w = await world(t, { configured: false });
  const [a, b] = [await w.member({ user: 'u' }), await w.member()];
  w.helper.joinRoom({ clientId: a.id, room: 'r' });
  w.helper.sendToRoom({ room: 'r', event: 'x', data: 1 });
  w.helper.broadcast({ event: 'x', data: 1 });
  w.helper.sendToUser({ userId: 'u', event: 'x', data: 1 });
  assert.deepEqual([a.take().length, b.take().length], [3, 1]);
  w.redis.subscriber.emit('message', 'ws:broadcast', '{"serverId":"x","type":"broadcast","event":"e","data":1}');
  assert.deepEqual(a.take(), []);
});

test('shutdown rejects a configure that is pending, and every later one', async (t) => {
  for (const redis of [slow(), new FakeRedis((one) => (one.does.psubscribe = () => new Promise(() => {})))]) {
    const w = await world(t, { redis, configured: false });
    const configured = w.helper.configure();
    const ending = w.helper.shutdown();
    await assert.rejects(configured, { code: 'ERR_WSBROKER_SHUT_DOWN' });
    await assert.rejects(w.helper.configure(), { code: 'ERR_WSBROKER_SHUT_DOWN' });
    await ending;
    for (const one of redis.duplicates) {
      one.is('ready');
      assert.ok(!one.calls.some(([name]) => name === 'subscribe' && redis.duplicates[0] === one));
    }
    await turns();
    assert.equal(w.helper.getStats().busState, 'idle');
  }
});

test('a loss between ready and the end of configure is reported after ready', async (t) => {
  const states = [];
  const w = await world(t, { configured: false, busStateFn: (state) => states.push(state) });
  w.redis.publisher;
  const confirm = deferred();
  w.redis.subscriber.does.subscribe = () => confirm.promise;
  const configured = w.helper.configure();
  await turns();
  w.redis.publisher.is('close');
  confirm.resolve(1);
  await configured;
  assert.deepEqual(states, ['ready', 'lost']);
  w.redis.publisher.is('ready');
  assert.deepEqual(states, ['ready', 'lost', 'ready']);
});

test('a client of Redis whose methods answer at once, with nothing, is as good', async (t) => {
  const redis = new FakeRedis((one) => {
    for (const name of ['connect', 'quit', 'subscribe', 'psubscribe', 'publish']) one.does[name] = () => undefined;
  });
  const w = await world(t, { redis });
  w.helper.send({ payload: { topic: 'x', data: 1 } });
  await w.helper.shutdown();
  assert.equal(w.helper.getStats().busFailed, 0);
});

test('the helper works without a server that has more than publish', async (t) => {
  const w = await world(t, { server: { publish: new FakeServer().publish, topics: new Map(), publishes: [] } });
  w.helper.broadcast({ event: 'x', data: 1 });
});
