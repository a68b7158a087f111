// Form c of `redisConnection`: helpers and emitters on the broker's own connections to Redis, in a process of the runtime that is tested. Beside them, in this process,
// those on ioredis. Sockets are fakes.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { Cluster, Redis } from 'ioredis';

import { authority } from '../e2e/certificates.mjs';
import { failure, launch, until } from '../e2e/harness.mjs';
import { lib, world } from '../helper/world.mjs';
import { startRedis } from './redis.mjs';

const { WebSocketEmitter } = lib;
const packageFile = createRequire(import.meta.url).resolve('wsbroker/server-helper');

/** A process that has to end by itself after `end` has run in it. */
async function processFor(t, end) {
  let child;
  // Before the one of `launch`.
  t.after(() => child?.main(end));
  return (child = await launch(t, { start: false }));
}

/** A process with a helper: it tells what is published to topics, sent to sockets, said by `busStateFn` and logged as an error. */
async function helperProcess(t, redisConnection, { configured = true } = {}) {
  const child = await processFor(t, () => globalThis.world.helper.shutdown());
  await child.main((wsb, kit, packageFile, redisConnection) => {
    const { WebSocketServerHelper } = require(packageFile);
    const server = { pendingWebSockets: 0, publish: (topic, frame) => (kit.tell('publish', { topic, frame }), frame.length) };
    const log = { for: () => log, debug() {}, info() {}, warn: (text) => kit.tell('log', { text }), error: (text) => kit.tell('log', { text }) };
    const helper = new WebSocketServerHelper({
      identifier: 'app', redisConnection, server, logger: log,
      authenticateFn: ({ user }) => ({ userId: user }),
      busStateFn: (state) => kit.tell('state', { state }),
    });
    const sockets = new Map();
    globalThis.world = {
      helper,
      member(id, user) {
        const handler = helper.getBunWebSocketHandler();
        const socket = {
          data: { clientId: id }, remoteAddress: '127.0.0.1', readyState: 1,
          send: (text) => (kit.tell('send', { id, text }), text.length),
          close: () => handler.close(socket, 1000, ''),
          subscribe() {}, unsubscribe() {}, isSubscribed: () => false, cork: (fn) => fn(socket),
        };
        sockets.set(id, socket);
        handler.open(socket);
        handler.message(socket, JSON.stringify({ event: 'authenticate', data: { user } }));
      },
    };
  }, packageFile, redisConnection);
  const at = {
    child,
    configure: () => child.main(() => globalThis.world.helper.configure()),
    call: (method, opts) => child.main((wsb, kit, method, opts) => globalThis.world.helper[method](opts), method, opts),
    stats: () => child.main(() => globalThis.world.helper.getStats()),
    state: (state) => child.told.next('state', (event) => event.state === state),
    published: (topic, event) => child.told.next('publish', (told) => told.topic === topic && told.frame.includes(`"${event}"`)),
    sent: (id, event) => child.told.next('send', (told) => told.id === id && told.text.includes(`"${event}"`)),
    async member(id, user) {
      await child.main((wsb, kit, id, user) => globalThis.world.member(id, user), id, user);
      await at.sent(id, 'connected');
    },
  };
  if (configured) await at.configure();
  return at;
}

/** A process with an emitter. */
async function emitterProcess(t, redisConnection, { configured = true } = {}) {
  const child = await processFor(t, () => globalThis.emitter.shutdown());
  await child.main((wsb, kit, packageFile, redisConnection) => {
    const { WebSocketEmitter } = require(packageFile);
    const log = { for: () => log, debug() {}, info() {}, warn() {}, error() {} };
    globalThis.emitter = new WebSocketEmitter({ redisConnection, logger: log, busStateFn: (state) => kit.tell('state', { state }) });
  }, packageFile, redisConnection);
  const emitter = {
    child,
    state: (state) => child.told.next('state', (event) => event.state === state),
    call: (method, opts) => child.main((wsb, kit, method, opts) => globalThis.emitter[method](opts), method, opts),
  };
  if (configured) await emitter.call('configure');
  return emitter;
}

function client(t, redis, options = {}) {
  const one = new Redis(redis.port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => 50, ...options });
  one.on('error', () => undefined);
  t.after(() => one.disconnect());
  return one;
}

