// The transport of Bun as it is: `Bun.serve`, the handler of the helper, real clients.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

import { until, within } from '../e2e/harness.mjs';
import { startRedis } from '../redis/redis.mjs';
import { findBun } from '../runner/runtimes.mjs';

const program = fileURLToPath(new URL('./programs/bun-server.mjs', import.meta.url));
const { binary: bun, why } = await findBun();
const bunTest = (name, fn) => test(name, { skip: bun ? false : why }, fn);

/** A server process; `functions` travel as source text. */
async function serve(t, { functions = {}, ...options } = {}) {
  const sources = Object.fromEntries(Object.entries(functions).map(([name, fn]) => [name, String(fn)]));
  const child = spawn(bun, [program, JSON.stringify({ ...options, functions: sources })], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const clients = [];
  t.after(async () => {
    for (const { ws } of clients) ws.terminate();
    child.kill('SIGKILL');
    await exited;
  });
  const [port] = await within(new Promise((resolve) => createInterface({ input: child.stdout }).once('line', (line) => resolve([line]))), 'the port', 30_000);
  const run = async (fn, ...args) => {
    const answer = await fetch(`http://127.0.0.1:${port}/do`, { method: 'POST', body: JSON.stringify({ source: String(fn), args }) });
    return (await answer.json()).value;
  };
  const connect = async (id) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: id === undefined ? {} : { 'x-id': id } });
    const client = { ws, messages: [], taken: 0, send: (what) => ws.send(typeof what === 'string' || Buffer.isBuffer(what) ? what : JSON.stringify(what)) };
    clients.push(client);
    client.ended = new Promise((resolve) => ws.on('close', (code, reason) => resolve([code, String(reason)])));
    ws.on('message', (data) => client.messages.push(JSON.parse(String(data))));
    ws.on('error', () => {});
    await within(new Promise((resolve) => ws.once('open', resolve)), 'the connection');
    client.next = async () => {
      await until(() => client.messages.length > client.taken, 'a message');
      return client.messages[client.taken++];
    };
    return client;
  };
  const member = async (data = {}, id) => {
    const client = await connect(id);
    client.send({ event: 'authenticate', data });
    const { event, data: connected } = await client.next();
    assert.equal(event, 'connected');
    return Object.assign(client, { id: connected.id });
  };
  return { run, connect, member, exited, child, port };
}

/** Everything sent to these clients before now has come, and nothing else. */
async function exactly(server, clients, wanted) {
  await server.run(({ helper }, ids) => ids.forEach((clientId) => helper.sendToClient({ clientId, event: 'fence', data: 0 })), clients.map(({ id }) => id));
  for (const [i, client] of clients.entries()) {
    const got = [];
    for (let one = await client.next(); one.event !== 'fence'; one = await client.next()) got.push(one.event);
    assert.deepEqual(got, wanted[i], `client ${i}`);
  }
}

