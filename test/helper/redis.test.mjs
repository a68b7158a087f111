// Sections 12, E and F: what comes from Redis, what goes there, and what happens while it is lost.
import assert from 'node:assert/strict';

import { FakeRedis } from './fakes.mjs';
import { deferred, onFakes, rule, spy, turns, world } from './world.mjs';

const own = (w) => {
  w.helper.send({ destination: 'elsewhere', payload: { topic: 'x', data: 1 } });
  return JSON.parse(w.redis.published.at(-1)[1]).serverId;
};

rule('serverId is a UUID v4 of each helper', async (t) => {
  const [one, two] = [await world(t), await world(t)];
  assert.match(own(one), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(own(one), own(two));
  assert.equal(own(one), own(one));
});

onFakes('what comes is routed by its type, not by its channel, at once and to local clients only', async (t) => {
  const w = await world(t);
  const [a, b, c] = [await w.member({ user: 7 }, { id: 'a' }), await w.member({ user: 7 }, { id: 'b' }), await w.connect({ id: 'c' })];
  w.helper.joinRoom({ clientId: 'b', room: 'r' });
  const count = () => [a, b, c].map((client) => client.take().length);
  for (const channel of ['ws:broadcast', 'ws:room:other', 'ws:client:x', 'ws:user:y']) {
    w.remote({ serverId: 'emitter', type: 'client', target: 'c', event: 'e', data: 1 }, channel);
    assert.deepEqual(count(), [0, 0, 1]);
    w.remote({ serverId: 'other', type: 'user', target: '7', event: 'e', data: 1 }, channel);
    w.remote({ serverId: 'other', type: 'user', target: 7, event: 'e', data: 1 }, channel);
    assert.deepEqual(count(), [2, 2, 0]);
    w.remote({ serverId: 'other', type: 'room', target: 'r', event: 'e', data: 1 }, channel);
    assert.deepEqual(count(), [0, 1, 0]);
    w.remote({ serverId: 'other', type: 'broadcast', event: 'e', data: 1 }, channel);
    assert.deepEqual(count(), [1, 1, 0]);
    w.remote({ serverId: 'other', type: 'room', target: 'c', event: 'e', data: 1 }, channel);
    assert.deepEqual(count(), [0, 0, 1], 'a client of another instance by its id');
  }
  assert.deepEqual(w.redis.published, [], 'nothing is passed on');
});

onFakes('frames from Redis are as those from here', async (t) => {
  const w = await world(t);
  const client = await w.member({}, { id: 'a' });
  for (const [envelope, frame] of [
    ['{"serverId":"x","type":"client","target":"a","event":"e","data":{"b":1,"a":2},"unknown":[1]}', '{"event":"e","data":{"b":1,"a":2}}'],
    ['{"data":null,"event":"","target":"a","type":"client","serverId":""}', '{"event":"","data":null}'],
    ['{"serverId":"x","type":"client","target":"a","event":"e"}', '{"event":"e"}'],
  ]) {
    w.remote(envelope);
    assert.deepEqual(client.takeTexts(), [frame]);
  }
});

onFakes('exclude is honoured for rooms and broadcasts, arrays only', async (t) => {
  const w = await world(t);
  const [a, b] = [await w.member({ user: 'u' }, { id: 'a' }), await w.member({ user: 'u' }, { id: 'b' })];
  const count = (envelope) => {
    w.remote({ serverId: 'x', event: 'e', data: 1, ...envelope });
    return [a.take().length, b.take().length];
  };
  assert.deepEqual(count({ type: 'room', target: 'ws-default', exclude: ['a'] }), [0, 1]);
  assert.deepEqual(count({ type: 'broadcast', exclude: ['b'] }), [1, 0]);
  for (const exclude of ['a', { 0: 'a', length: 1 }, null, 1, []]) {
    assert.deepEqual(count({ type: 'room', target: 'ws-default', exclude }), [1, 1]);
    assert.deepEqual(count({ type: 'broadcast', exclude }), [1, 1]);
  }
  assert.deepEqual(count({ type: 'user', target: 'u', exclude: ['a'] }), [1, 1]);
  assert.deepEqual(count({ type: 'client', target: 'a', exclude: ['a'] }), [1, 0]);
});

onFakes('a target must be there, and an unknown type is ignored', async (t) => {
  const w = await world(t);
  const client = await w.member({}, { id: 'a' });
  // What falsy targets are called as text.
  const named = await Promise.all(['undefined', 'null', '0', 'false'].map((id) => w.member({ user: id }, { id })));
  w.server.publishes.length = 0;
  for (const type of ['client', 'user', 'room']) for (const target of [undefined, null, '', 0, false]) w.remote({ serverId: 'x', type, target, event: 'e', data: 1 });
  for (const type of [undefined, null, 'Client', 'BROADCAST', 'other', 5]) w.remote({ serverId: 'x', type, target: 'a', event: 'e', data: 1 });
  assert.deepEqual([client, ...named].map((one) => one.take().length), [0, 0, 0, 0, 0]);
  assert.deepEqual(w.server.publishes, []);
  assert.equal(w.helper.getStats().busInvalid, 0);
});

rule('own messages are ignored, those of emitters are not', async (t) => {
  const w = await world(t);
  const client = await w.member();
  w.remote({ serverId: own(w), type: 'broadcast', event: 'e', data: 1 });
  await w.idle();
  assert.deepEqual(client.take(), []);
  w.remote({ serverId: 'emitter', type: 'broadcast', event: 'e', data: 1 });
  await w.idle();
  assert.equal(client.take().length, 1);
});

onFakes('what is no envelope is logged, counted and ignored', async (t) => {
  const w = await world(t);
  const client = await w.member();
  const bad = ['', 'text', '{', 'null', '1', '"x"', '[]', '{}', '{"serverId":"x"}', '{"event":"e"}', '{"serverId":1,"event":"e","type":"broadcast"}', '{"serverId":"x","event":null,"type":"broadcast"}'];
  for (const text of bad) w.remote(text);
  assert.deepEqual(client.take(), []);
  assert.equal(w.helper.getStats().busInvalid, bad.length);
  assert.equal(w.log.matching(/^warn: 1 message.* from Redis ignored/).length, 1);
  w.redis.subscriber.emit('message', 'ws:broadcast', undefined);
  w.redis.subscriber.emit('pmessage');
});

onFakes('a failure on the way to a client does not get into the client of Redis', async (t) => {
  const w = await world(t, { outboundTransformer: () => { throw new Error('no'); } });
  const client = await w.member({}, { id: 'a' });
  client.entry.socket.send = () => {
    throw new Error('no');
  };
  w.remote({ serverId: 'x', type: 'client', target: 'a', event: 'e', data: 1 });
  w.remote({ serverId: 'x', type: 'client', target: { toString: 1 }, event: 'e', data: 1 });
});

// Lost and back

onFakes('while the publisher is lost messages are refused at once, and local ones go on', async (t) => {
  const states = [];
  const w = await world(t, { busStateFn: (state) => states.push(state) });
  const client = await w.member();
  assert.deepEqual(states, ['ready']);
  for (const status of ['close', 'reconnecting', 'end']) {
    w.redis.publisher.is(status);
    assert.equal(w.helper.getStats().busState, 'lost');
    w.helper.send({ payload: { topic: 'x', data: 1 } });
    assert.equal(client.take().length, 1);
    const late = await w.member();
    assert.equal(late.entry.state, 'authenticated');
    late.close();
    w.redis.publisher.is('ready');
    assert.equal(w.helper.getStats().busState, 'ready');
  }
  assert.deepEqual(states, ['ready', 'lost', 'ready', 'lost', 'ready', 'lost', 'ready']);
  assert.deepEqual(w.redis.published, [], 'not queued');
  assert.deepEqual([w.helper.getStats().busRefused, w.helper.getStats().busFailed], [3, 0]);
  w.helper.send({ payload: { topic: 'x', data: 1 } });
  assert.equal(w.redis.published.length, 1);
});

onFakes('what a Redis that does not answer lets wait is bounded: beyond it messages are refused', async (t) => {
  const w = await world(t);
  const answers = [];
  w.redis.publisher.does.publish = () => new Promise((resolve) => answers.push(resolve));
  const data = 'x'.repeat(1 << 20);
  const send = (count) => {
    for (let i = 0; i < count; i++) w.helper.send({ payload: { topic: 'x', data } });
  };
  send(10);
  assert.deepEqual([answers.length, w.helper.getStats().busRefused, w.helper.getStats().busFailed], [7, 3, 0]);
  for (const answer of answers.splice(0)) answer(1);
  await new Promise((resolve) => setImmediate(resolve));
  // One that is larger than the bound passes alone.
  w.helper.send({ payload: { topic: 'x', data: 'x'.repeat(9 << 20) } });
  send(1);
  assert.deepEqual([answers.length, w.helper.getStats().busRefused], [1, 4]);
});

onFakes('refusals are logged at once, then at most once a second, with their number, and the rest when it is back', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1e6 });
  const w = await world(t);
  w.redis.publisher.is('close');
  const lines = () => w.log.matching(/not sent to Redis/).map((line) => Number(/(\d+) message/.exec(line)[1]));
  const send = (count) => {
    for (let i = 0; i < count; i++) w.helper.send({ payload: { topic: 'x', data: 1 } });
  };
  send(100);
  assert.deepEqual(lines(), [1]);
  t.mock.timers.tick(999);
  send(1);
  assert.deepEqual(lines(), [1]);
  t.mock.timers.tick(1);
  send(1);
  assert.deepEqual(lines(), [1, 101]);
  send(7);
  w.redis.publisher.is('ready');
  assert.deepEqual(lines(), [1, 101, 7]);
  assert.equal(w.helper.getStats().busRefused, 109);
});

