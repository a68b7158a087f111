// Section C, as far as it is the logic's: helpers of one instance, on a stand-in for its native side.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { withInstances } from './fake-instance.mjs';
import { FakeRedis } from './fakes.mjs';
import { spy, turns, world } from './world.mjs';

const wrap = ({ event, data }) => (event === 'connected' ? null : { event: 'encrypted', data: { was: event, data } });
const events = (client) => client.take().map(({ event, data }) => (event === 'encrypted' ? `!${data.was}` : event));

let numbers = 0;

/** Several helpers of one instance. Their sockets are in its channels. */
async function helpers(t, count, options = {}, steps) {
  const native = withInstances(t, steps);
  const identifier = `app-${++numbers}`;
  const all = [];
  for (let i = 0; i < count; i++) {
    const w = await world(t, { identifier, bind: '127.0.0.1:0', server: undefined, outboundTransformer: wrap, ...options });
    w.server = native.of(identifier).server;
    const { socket } = w;
    w.socket = (data) => Object.assign(socket(data), { server: w.server });
    all.push(w);
  }
  return { all, instance: native.of(identifier) };
}

async function secret(w, data, where) {
  const client = await w.member(data, where);
  w.helper.enableClientEncryption({ clientId: client.id });
  return client;
}

test('a send from any helper reaches the clients of all, each exactly once, the encrypted through their owner', async (t) => {
  const { all: [one, two, three], instance } = await helpers(t, 3);
  const clients = [await one.member({ user: 'u' }), await secret(one, { user: 'u' }), await two.member({ user: 'u' }), await secret(two, { user: 'u' }), await three.member({ user: 'u' })];
  const ways = {
    all: (helper) => helper.broadcast({ event: 'all', data: 1 }),
    room: (helper) => helper.sendToRoom({ room: 'ws-default', event: 'room', data: 1 }),
    user: (helper) => helper.sendToUser({ userId: 'u', event: 'user', data: 1 }),
    send: (helper) => helper.send({ payload: { topic: 'send', data: 1 } }),
    destination: (helper) => helper.send({ destination: 'ws-default', payload: { topic: 'destination', data: 1 } }),
  };
  for (const [event, way] of Object.entries(ways)) {
    for (const { helper } of [one, two, three]) {
      instance.posts.length = 0;
      way(helper);
      await turns();
      assert.deepEqual(clients.map(events), [[event], [`!${event}`], [event], [`!${event}`], [event]], event);
      assert.ok(!instance.posts.some(([to]) => to === 2), 'a helper without encrypted clients is not woken');
    }
  }
  for (const [helper, i] of [[one, 0], [two, 0], [three, 0], [one, 1], [two, 1], [three, 3]].map(([w, i]) => [w.helper, i])) {
    helper.sendToClient({ clientId: clients[i].id, event: 'client', data: { a: 1 } });
    await turns();
    assert.deepEqual(clients[i].take(), [i % 2 ? { event: 'encrypted', data: { was: 'client', data: { a: 1 } } } : { event: 'client', data: { a: 1 } }]);
  }
});

test('what is excluded is left out everywhere, also among the encrypted', async (t) => {
  const { all: [one, two] } = await helpers(t, 2);
  const clients = [await one.member(), await secret(one), await two.member(), await secret(two), await two.member(), await secret(two)];
  const exclude = [clients[2].id, clients[3].id];
  for (const { helper } of [one, two]) {
    helper.broadcast({ event: 'all', data: 1, exclude });
    helper.sendToRoom({ room: 'ws-default', event: 'room', data: 1, exclude });
    await turns();
    assert.deepEqual(clients.map(events), [['all', 'room'], ['!all', '!room'], [], [], ['all', 'room'], ['!all', '!room']]);
  }
});