/** Everything that is published, as it is. */
async function wiretap(t, redis) {
  const ear = client(t, redis);
  const heard = [];
  ear.on('pmessageBuffer', (pattern, channel, text) => heard.push([channel.toString(), text.toString()]));
  await ear.connect();
  await ear.psubscribe('*');
  return heard;
}

const DATA = [{ 'a b': [1, 2.5, 'é😀 "\\\n'], half: '\ud800', none: null }, null, 'text', 0, []];

test('a helper and one on ioredis reach each other, byte by byte, for all four types and by the id of a client', async (t) => {
  const redis = await startRedis(t);
  const native = await helperProcess(t, redis.url);
  const other = await world(t, { redis: client(t, redis) });
  const heard = await wiretap(t, redis);
  await native.member('n1', 'u');
  const [o1, o2] = [await other.member({ user: 'u' }, { id: 'o1' }), await other.member({ user: 'v' }, { id: 'o2' })];

  // To the other one, and what stands on Redis is what the other one writes.
  for (const data of DATA) {
    const sends = (own, remote) => [
      { payload: { topic: 'all', data } },
      { destination: own, payload: { topic: 'by own id', data } },
      { destination: remote, payload: { topic: 'by id', data } },
      { destination: 'ws-default', payload: { topic: 'to a room', data } },
      { destination: 'r*[é', payload: { topic: '\ud800"', data } },
    ];
    for (const send of sends('n1', 'o1')) await native.call('send', send);
    for (const send of sends('o1', 'n1')) other.helper.send(send);
  }
  await until(() => heard.length === 10 * DATA.length, 'all is published');
  const plain = (pair) => pair.map((text) => text.replace(/"serverId":"[0-9a-f-]{36}"/, '"serverId":""').replace(/\b[no]1\b/g, 'id'));
  const ids = [...new Set(heard.map(([, text]) => JSON.parse(text).serverId))];
  assert.equal(ids.length, 2);
  const [one, two] = ids.map((id) => heard.filter(([, text]) => text.includes(id)).map(plain));
  assert.deepEqual(one, two);
  const expected = (event) => DATA.map((data) => JSON.stringify({ event, data }));
  const [byId, toRoom] = ['"by id"', '"to a room"'].map((event) => () => o1.socket.texts.filter((text) => text.includes(event)));
  await until(() => byId().length === DATA.length && toRoom().length === 2 * DATA.length, 'the other gets all');
  assert.deepEqual(byId(), expected('by id'));
  assert.deepEqual(new Set(toRoom()), new Set(expected('to a room')));
  assert.ok(o2.socket.texts.every((text) => !text.includes('by id')));
  for (const frame of expected('by id')) {
    assert.equal((await native.published('n1', 'by id')).frame, frame, 'the id is a room of its client');
  }

  // From the other one: topics by publish, clients and users one by one. An emitter represents all that send in this way.
  const emitter = new WebSocketEmitter({ redisConnection: client(t, redis) });
  t.after(() => emitter.shutdown());
  await emitter.configure();
  for (const data of DATA) {
    await emitter.toClient({ clientId: 'n1', event: 'client', data });
    assert.equal((await native.sent('n1', 'client')).text, JSON.stringify({ event: 'client', data }));
    await emitter.toUser({ userId: 'u', event: 'user', data });
    assert.equal((await native.sent('n1', 'user')).text, JSON.stringify({ event: 'user', data }));
    await emitter.toRoom({ room: 'ws-default', event: 'excluded', data, exclude: ['n1'] });
    await emitter.toRoom({ room: 'ws-default', event: 'one by one', data, exclude: ['x'] });
    assert.equal((await native.sent('n1', 'one by one')).text, JSON.stringify({ event: 'one by one', data }));
    await emitter.broadcast({ event: 'broadcast', data });
    assert.equal((await native.published('ws:internal:broadcast', 'broadcast')).frame, JSON.stringify({ event: 'broadcast', data }));
  }
  assert.ok(!native.child.told.of('send').some(({ text }) => text.includes('excluded')));
  const { busState, busRefused, busFailed, busInvalid } = await native.stats();
  assert.deepEqual({ busState, busRefused, busFailed, busInvalid }, { busState: 'ready', busRefused: 0, busFailed: 0, busInvalid: 0 });
});