rule('a lost subscriber is ready when all four subscriptions are made again and confirmed', async (t) => {
  const states = [];
  const w = await world(t, { busStateFn: (state) => states.push(state) });
  const { subscriber } = w.redis;
  const confirm = deferred();
  const subscriptions = () => subscriber.calls.filter(([name]) => name.endsWith('subscribe'));
  assert.deepEqual(subscriptions(), [['subscribe', 'ws:broadcast'], ['psubscribe', 'ws:room:*'], ['psubscribe', 'ws:client:*'], ['psubscribe', 'ws:user:*']]);
  subscriber.calls.length = 0;
  subscriber.does.psubscribe = (pattern) => (pattern === 'ws:user:*' ? confirm.promise : 1);
  subscriber.is('reconnecting');
  assert.deepEqual(states, ['ready', 'lost']);
  w.helper.send({ payload: { topic: 'x', data: 1 } });
  assert.equal(w.redis.published.length, 1, 'the publisher is not lost');
  subscriber.is('ready');
  await turns();
  assert.equal(subscriptions().length, 4);
  assert.deepEqual(states, ['ready', 'lost'], 'not before they are confirmed');
  confirm.resolve(1);
  await turns();
  assert.deepEqual(states, ['ready', 'lost', 'ready']);
});

rule('a confirmation of a connection that is lost again does not count', async (t) => {
  const states = [];
  const w = await world(t, { busStateFn: (state) => states.push(state) });
  const { subscriber } = w.redis;
  const confirms = [];
  subscriber.does.subscribe = () => {
    const one = deferred();
    confirms.push(one);
    return one.promise;
  };
  subscriber.is('close');
  subscriber.is('ready');
  subscriber.is('close');
  confirms[0].resolve(1);
  await turns();
  assert.deepEqual(states, ['ready', 'lost']);
  subscriber.is('ready');
  confirms[1].resolve(1);
  await turns();
  assert.deepEqual(states, ['ready', 'lost', 'ready']);
});