test('whether there is a transformer is asked of the owner, not of the sender', async (t) => {
  const { all: [one, two] } = await helpers(t, 2, { outboundTransformer: undefined });
  const [hidden, own] = [await secret(two, { user: 'u' }), await secret(one, { user: 'u' })];
  const both = async (send) => {
    send(one.helper);
    await turns();
    return [events(hidden), events(own)];
  };
  assert.deepEqual(await both((helper) => helper.broadcast({ event: 'x', data: 1 })), [[], []]);
  assert.deepEqual(await both((helper) => helper.sendToRoom({ room: 'ws-default', event: 'x', data: 1 })), [[], []]);
  assert.deepEqual(await both((helper) => helper.sendToRoom({ room: 'ws-default', event: 'x', data: 1, exclude: ['nobody'] })), [['x'], ['x']]);
  assert.deepEqual(await both((helper) => helper.sendToUser({ userId: 'u', event: 'x', data: 1 })), [['x'], ['x']]);
});

test('messages to one encrypted client of another helper arrive in the order of the calls, whichever method sent them', async (t) => {
  const { all: [one, two] } = await helpers(t, 2, { outboundTransformer: async (opts) => wrap(opts) });
  const hidden = await secret(two, { user: 'u' });
  const expected = [];
  for (let i = 0; i < 40; i++) {
    const event = String(i);
    expected.push(`!${event}`);
    [
      () => one.helper.sendToClient({ clientId: hidden.id, event, data: 1 }), () => one.helper.broadcast({ event, data: 1 }),
      () => one.helper.sendToUser({ userId: 'u', event, data: 1 }), () => one.helper.sendToRoom({ room: 'ws-default', event, data: 1 }),
    ][i % 4]();
  }
  const got = [];
  for (let i = 0; i < 100 && got.length < 40; i++) {
    await turns();
    got.push(...events(hidden));
  }
  assert.deepEqual(got, expected);
});

test('what was published before a client became encrypted is not sent to it once more by its owner', async (t) => {
  const { all: [one, two] } = await helpers(t, 2);
  const [early, late] = [await secret(two, { user: 'u' }), await two.member({ user: 'u' })];
  const all = (event) => {
    one.helper.sendToRoom({ room: 'ws-default', event: `room ${event}`, data: 1 });
    one.helper.sendToUser({ userId: 'u', event: `user ${event}`, data: 1 });
    one.helper.broadcast({ event: `all ${event}`, data: 1 });
  };
  all('before');
  // The owner is told of them in a later turn, for the client that was encrypted already.
  two.helper.enableClientEncryption({ clientId: late.id });
  all('after');
  two.helper.sendToRoom({ room: 'ws-default', event: 'own', data: 1 });
  await turns();
  const three = (how, event) => ['room', 'user', 'all'].map((kind) => `${how}${kind} ${event}`);
  assert.deepEqual(events(late), [...three('', 'before'), '!own', ...three('!', 'after')]);
  assert.deepEqual(events(early), ['!own', ...three('!', 'before'), ...three('!', 'after')]);
});

test('rooms of a client of another helper are changed by its owner', async (t) => {
  const { all: [one, two] } = await helpers(t, 2);
  for (const client of [await two.member(), await secret(two)]) {
    one.helper.joinRoom({ clientId: client.id, room: 'r' });
    assert.equal(one.helper.countRoom({ room: 'r' }), 0, 'after the call has returned');
    await turns();
    assert.ok(client.entry.rooms.has('r'));
    assert.equal(client.socket.isSubscribed('r'), !client.entry.encrypted);
    assert.deepEqual([one.helper.countRoom({ room: 'r' }), two.helper.countRoom({ room: 'r' })], [1, 1]);
    assert.deepEqual([one.helper.getClientsByRoom({ room: 'r' }).length, two.helper.getClientsByRoom({ room: 'r' }).length], [0, 1]);
    one.helper.sendToRoom({ room: 'r', event: 'x', data: 1 });
    await turns();
    assert.equal(client.take().length, 1);
    one.helper.leaveRoom({ clientId: client.id, room: 'r' });
    await turns();
    assert.equal(one.helper.countRoom({ room: 'r' }), 0);
  }
  one.helper.joinRoom({ clientId: 'nobody', room: 'r' });
  assert.equal(one.helper.countRoom({ room: 'r' }), 0);
});