test('an emitter writes what one on ioredis writes, and resolves when Redis has it', async (t) => {
  const redis = await startRedis(t);
  const heard = await wiretap(t, redis);
  const native = await emitterProcess(t, { host: '127.0.0.1', port: redis.port }, { configured: false });
  await failure(native.call('broadcast', { event: 'early', data: 1 }), { code: 'ERR_WSBROKER_BUS_LOST' });
  await native.call('configure');
  const other = new WebSocketEmitter({ redisConnection: client(t, redis) });
  t.after(() => other.shutdown());
  await other.configure();
  for (const data of DATA) {
    const calls = [
      ['toClient', { clientId: 'c"', event: 'e', data }], ['toUser', { userId: 7, event: '', data }], ['toRoom', { room: 'r', event: 'é', data, exclude: [] }],
      ['toRoom', { room: 'r', event: 'e', data }], ['broadcast', { event: '\ud800', data }],
    ];
    for (const [method, opts] of calls) {
      const before = heard.length;
      assert.equal(await native.call(method, opts), undefined);
      await other[method](opts);
      await until(() => heard.length === before + 2, 'both are there');
      assert.deepEqual(heard[before], heard[before + 1]);
    }
  }
  await native.call('shutdown');
  await failure(native.call('broadcast', { event: 'late', data: 1 }), { code: 'ERR_WSBROKER_SHUT_DOWN' });
  await failure(native.call('configure'), { code: 'ERR_WSBROKER_SHUT_DOWN' });
});

test('while Redis is away messages are refused and counted, and afterwards all is as before', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = [await helperProcess(t, redis.url), await helperProcess(t, redis.url)];
  const emitter = await emitterProcess(t, redis.url);
  await Promise.all([one.state('ready'), two.state('ready'), emitter.state('ready')]);
  await two.member('c', 'u');
  await redis.kill();
  await Promise.all([one.state('lost'), two.state('lost'), emitter.state('lost')]);
  await until(async () => {
    await one.call('send', { payload: { topic: 'lost', data: 1 } });
    return (await one.stats()).busRefused >= 3;
  }, 'messages are refused');
  assert.equal((await one.stats()).busState, 'lost');
  await failure(emitter.call('broadcast', { event: 'lost', data: 1 }), { code: 'ERR_WSBROKER_BUS_LOST' });
  await redis.run();
  await Promise.all([one.state('ready'), two.state('ready'), emitter.state('ready')]);
  await one.call('send', { destination: 'c', payload: { topic: 'again', data: 1 } });
  await two.published('c', 'again');
  await emitter.call('toClient', { clientId: 'c', event: 'from elsewhere', data: 1 });
  await two.sent('c', 'from elsewhere');
  assert.deepEqual(one.child.told.of('state').map(({ state }) => state), ['ready', 'lost', 'ready'], 'each change once');
  const refusals = one.child.told.of('log').filter(({ text }) => /not sent to Redis/.test(text));
  assert.ok(refusals.length >= 1, 'it is logged');
});

test('a Redis that hangs is noticed within five seconds, and what waits is bounded', async (t) => {
  const redis = await startRedis(t);
  const [one, emitter] = [await helperProcess(t, redis.url), await emitterProcess(t, redis.url)];
  redis.signal('SIGSTOP');
  const stopped = Date.now();
  const under = emitter.call('broadcast', { event: 'under way', data: 1 });
  under.catch(() => undefined);
  await one.child.main(() => {
    const data = 'x'.repeat(1_000_000);
    for (let i = 0; i < 20; i++) globalThis.world.helper.send({ payload: { topic: 'large', data } });
  });
  assert.equal((await one.stats()).busRefused, 12, 'eight times a million are less than 8 MiB, nine are more');
  await one.state('lost');
  assert.ok(Date.now() - stopped < 5000 + Number(process.env.WSB_SLACK || 1000), `noticed after ${Date.now() - stopped} ms`);
  await failure(under, { code: 'ERR_WSBROKER_BUS_LOST' });
  await until(async () => (await one.stats()).busFailed === 8, 'those under way have failed');
  redis.signal('SIGCONT');
  await one.state('ready');
});