onFakes('subscriptions that Redis refuses are tried again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const states = [];
  const w = await world(t, { busStateFn: (state) => states.push(state) });
  const { subscriber } = w.redis;
  let tries = 0;
  subscriber.does.subscribe = () => (++tries < 3 ? Promise.reject(new Error('LOADING')) : 1);
  subscriber.is('close');
  subscriber.is('ready');
  for (const wanted of [1, 2, 3]) {
    await turns();
    assert.equal(tries, wanted);
    assert.deepEqual(states, wanted < 3 ? ['ready', 'lost'] : ['ready', 'lost', 'ready']);
    t.mock.timers.tick(1000);
  }
});

rule('the state is lost while either connection is, and each change is reported once', async (t) => {
  const states = [];
  const w = await world(t, { busStateFn: (state) => states.push(state) });
  const { publisher, subscriber } = w.redis;
  for (const one of [publisher, subscriber]) for (const status of ['close', 'reconnecting', 'close', 'end']) one.is(status);
  assert.deepEqual(states, ['ready', 'lost']);
  publisher.is('ready');
  assert.deepEqual(states, ['ready', 'lost']);
  subscriber.is('ready');
  await turns();
  assert.deepEqual(states, ['ready', 'lost', 'ready']);
});

onFakes('a busStateFn that throws, rejects or causes the next change hears all in order', async (t) => {
  const states = [];
  let w;
  w = await world(t, { busStateFn: async (state) => {
    if (state === 'lost') w.redis.publisher.is('ready');
    states.push(state);
    throw new Error('no');
  } });
  w.redis.publisher.is('close');
  await turns();
  assert.deepEqual(states, ['ready', 'lost', 'ready']);
  assert.equal(w.log.matching(/^error: busStateFn failed/).length, 3);
});

onFakes('before configure messages are published as the client does', async (t) => {
  const w = await world(t, { configured: false, redis: new FakeRedis((one) => (one.status = 'connecting')) });
  w.helper.send({ payload: { topic: 'x', data: 1 } });
  assert.equal(w.redis.published.length, 1);
});

onFakes('errors of the clients of Redis are logged, not each of them, and do nothing else', async (t) => {
  const told = spy();
  const w = await world(t, { busStateFn: told });
  for (const one of w.redis.duplicates) for (let i = 0; i < 9; i++) one.emit('error', new Error('ECONNRESET'));
  assert.equal(w.log.matching(/^error: Redis (publisher|subscriber)/).length, 2);
  assert.equal(told.calls.length, 1);
});

onFakes('what Redis refuses is answered: it does not count as waiting', async (t) => {
  for (const refuse of [() => Promise.reject(new Error('NOPERM')), () => { throw new Error('NOPERM'); }]) {
    const w = await world(t);
    w.redis.publisher.does.publish = refuse;
    const data = 'x'.repeat(3 << 20);
    // 8 Mi characters may wait.
    for (let i = 1; i <= 6; i++) {
      w.helper.send({ payload: { topic: 'x', data } });
      await turns();
      const { busFailed, busRefused } = w.helper.getStats();
      assert.deepEqual({ busFailed, busRefused }, { busFailed: i, busRefused: 0 });
    }
  }
});