test('entries are those of this helper, counts those of the instance; encryption is the owner\'s alone', async (t) => {
  const { all: [one, two] } = await helpers(t, 2);
  const [a, b] = [await one.member({ user: 'u' }), await two.member({ user: 'u' })];
  assert.deepEqual([...one.helper.getClients().keys()], [a.id]);
  assert.equal(one.helper.getClients({ id: b.id }), undefined);
  assert.deepEqual(one.helper.getClientsByUser({ userId: 'u' }).map(({ id }) => id), [a.id]);
  assert.deepEqual([one.helper.countClients(), two.helper.countClients(), one.helper.countRoom({ room: 'ws-default' })], [2, 2, 2]);
  one.helper.enableClientEncryption({ clientId: b.id });
  await turns();
  assert.equal(b.entry.encrypted, false);
  b.close();
  await turns();
  assert.deepEqual([one.helper.countClients(), one.helper.countRoom({ room: 'ws-default' })], [1, 1]);
});

test('an unencrypted client of another helper is never flagged, and a drop counts for the sender', async (t) => {
  const { all: [one, two], instance } = await helpers(t, 2);
  const [client, hidden] = [await two.member(), await secret(two)];
  client.socket.answer = -1;
  one.helper.sendToClient({ clientId: client.id, event: 'x', data: 1 });
  assert.equal(client.entry.backpressured, false);
  client.socket.answer = 0;
  one.helper.sendToClient({ clientId: client.id, event: 'x', data: 1 });
  assert.deepEqual([one.helper.getStats().framesDropped, two.helper.getStats().framesDropped], [1, 0]);
  instance.full = true;
  one.helper.sendToClient({ clientId: hidden.id, event: 'x', data: 1 });
  one.helper.broadcast({ event: 'x', data: 1 });
  one.helper.joinRoom({ clientId: hidden.id, room: 'r' });
  assert.deepEqual([one.helper.getStats().framesDropped, two.helper.getStats().framesDropped], [4, 0]);
  assert.ok(one.log.matching(/^warn: .*dropped/).length > 0);
});

test('send covers the instance: clients, rooms, and the envelope that goes to Redis', async (t) => {
  const { all: [one, two], instance } = await helpers(t, 2);
  const [b, waiting] = [await two.member({}, { id: 'b' }), await two.connect({ id: 'w' })];
  two.helper.joinRoom({ clientId: 'b', room: 'r' });
  for (const destination of ['b', 'w', 'r', 'unknown', undefined]) one.helper.send({ destination, payload: { topic: `to ${destination}`, data: 1 } });
  await turns();
  assert.deepEqual([events(b), events(waiting)], [['to b', 'to r', 'to undefined'], ['to w']]);
  const sent = one.redis.published.map(([channel, text]) => [channel, JSON.parse(text).type, JSON.parse(text).serverId]);
  assert.deepEqual(sent, [['ws:client:b', 'client'], ['ws:client:w', 'client'], ['ws:room:r', 'room'], ['ws:room:unknown', 'room'], ['ws:broadcast', 'broadcast']].map((one) => [...one, instance.serverId]));
  two.helper.send({ payload: { topic: 'x', data: 1 } });
  assert.equal(JSON.parse(two.redis.published[0][1]).serverId, instance.serverId, 'one serverId');
});