test('configure rejects with what Redis says, and can be tried again', async (t) => {
  const redis = await startRedis(t, { args: ['--requirepass', 'secret'] });
  const wrong = await helperProcess(t, `redis://:not-it@127.0.0.1:${redis.port}`, { configured: false });
  const error = await failure(wrong.configure(), { code: 'ERR_WSBROKER_BUS_LOST', message: /WRONGPASS|authentication/i });
  assert.doesNotMatch(error.message, /not-it/);
  assert.equal((await wrong.stats()).busState, 'idle');
  await redis.kill();
  const right = await helperProcess(t, { host: '127.0.0.1', port: redis.port, password: 'secret' }, { configured: false });
  await failure(right.configure(), { code: 'ERR_WSBROKER_BUS_LOST' });
  await right.call('send', { payload: { topic: 'refused', data: 1 } });
  assert.equal((await right.stats()).busRefused, 1);
  await redis.run();
  await right.configure();
  await right.state('ready');
  // A user that may publish on some channels only.
  const admin = client(t, redis, { password: 'secret' });
  await admin.connect();
  await admin.call('ACL', 'SETUSER', 'limited', 'on', '>pw', '+@all', '~*', 'resetchannels', '&ws:broadcast', '&ws:room:*', '&ws:user:*', '&ws:client:*');
  const limited = await helperProcess(t, { host: '127.0.0.1', port: redis.port, username: 'limited', password: 'pw' });
  await admin.call('ACL', 'SETUSER', 'limited', '-publish');
  await limited.call('send', { payload: { topic: 'not allowed', data: 1 } });
  await until(async () => (await limited.stats()).busFailed === 1, 'it is counted');
  const emitter = await emitterProcess(t, { host: '127.0.0.1', port: redis.port, username: 'limited', password: 'pw' });
  await failure(emitter.call('broadcast', { event: 'e', data: 1 }), { code: 'ERR_WSBROKER_REDIS', message: /permission/i });
});

test('encrypted, with the name that the certificate is for', async (t) => {
  const ca = authority();
  const redis = await startRedis(t, { tls: ca.issue('redis', { names: ['redis.example'] }) });
  const url = `rediss://127.0.0.1:${redis.tlsPort}`;
  const tls = { ca: ca.cert, servername: 'redis.example' };
  const [one, two] = [await helperProcess(t, { url, tls }), await helperProcess(t, { host: '127.0.0.1', port: redis.tlsPort, tls: { rejectUnauthorized: false } })];
  await two.member('c', 'u');
  await one.call('send', { destination: 'c', payload: { topic: 'in secret', data: 1 } });
  await two.published('c', 'in secret');
  for (const bad of [url, { url, tls: { ca: ca.cert } }, { url, tls: { ...tls, servername: 'other.example' } }]) {
    const emitter = await emitterProcess(t, bad, { configured: false });
    await failure(emitter.call('configure'), { code: 'ERR_WSBROKER_BUS_LOST', message: /certificate/i });
  }
});

test('on a Redis Cluster pub/sub is ordinary: one on ioredis hears it, and is heard', async (t) => {
  const redis = await startRedis(t, { cluster: true });
  const native = await helperProcess(t, { nodes: [{ host: '127.0.0.1', port: redis.port }] });
  const cluster = new Cluster([{ host: '127.0.0.1', port: redis.port }], { lazyConnect: true });
  cluster.on('error', () => undefined);
  t.after(() => cluster.disconnect());
  const other = await world(t, { redis: cluster });
  const o1 = await other.member({ user: 'u' }, { id: 'o1' });
  await native.member('n1', 'u');
  await native.call('send', { destination: 'o1', payload: { topic: 'there', data: 1 } });
  await until(() => o1.socket.texts.some((text) => text.includes('there')), 'it arrives');
  other.helper.send({ destination: 'n1', payload: { topic: 'back', data: 1 } });
  await native.published('n1', 'back');
});