bunTest('clients of Bun are authenticated, reached by every way of sending, and leave', async (t) => {
  const server = await serve(t, { functions: { validateRoomFn: ({ rooms }) => rooms } });
  const [a, b, c] = [await server.member({ user: 7 }), await server.member({ user: '7' }), await server.member()];
  const d = await server.connect('d');
  d.id = 'd';
  b.send({ event: 'join', data: { rooms: ['r'] } });
  c.send({ event: 'join', data: { rooms: ['r'] } });
  await until(() => server.run(({ helper }) => helper.countRoom({ room: 'r' }) === 2), 'they are in the room');
  await server.run(({ helper }, b, c) => {
    helper.sendToClient({ clientId: 'd', event: 'client', data: 1 });
    helper.sendToUser({ userId: '7', event: 'user', data: 1 });
    helper.sendToRoom({ room: 'r', event: 'room', data: 1 });
    helper.sendToRoom({ room: 'r', event: 'exclude', data: 1, exclude: [b] });
    helper.sendToRoom({ room: c, event: 'own', data: 1 });
    helper.sendToRoom({ room: 'd', event: 'own', data: 1 });
    helper.broadcast({ event: 'all', data: 1 });
    helper.broadcast({ event: 'but', data: 1, exclude: [c] });
    helper.send({ destination: 'd', payload: { topic: 'send', data: 1 } });
  }, b.id, c.id);
  await exactly(server, [a, b, c, d], [['user', 'all', 'but'], ['user', 'room', 'all', 'but'], ['room', 'exclude', 'own', 'all'], ['client', 'own', 'send']]);
  a.send({ event: 'chat', data: 'ü' });
  a.send(Buffer.from('{"event":"binary","data":"ü"}'));
  d.send({ event: 'chat' });
  assert.deepEqual(await d.next(), { event: 'error', data: { message: 'Not authenticated' } });
  await until(() => server.run(({ told }) => told.handled.length === 2), 'both are handled');
  assert.deepEqual(await server.run(({ told }) => told.handled), [{ event: 'chat', data: 'ü' }, { event: 'binary', data: 'ü' }]);
  b.send({ event: 'leave', data: { rooms: ['r'] } });
  await until(() => server.run(({ helper }) => helper.countRoom({ room: 'r' }) === 1), 'it has left');
  c.ws.close();
  a.ws.terminate();
  await until(() => server.run(({ helper, told }) => helper.countClients() === 2 && told.disconnected === 2), 'two have gone');
  assert.deepEqual(await server.run(({ helper, server, told, failed }) => [helper.countRoom({ room: 'r' }), server.subscriberCount('r'), helper.getClientsByUser({ userId: '7' }).length, told.connected, failed]), [0, 0, 1, 3, []]);
});

bunTest('every close arrives with its code and reason', async (t) => {
  const server = await serve(t, { options: { authTimeout: 2000, heartbeatInterval: 500, heartbeatTimeout: 3000 } });
  const first = await server.connect();
  assert.deepEqual(await first.ended, [4001, 'Authentication timeout']);
  const refused = await server.connect();
  refused.send({ event: 'authenticate', data: { refuse: true } });
  assert.deepEqual(await refused.next(), { event: 'error', data: { message: 'Authentication failed' } });
  assert.deepEqual(await refused.ended, [4003, 'Authentication failed']);
  const silent = await server.member();
  assert.deepEqual(await silent.ended, [4002, 'Heartbeat timeout']);
  const big = await server.connect();
  big.send('x'.repeat(32769));
  assert.deepEqual(await big.ended, [1009, 'Received too big message']);
  const chatty = await server.connect();
  for (let i = 0; i < 129; i++) chatty.send({ event: 'heartbeat' });
  assert.deepEqual(await chatty.ended, [1008, 'Too many messages']);
  assert.deepEqual(chatty.messages, []);
  const last = await server.member();
  const [, report] = await Promise.all([last.ended.then((ended) => assert.deepEqual(ended, [1001, 'Server shutting down'])), server.run(async ({ helper, failed }) => {
    await helper.shutdown();
    return [helper.countClients(), helper.getStats().busState, failed];
  })]);
  assert.deepEqual(report, [0, 'idle', []]);
  const late = await server.connect();
  assert.deepEqual(await late.ended, [1001, 'Server shutting down']);
});

bunTest('requireEncryption without handshakeFn, and with one', async (t) => {
  const bare = await serve(t, { options: { requireEncryption: true } });
  const client = await bare.connect();
  client.send({ event: 'authenticate' });
  assert.deepEqual(await client.ended, [4004, 'Encryption required']);
  const server = await serve(t, {
    options: { requireEncryption: true },
    functions: {
      handshakeFn: async () => ({ serverPublicKey: 'key', salt: 'salt' }),
      outboundTransformer: async ({ event, data }) => (event === 'connected' ? null : { event: 'encrypted', data: { was: event, data } }),
    },
  });
  const hidden = await server.connect();
  hidden.send({ event: 'authenticate', data: {} });
  const { data } = await hidden.next();
  assert.deepEqual([data.serverPublicKey, data.salt], ['key', 'salt']);
  await server.run(({ helper }) => {
    for (let i = 0; i < 50; i++) i % 2 ? helper.broadcast({ event: 'n', data: i }) : helper.sendToRoom({ room: 'ws-default', event: 'n', data: i });
  });
  for (let i = 0; i < 50; i++) assert.deepEqual(await hidden.next(), { event: 'encrypted', data: { was: 'n', data: i } });
  assert.equal(await server.run(({ helper, server }) => server.publish('ws-default', 'x') + server.publish('ws:internal:broadcast', 'x')), 0, 'it is in no channel of Bun');
});