test('Redis input is handled once for the instance; when its helper ends the next one subscribes', async (t) => {
  const states = [[], [], []];
  let number = 0;
  const { all: [one, two, three] } = await helpers(t, 3, { get busStateFn() {
    const mine = states[number++];
    return (state) => mine.push(state);
  } });
  const subscribed = (w) => w.redis.subscriber.calls.filter(([name]) => name.endsWith('subscribe')).length;
  assert.deepEqual([one, two, three].map(subscribed), [4, 0, 0]);
  const [a, b] = [await one.member(), await two.member()];
  one.remote({ serverId: 'x', type: 'broadcast', event: 'x', data: 1 });
  two.remote({ serverId: 'x', type: 'broadcast', event: 'y', data: 1 });
  await turns();
  assert.deepEqual([events(a), events(b)], [['x'], ['x']], 'a helper that does not subscribe hears nothing');
  one.redis.subscriber.is('close');
  assert.deepEqual(states, [['ready', 'lost'], ['ready', 'lost'], ['ready', 'lost']], 'on every helper of the instance');
  one.redis.subscriber.is('ready');
  await turns();
  two.redis.publisher.is('close');
  two.redis.publisher.is('ready');
  assert.deepEqual(states, [['ready', 'lost', 'ready'], ['ready', 'lost', 'ready', 'lost', 'ready'], ['ready', 'lost', 'ready']], 'a publisher is its own helper\'s');
  for (const list of states) list.length = 0;
  await one.helper.shutdown();
  await turns();
  assert.deepEqual([one, two, three].map(subscribed).slice(1), [4, 0]);
  assert.deepEqual(states, [[], ['lost', 'ready'], ['lost', 'ready']]);
  two.remote({ serverId: 'x', type: 'broadcast', event: 'z', data: 1 });
  await turns();
  assert.deepEqual(events(b), ['z']);
});

test('a take-over that Redis refuses is tried again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { all: [one, two], instance } = await helpers(t, 2);
  let tries = 0;
  two.redis.subscriber.does.subscribe = () => (++tries < 3 ? Promise.reject(new Error('LOADING')) : 1);
  const ending = one.helper.shutdown();
  await ending;
  for (const wanted of [1, 2, 3]) {
    await turns();
    assert.equal(tries, wanted);
    assert.equal(instance.inputState, wanted < 3 ? 'lost' : 'ready');
    t.mock.timers.tick(1000);
  }
});

test('configure waits for the helper that subscribes for the instance, and tells of no loss that was none', async (t) => {
  withInstances(t);
  const make = async (states) => world(t, { identifier: 'waits', bind: '127.0.0.1:0', server: undefined, configured: false, busStateFn: (state) => states.push(state) });
  const heard = [[], [], []];
  const [one, two, three] = await Promise.all(heard.map(make));
  let confirm;
  one.redis.subscriber.does.subscribe = () => new Promise((resolve) => (confirm = resolve));
  const done = [];
  const first = one.helper.configure().then(() => done.push(1));
  await turns();
  const second = two.helper.configure().then(() => done.push(2));
  const third = three.helper.configure();
  third.catch(() => undefined);
  await turns();
  assert.deepEqual(done, []);
  await three.helper.shutdown();
  await assert.rejects(third, { code: 'ERR_WSBROKER_SHUT_DOWN' });
  confirm(1);
  await Promise.all([first, second]);
  await turns();
  assert.deepEqual(heard, [['ready'], ['ready'], []]);
});

test('configure takes the input itself when the helper that it waits for gives up', async (t) => {
  withInstances(t);
  const make = async (states) => world(t, { identifier: 'heir', bind: '127.0.0.1:0', server: undefined, configured: false, busStateFn: (state) => states.push(state) });
  const heard = [[], []];
  const [one, two] = await Promise.all(heard.map(make));
  let refuse;
  one.redis.subscriber.does.subscribe = () => new Promise((resolve, reject) => (refuse = reject));
  const first = one.helper.configure();
  first.catch(() => undefined);
  await turns();
  const second = two.helper.configure();
  await turns();
  refuse(new Error('NOPERM'));
  await assert.rejects(first, /NOPERM/);
  await second;
  await turns();
  assert.deepEqual(heard, [[], ['ready']]);
});