test('what is no envelope or too large is counted, and what JavaScript cannot take in time is dropped and counted', async (t) => {
  const redis = await startRedis(t);
  const one = await helperProcess(t, redis.url);
  const emitter = client(t, redis);
  await emitter.connect();
  const frame = (event, data) => JSON.stringify({ serverId: 'x', type: 'broadcast', event, data });
  for (const text of ['', 'null', '[]', '{"serverId":"x"}', frame('large', 'x'.repeat(2 ** 24))]) await emitter.publish('ws:broadcast', text);
  await emitter.publish('ws:room:any', '{"serverId":"x","event":"e","type":"none"}');
  await emitter.publish('ws:broadcast', Buffer.from('{"serverId":"x","type":"broadcast","event":"odd","data":"\xff"}', 'latin1'));
  assert.equal((await one.published('ws:internal:broadcast', 'odd')).frame, '{"event":"odd","data":"\ufffd"}');
  assert.equal((await one.stats()).busInvalid, 5);
  assert.ok(one.child.told.of('log').some(({ text }) => /from Redis ignored/.test(text)));
  // Busy until Redis has nothing more for it: what is on its way then is far less than what has come.
  const go = path.join(tmpdir(), `wsbroker-go-${process.pid}`);
  t.after(() => rmSync(go, { force: true }));
  const busy = one.child.main((wsb, kit, go) => {
    while (!require('node:fs').existsSync(go));
  }, go);
  const count = 40;
  for (let i = 0; i < count; i++) await emitter.publish('ws:broadcast', frame('flood', 'x'.repeat(2 ** 20 - 100)));
  await until(async () => /\boll=0\b/.test(await emitter.client('LIST', 'TYPE', 'pubsub')), 'Redis has handed everything over');
  writeFileSync(go, '');
  await busy;
  await emitter.publish('ws:broadcast', frame('last', 1));
  await one.published('ws:internal:broadcast', 'last');
  const { framesDropped } = await one.stats();
  const arrived = one.child.told.of('publish').filter(({ frame }) => frame.includes('flood')).length;
  assert.equal(arrived + framesDropped, count);
  assert.ok(framesDropped > 0 && arrived >= 15, `${arrived} have arrived`);
  assert.ok(one.child.told.of('log').some(({ text }) => /dropped/.test(text)));
});

test('neither a loss nor the end of a worker thread hurts, and nothing keeps the process', async (t) => {
  const redis = await startRedis(t);
  const child = await launch(t, { start: false });
  // Never shut down: the emitter of the main thread, and one in a worker that is terminated while it publishes.
  await child.main(async (wsb, kit, packageFile, url) => {
    const { WebSocketEmitter } = require(packageFile);
    const emitter = new WebSocketEmitter({ redisConnection: url });
    await emitter.configure();
    await emitter.broadcast({ event: 'e', data: 1 });
    globalThis.emitter = emitter;
    const { Worker } = require('node:worker_threads');
    const worker = new Worker(`
      const { WebSocketEmitter } = require(${JSON.stringify(packageFile)});
      const { parentPort } = require('node:worker_threads');
      const emitter = new WebSocketEmitter({ redisConnection: ${JSON.stringify(url)} });
      emitter.configure().then(async () => {
        parentPort.postMessage('there');
        for (;;) await Promise.all(Array.from({ length: 100 }, () => emitter.broadcast({ event: 'e', data: 1 })));
      });
    `, { eval: true });
    await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
    await worker.terminate();
  }, packageFile, redis.url);
  const admin = client(t, redis);
  await admin.connect();
  await until(async () => (await admin.client('LIST')).trim().split('\n').length === 2, 'the connection of the worker is closed');
  // `launch` sees to it that the process ends by itself, and well.
});

test('what is no Redis is refused by the constructor', () => {
  const invalid = [
    'redis://', 'redis://host:notaport', 'redis://host:99999', 'redis://host/db', 'http://host', 'redis://%ff@host', '', 'host:6379',
    {}, { url: 5 }, { url: 'http://host' }, { url: 'redis://host', host: 'host' }, { host: '' }, { host: 'host', port: 0 }, { host: 'host', port: '6379' },
    { host: 'host', db: -1 }, { host: 'host', unknown: 1 }, { nodes: [] }, { nodes: [{ port: 1 }] }, { nodes: [{ host: 'h' }], db: 1 }, { sentinels: [{ host: 'h' }] },
    { host: 'host', tls: { ca: 'no PEM' } }, { host: 'host', tls: { servername: 5 } }, { host: 'host', tls: { cert: '-----BEGIN' } }, { host: 'host', connectTimeout: 0 },
  ];
  for (const redisConnection of invalid) {
    assert.throws(() => new WebSocketEmitter({ redisConnection }), (error) => {
      assert.deepEqual([error.code, error.message], ['ERR_WSBROKER_INVALID_REDIS', '[WebSocketEmitter] Invalid redis connection!'], JSON.stringify(redisConnection));
      return true;
    });
  }
  const valid = [
    'redis://host', 'rediss://user:p%40ss@[::1]:1/3', { port: 1 }, { host: 'h', tls: true }, { sentinels: [{ host: 'h' }], name: 'm' }, { nodes: [{ host: 'h', port: 1 }] },
    { url: 'rediss://host', tls: { servername: 'other' } },
  ];
  for (const redisConnection of valid) new WebSocketEmitter({ redisConnection });
});
