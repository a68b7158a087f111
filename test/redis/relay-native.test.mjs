// The native transport on the native bus: what comes from Redis reaches clients without JavaScript, once for each instance.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Redis } from 'ioredis';

import { until } from '../e2e/harness.mjs';
import { crowd, member, pool, single } from '../helper/native-kit.mjs';
import { lib } from '../helper/world.mjs';
import { startRedis } from './redis.mjs';

async function client(t, redis) {
  const one = new Redis(redis.port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => 50 });
  one.on('error', () => undefined);
  t.after(() => one.disconnect());
  await one.connect();
  return one;
}

/** Of others than those that ask. */
const connections = async (admin) => (await admin.client('LIST')).trim().split('\n').filter((line) => !line.includes(' cmd=client|list ')).length;

test('messages from Redis reach clients while JavaScript is busy, and data keeps its text', async (t) => {
  const redis = await startRedis(t);
  const server = await single(t, { redisConnection: redis.url });
  const [a, b] = [await member(server, { user: 'u' }), await member(server, { user: 'v' })];
  const admin = await client(t, redis);
  const go = path.join(tmpdir(), `wsbroker-go-native-${process.pid}`);
  t.after(() => rmSync(go, { force: true }));
  const busy = server.run((helper, context, go) => {
    context.kit.tell('busy');
    while (!require('node:fs').existsSync(go));
  }, go);
  await server.told.next('busy');
  const data = '{ "a" : [1.0, 1e2] , "\\u0061":"\\/" }';
  const envelope = (type, target, more = '') => `{"serverId":"x","type":"${type}","target":"${target}","event":"${type}","data":${data}${more}}`;
  await admin.publish('ws:client:x', envelope('client', a.id));
  await admin.publish('ws:user:x', envelope('user', 'u'));
  await admin.publish('ws:room:x', envelope('room', 'ws-default', `,"exclude":["${b.id}"]`));
  await admin.publish('ws:room:x', envelope('room', b.id));
  await admin.publish('ws:broadcast', envelope('broadcast', ''));
  const frame = (type) => `{"event":"${type}","data":${data}}`;
  assert.deepEqual(await a.client.take(4), ['client', 'user', 'room', 'broadcast'].map(frame));
  assert.deepEqual(await b.client.take(2), ['room', 'broadcast'].map(frame));
  writeFileSync(go, '');
  await busy;
  const { busState, busInvalid } = await server.run((helper) => helper.getStats());
  assert.deepEqual([busState, busInvalid], ['ready', 0]);
});

test('encrypted clients get them through their transformer', async (t) => {
  const redis = await startRedis(t);
  const server = await single(t, {}, { configured: false });
  await server.main(async (wsb, kit, file, url) => {
    kit.state.context = require(file).make({ redisConnection: url, outboundTransformer: ({ event, data }) => ({ event: 'encrypted', data: { event, data } }) });
    await kit.state.context.helper.configure();
  }, fileURLToPath(new URL('../helper/fixtures/native.cjs', import.meta.url)), redis.url);
  server.at = await server.run((helper) => helper.getAddress());
  const [a, b] = [await member(server), await member(server)];
  await server.run((helper, context, clientId) => helper.enableClientEncryption({ clientId }), a.id);
  const emitter = new lib.WebSocketEmitter({ redisConnection: await client(t, redis) });
  t.after(() => emitter.shutdown());
  await emitter.configure();
  await emitter.broadcast({ event: 'all', data: 1 });
  await emitter.toClient({ clientId: a.id, event: 'one', data: 2 });
  assert.deepEqual(await a.take(2), [{ event: 'encrypted', data: { event: 'all', data: 1 } }, { event: 'encrypted', data: { event: 'one', data: 2 } }]);
  assert.deepEqual(await b.next(), { event: 'all', data: 1 });
});

test('the helpers of an instance share one bus, and each hears of each change', async (t) => {
  const redis = await startRedis(t);
  const threads = 3;
  const server = await pool(t, { threads, options: { redisConnection: redis.url } });
  const peers = await crowd(server, threads, 1, () => ({ user: 'u' }));
  const admin = await client(t, redis);
  assert.equal(await connections(admin), 2, 'one connection to publish and one to listen');
  const emitter = new lib.WebSocketEmitter({ redisConnection: admin });
  t.after(() => emitter.shutdown());
  await emitter.configure();
  const reach = async (event) => {
    await emitter.toUser({ userId: 'u', event, data: 1 });
    await emitter.broadcast({ event: `${event}, then all`, data: 1 });
    for (const peer of peers) assert.deepEqual((await peer.take(2)).map((message) => message.event), [event, `${event}, then all`]);
  };
  await reach('before');
  await redis.kill();
  const told = (state) => server.told.of('bus', (event) => event.state === state).length;
  await until(() => told('lost') === threads, 'each hears that it is lost');
  const refused = await peers[0].run((helper) => {
    helper.send({ payload: { topic: 'here', data: 1 } });
    return helper.getStats().busRefused;
  });
  assert.equal(refused, 1);
  for (const peer of peers) assert.equal((await peer.next()).event, 'here', 'local delivery goes on');
  await redis.run();
  await until(() => told('ready') === 2 * threads, 'each hears that it is ready again');
  await until(() => emitter.configure().then(() => emitter.broadcast({ event: 'again', data: 1 })).then(() => true, () => false), 'the emitter is back, too');
  for (const peer of peers) assert.equal((await peer.next()).event, 'again');
  await reach('after');
  assert.deepEqual([told('lost'), told('ready')], [threads, 2 * threads], 'each change once');
  // One after the other leaves; the bus stays until the last has gone.
  for (const [left, peer] of peers.entries()) {
    await peer.run((helper) => void helper.shutdown());
    await peer.end();
    await until(async () => (await connections(admin)) - 1 === (left === threads - 1 ? 0 : 2), 'the bus is there as long as it is needed');
  }
});
