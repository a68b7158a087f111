// Section F: what stands on Redis, byte by byte, as another implementation of the protocol would see and write it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Redis } from 'ioredis';

import { until } from '../e2e/harness.mjs';
import { startRedis } from '../redis/redis.mjs';
import { lib, world } from './world.mjs';

test('channels and envelopes are exact on the wire, both ways', async (t) => {
  const redis = await startRedis(t);
  const client = () => new Redis(redis.port, '127.0.0.1', { lazyConnect: true });
  const parent = client();
  const [w, other] = [await world(t, { redis: parent }), new Redis(redis.port, '127.0.0.1')];
  t.after(() => other.disconnect());
  const seen = [];
  const listening = other.duplicate();
  t.after(() => listening.disconnect());
  await Promise.all([listening.subscribe('ws:broadcast'), listening.psubscribe('ws:room:*'), listening.psubscribe('ws:client:*'), listening.psubscribe('ws:user:*')]);
  listening.on('message', (channel, text) => seen.push([channel, text]));
  listening.on('pmessage', (_pattern, channel, text) => seen.push([channel, text]));
  const [a, b] = [await w.member({ user: 'u' }, { id: 'a' }), await w.connect({ id: 'b' })];
  const emitter = new lib.WebSocketEmitter({ redisConnection: parent });
  t.after(() => emitter.shutdown());
  await emitter.configure();

  // Out.
  const data = { z: 'ü"\u2028', a: [1.5, null, true, { n: {} }], gone: undefined };
  const text = '{"z":"ü\\"\u2028","a":[1.5,null,true,{"n":{}}]}';
  w.helper.send({ payload: { topic: 'e', data } });
  w.helper.send({ destination: 'b', payload: { topic: 'e', data: null } });
  w.helper.send({ destination: 'ws-default', payload: { topic: 'e', data: 0 } });
  w.helper.send({ destination: 'far away:*', payload: { topic: 'e', data: '' } });
  await until(() => seen.length === 4, 'the helper is heard');
  await emitter.toClient({ clientId: 'a', event: 'e', data });
  await emitter.toUser({ userId: 'u', event: 'e', data: 1 });
  await emitter.toRoom({ room: 'r', event: 'e', data: 1, exclude: [] });
  await emitter.toRoom({ room: 'r', event: 'e', data: 1, exclude: ['a'] });
  await emitter.broadcast({ event: 'e', data: 1 });
  await until(() => seen.length === 9, 'the emitter is heard');
  const { serverId } = JSON.parse(seen[0][1]);
  assert.deepEqual(seen, [
    ['ws:broadcast', `{"serverId":"${serverId}","type":"broadcast","event":"e","data":${text}}`],
    ['ws:client:b', `{"serverId":"${serverId}","type":"client","target":"b","event":"e","data":null}`],
    ['ws:room:ws-default', `{"serverId":"${serverId}","type":"room","target":"ws-default","event":"e","data":0}`],
    ['ws:room:far away:*', `{"serverId":"${serverId}","type":"room","target":"far away:*","event":"e","data":""}`],
    ['ws:client:a', `{"serverId":"emitter","type":"client","target":"a","event":"e","data":${text}}`],
    ['ws:user:u', '{"serverId":"emitter","type":"user","target":"u","event":"e","data":1}'],
    ['ws:room:r', '{"serverId":"emitter","type":"room","target":"r","event":"e","data":1,"exclude":[]}'],
    ['ws:room:r', '{"serverId":"emitter","type":"room","target":"r","event":"e","data":1,"exclude":["a"]}'],
    ['ws:broadcast', '{"serverId":"emitter","type":"broadcast","event":"e","data":1}'],
  ]);

  // In, with fields that we do not know and in another order.
  await until(() => a.socket.texts.filter((one) => one.includes('"data":1')).length === 2, 'what the emitter sent has come');
  for (const client of [a, b]) client.take();
  for (const [channel, envelope] of [
    ['ws:client:b', { v: 2, serverId: 'x', type: 'client', target: 'b', event: '1', data: 1, timestamp: 5 }],
    ['ws:user:u', { data: 1, event: '2', target: 'u', type: 'user', serverId: 'emitter' }],
    ['ws:room:b', { serverId: 'x', type: 'room', target: 'b', event: '3', data: 1 }],
    ['ws:room:any', { serverId: 'x', type: 'room', target: 'ws-default', event: '4', data: 1, exclude: ['b'] }],
    ['ws:broadcast', { serverId, type: 'broadcast', event: 'own', data: 1 }],
    ['ws:broadcast', { serverId: 'x', type: 'broadcast', event: '5', data: 1, exclude: ['b'] }],
  ]) await other.publish(channel, JSON.stringify(envelope));
  const events = { a: [], b: [] };
  await until(() => {
    events.a.push(...a.take().map(({ event }) => event));
    events.b.push(...b.take().map(({ event }) => event));
    return events.a.includes('5');
  }, 'all has come');
  assert.deepEqual(events, { a: ['2', '4', '5'], b: ['1', '3'] });
});