bunTest('a slow client is flagged, and drain takes the flag away', async (t) => {
  const server = await serve(t, { options: { serverOptions: { backpressureLimit: 65536, perMessageDeflate: false, idleTimeout: 0 } } });
  const client = await server.member();
  client.ws._socket.pause();
  const entry = () => server.run(({ helper }, id) => helper.getClients({ id }).backpressured, client.id);
  const sent = await server.run(({ helper }, clientId) => {
    let count = 0;
    const entry = helper.getClients({ id: clientId });
    for (; count < 2000 && !entry.backpressured; count++) helper.sendToClient({ clientId, event: 'n', data: 'x'.repeat(100_000) });
    return count;
  }, client.id);
  assert.ok(sent < 2000, 'the limit is reached');
  assert.equal(await entry(), true);
  client.ws._socket.resume();
  await until(async () => !(await entry()), 'it drains');
  for (let i = 0; i < sent; i++) assert.equal((await client.next()).event, 'n');
  assert.equal(await server.run(({ helper }) => helper.getStats().framesDropped), 0);
});

bunTest('two servers on Bun share a Redis, which goes and comes back', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = [await serve(t, { redis: redis.port }), await serve(t, { redis: redis.port })];
  const [a, b] = [await one.member(), await two.member({}, 'b')];
  const state = (server) => server.run(({ helper }) => helper.getStats().busState);
  const cross = async (mark) => {
    await one.run(({ helper }, data) => helper.send({ destination: 'b', payload: { topic: 'to b', data } }), mark);
    assert.deepEqual(await b.next(), { event: 'to b', data: mark });
    await two.run(({ helper }, data) => helper.send({ payload: { topic: 'all', data } }), mark);
    assert.deepEqual([await a.next(), await b.next()], [{ event: 'all', data: mark }, { event: 'all', data: mark }]);
  };
  await cross(1);
  await redis.kill();
  await until(async () => (await state(one)) === 'lost' && (await state(two)) === 'lost', 'the loss shows');
  // The publisher may hear of it later than the subscriber.
  await until(() => one.run(({ helper }) => {
    helper.send({ payload: { topic: 'local', data: 1 } });
    return helper.getStats().busRefused > 0;
  }), 'the publisher is lost, too');
  await one.run(({ helper }) => helper.send({ payload: { topic: 'last', data: 1 } }));
  while ((await a.next()).event !== 'last');
  await redis.run();
  await until(async () => (await state(one)) === 'ready' && (await state(two)) === 'ready', 'it is ready again', 30_000);
  // What was under way when it was lost may still come; what was refused must not.
  const late = [];
  await one.run(({ helper }) => helper.send({ destination: 'b', payload: { topic: 'fence', data: 1 } }));
  for (let next = await b.next(); next.event !== 'fence'; next = await b.next()) late.push(next.event);
  assert.ok(!late.includes('last'));
  await cross(2);
  assert.deepEqual(await one.run(({ failed }) => failed), []);
});

bunTest('thousands that never authenticate are gone after authTimeout, and leave nothing', async (t) => {
  const count = 5000;
  const server = await serve(t, { options: { authTimeout: 5000 } });
  const codes = [];
  await Promise.all(Array.from({ length: 20 }, async () => {
    for (let i = 0; i < count / 20; i++) (await server.connect()).ended.then(([code]) => codes.push(code));
  }));
  await until(() => codes.length === count, 'all are closed', 60_000);
  assert.deepEqual(new Set(codes), new Set([4001]));
  await until(() => server.run(({ helper, server, told }, count) => helper.countClients() === 0 && server.pendingWebSockets === 0 && told.disconnected === count, count), 'nothing is left');
});
