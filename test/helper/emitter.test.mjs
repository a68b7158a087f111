// Section 14: the emitter.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeLog, FakeRedis } from './fakes.mjs';
import { deferred, lib, turns } from './world.mjs';

const { WebSocketEmitter } = lib;
const make = (t, { redis = new FakeRedis(), ...options } = {}) => {
  const emitter = new WebSocketEmitter({ redisConnection: redis, logger: new FakeLog(), ...options });
  t.after(() => emitter.shutdown());
  return { emitter, redis, client: redis.duplicates[0] };
};
const published = (client) => client.calls.filter(([name]) => name === 'publish').map(([, ...args]) => args);

test('an emitter has a name', (t) => {
  assert.deepEqual([make(t).emitter.getIdentifier(), make(t, { identifier: null }).emitter.identifier, make(t, { identifier: '' }).emitter.identifier, make(t, { identifier: 'jobs' }).emitter.identifier], ['WebSocketEmitter', 'WebSocketEmitter', '', 'jobs']);
  assert.equal(make(t).emitter.scope, 'WebSocketEmitter');
});

test('configure is that of the helper, for one client that subscribes to nothing', async (t) => {
  const redis = new FakeRedis((one) => (one.status = 'wait'));
  const { emitter, client } = make(t, { redis });
  const configured = emitter.configure();
  assert.equal(emitter.configure(), configured);
  assert.deepEqual(client.calls, [['connect']]);
  const refused = new Error('ECONNREFUSED');
  client.emit('error', refused);
  assert.equal(await configured.then(() => assert.fail(), (error) => error), refused);
  const again = emitter.configure();
  client.is('ready');
  assert.equal(await again, undefined);
  assert.deepEqual(client.calls.map(([name]) => name), ['connect', 'connect']);
  assert.equal(redis.duplicates.length, 1);
});

test('each method makes one publish, with an exact envelope, and resolves with undefined after the reply', async (t) => {
  const { emitter, client } = make(t);
  await emitter.configure();
  for (const [send, channel, text] of [
    [() => emitter.toClient({ clientId: 'c', event: 'e', data: { b: 1, a: 2 } }), 'ws:client:c', '{"serverId":"emitter","type":"client","target":"c","event":"e","data":{"b":1,"a":2}}'],
    [() => emitter.toUser({ userId: 'u', event: 'e', data: null }), 'ws:user:u', '{"serverId":"emitter","type":"user","target":"u","event":"e","data":null}'],
    [() => emitter.toRoom({ room: 'r:*', event: 'e', data: 1 }), 'ws:room:r:*', '{"serverId":"emitter","type":"room","target":"r:*","event":"e","data":1}'],
    [() => emitter.toRoom({ room: 'r', event: 'e', data: 1, exclude: ['a', 'b'] }), 'ws:room:r', '{"serverId":"emitter","type":"room","target":"r","event":"e","data":1,"exclude":["a","b"]}'],
    [() => emitter.broadcast({ event: 'e', data: undefined }), 'ws:broadcast', '{"serverId":"emitter","type":"broadcast","event":"e"}'],
  ]) {
    const reply = deferred();
    client.calls.length = 0;
    client.does.publish = () => reply.promise;
    let settled = false;
    const sent = send().then((value) => ((settled = true), value));
    await turns();
    assert.equal(settled, false);
    assert.deepEqual(published(client), [[channel, text]]);
    reply.resolve(3);
    assert.equal(await sent, undefined);
  }
});

test('a refusal of Redis is the rejection, and data that cannot be serialised one, too', async (t) => {
  const { emitter, client } = make(t);
  await emitter.configure();
  const refused = new Error('OOM');
  client.does.publish = () => Promise.reject(refused);
  assert.equal(await emitter.broadcast({ event: 'e', data: 1 }).catch((error) => error), refused);
  await assert.rejects(emitter.broadcast({ event: 'e', data: 1n }), TypeError);
});

test('before configure the duplicate gets it too; while lost, methods reject', async (t) => {
  const states = [];
  const { emitter, client } = make(t, { busStateFn: (state) => states.push(state) });
  await emitter.broadcast({ event: 'e', data: 1 });
  assert.equal(published(client).length, 1);
  await emitter.configure();
  client.is('reconnecting');
  await assert.rejects(emitter.toUser({ userId: 'u', event: 'e', data: 1 }), { code: 'ERR_WSBROKER_BUS_LOST' });
  client.is('ready');
  await emitter.toUser({ userId: 'u', event: 'e', data: 1 });
  assert.deepEqual(states, ['ready', 'lost', 'ready']);
});

test('shutdown quits once, within 5 s; afterwards everything rejects', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const { emitter, client } = make(t);
  await emitter.configure();
  client.does.quit = () => new Promise(() => {});
  const ending = emitter.shutdown();
  assert.equal(emitter.shutdown(), ending);
  await turns();
  t.mock.timers.tick(5000);
  await ending;
  assert.deepEqual(client.calls.map(([name]) => name), ['quit', 'disconnect']);
  for (const call of [() => emitter.toClient({}), () => emitter.toUser({}), () => emitter.toRoom({}), () => emitter.broadcast({ event: 'e' }), () => emitter.configure()]) {
    await assert.rejects(call(), { code: 'ERR_WSBROKER_SHUT_DOWN' });
  }
  assert.deepEqual(published(client), []);
});

test('shutdown rejects a configure that is pending', async (t) => {
  const { emitter } = make(t, { redis: new FakeRedis((one) => (one.status = 'connecting')) });
  const configured = emitter.configure();
  void emitter.shutdown();
  await assert.rejects(configured, { code: 'ERR_WSBROKER_SHUT_DOWN' });
});