test('configure does not wait for ever for a subscription of another helper', async (t) => {
  const native = withInstances(t);
  const make = async () => world(t, { identifier: 'stuck', bind: '127.0.0.1:0', server: undefined, configured: false });
  const [one, two] = [await make(), await make()];
  one.redis.subscriber.does.subscribe = () => new Promise(() => undefined);
  one.helper.configure().catch(() => undefined);
  await turns();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const second = two.helper.configure();
  await turns();
  t.mock.timers.tick(30_000);
  await assert.rejects(second, { code: 'ERR_WSBROKER_BUS_LOST', message: /within 30000 ms/ });
  assert.equal(native.of('stuck').helpers.length, 1, 'it has left');
});

test('natively a duplicate is closed', async (t) => {
  const { all: [one] } = await helpers(t, 1);
  const client = await one.member({}, { id: 'a' });
  const other = await one.connect({ id: 'a' });
  assert.deepEqual(other.socket.closedWith, { code: 1008, reason: 'Duplicate client id' });
  assert.deepEqual([client.ended, client.entry.state], [undefined, 'authenticated'], 'and its close event takes nobody away');
});

test('clients that were there before configure come into the instance', async (t) => {
  const native = withInstances(t);
  const w = await world(t, { identifier: 'late', bind: '127.0.0.1:0', server: undefined, configured: false, outboundTransformer: wrap });
  const [a, b] = [await w.member({ user: 'u' }), await secret(w, { user: 'u' })];
  await w.helper.configure();
  const shared = native.of('late');
  assert.deepEqual([shared.clients.size, w.helper.countClients(), w.helper.countRoom({ room: 'ws-default' })], [2, 2, 2]);
  assert.deepEqual([...shared.clients.values()].map(({ finished, encrypted, user }) => [finished, encrypted, [...user]]), [[true, false, ['u']], [true, true, ['u']]]);
  assert.ok(a.entry && b.entry);
});

test('configure joins before it asks Redis, opens when the subscriptions are made, and undoes all when it fails', async (t) => {
  const steps = [];
  const native = withInstances(t, steps);
  const note = (one, number) => {
    for (const name of ['connect', 'subscribe']) one.does[name] = () => void steps.push(`${name} ${number}`);
    one.status = 'wait';
    one.does.connect = () => {
      steps.push(`connect ${number}`);
      one.is('ready');
    };
  };
  const options = { identifier: 'steps', server: undefined, configured: false };
  const good = await world(t, { ...options, bind: '127.0.0.1:0', redis: new FakeRedis(note) });
  await good.helper.configure();
  assert.deepEqual(steps, ['join', 'connect 0', 'connect 1', 'subscribe 1', 'open']);
  steps.length = 0;
  await good.helper.shutdown();
  assert.deepEqual(steps, ['stopAccepting', 'finish']);
  steps.length = 0;
  const bad = await world(t, { ...options, bind: 'taken', redis: new FakeRedis(note) });
  const timers = t.mock.method(globalThis, 'setInterval');
  await assert.rejects(bad.helper.configure(), /EADDRINUSE/);
  assert.deepEqual(steps.slice(-2), ['open', 'leave']);
  assert.equal(native.of('steps'), undefined, 'no place in the instance');
  assert.equal(timers.mock.callCount(), 0);
  assert.equal(bad.helper.getStats().busState, 'idle');
});

test('what is posted for a client that has gone, or cannot be read, does no harm', async (t) => {
  const received = spy();
  const { all: [one], instance } = await helpers(t, 1, { clientConnectedFn: received });
  const [{ host }] = instance.helpers;
  for (const operation of [
    { op: 'send', clientId: 'gone', frame: '{"event":"x"}' }, { op: 'join', clientId: 'gone', room: 'r' }, { op: 'leave', clientId: 'gone', room: 'r' },
    { op: 'publish', audience: { type: 'room', name: 'r' }, frame: '{"event":"x"}', exclude: [], epoch: 0 },
    { op: 'send', clientId: 'gone', frame: 'no json' },
  ]) host.receive(operation);
  assert.equal(one.helper.countClients(), 0);
});
