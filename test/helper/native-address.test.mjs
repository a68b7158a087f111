// Addresses and instances of the native transport (sections B and C): what is shared, what is refused, and what is left when somebody goes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { failure, launch, until } from '../e2e/harness.mjs';
import { connect, fixture, member, pool, single } from './native-kit.mjs';

/** Another helper on the main thread, under this name. */
const another = (server, name, options, act = 'configure') => server.main(async (wsb, kit, file, given) => {
  const { name: key, options: own, act: how } = given;
  kit.state[key] ??= require(file).make(own);
  await kit.state[key].helper[how]();
  return kit.state[key].helper.getAddress();
}, fixture, { name, options, act });

const RAW = '{ handleOpen(id) { kit.tell("open", { id }) }, handleTextMessage(data, id) { kit.tell("text", { id, data }); kit.runnable(wsb, data, id) } }';

test('an address of start is shared: its path is the helper\'s, all else the raw handlers\'', async (t) => {
  const server = await pool(t, { threads: 2, handlers: RAW });
  assert.match(server.url, /^ws:\/\/127\.0\.0\.1:\d+$/);
  const peer = await member(server);
  assert.equal((await peer.run((helper) => helper.getAddress())).url, server.url, 'port 0 is that of start');
  const raw = await server.connect('/other', { id: false });
  const { id } = await server.told.next('open');
  raw.send('hello');
  assert.equal((await server.told.next('text')).data, 'hello');
  // To the raw calls a helper's socket is one that is gone, and to a helper a raw one.
  const socketId = id === 1 ? 2 : 1;
  const seen = await raw.run((wsb, own, other) => ({
    open: [wsb.isOpen(own), wsb.isOpen(other)],
    send: wsb.send(other, 'no'),
    subscribed: [wsb.subscribe(own, 'r'), wsb.subscribe(other, 'r')],
    token: [wsb.setToken(other, 'x'), wsb.getToken(other)].map((value) => value ?? null),
    closed: wsb.close(other) ?? null,
    connections: wsb.connectionCount(),
    total: wsb.stats().connections,
    channels: wsb.stats().channels,
  }), socketId);
  assert.deepEqual(seen, {
    open: [true, false], send: 0, subscribed: [true, false], token: [null, null], closed: null, connections: 1, total: 2, channels: 1,
  });
  await peer.join('r');
  await raw.run((wsb) => {
    for (const channel of ['r', 'ws:internal:broadcast']) if (wsb.sendToChannel(channel, 'raw') !== (channel === 'r' ? 1 : 0)) throw new Error(channel);
  });
  await peer.run((helper, { clientId }) => {
    helper.sendToRoom({ room: 'r', event: 'of the helper', data: 1 });
    helper.sendToClient({ clientId, event: 'end', data: 1 });
  });
  assert.deepEqual((await peer.take(2)).map(({ event }) => event), ['of the helper', 'end']);
  assert.deepEqual(await raw.fence(), ['raw']);
  assert.equal(server.told.of('open').length, 1, 'raw handlers hear of no socket of a helper');
});

test('a module without handlers is enough, and other paths are 404 then', async (t) => {
  const server = await pool(t, { threads: 2 });
  await member(server);
  assert.equal((await server.refused('/other')).status, 404);
});

test('the path of a helper that is not configured yet answers 503, and never goes to raw handlers', async (t) => {
  const server = await lateModule(t, RAW);
  assert.equal((await server.refused('/ws')).status, 503);
  const raw = await server.connect('/', { id: false });
  raw.send('meanwhile');
  assert.equal((await server.told.next('text')).data, 'meanwhile');
  await server.go();
  await member(server);
  const silent = await lateModule(t, '{}');
  assert.equal((await silent.refused('/ws')).status, 503);
  assert.equal((await silent.refused('/other')).status, 404, 'nobody would hear of it');
  await silent.go();
  await member(silent);
  assert.equal((await silent.refused('/other')).status, 404);
});

/** A server whose module does not wait for its helper, which is configured after `go`. */
async function lateModule(t, handlers) {
  const worker = `(wsb, kit) => {
    const { helper, redis, threadId } = require(${JSON.stringify(fixture)}).make();
    for (const one of redis.duplicates) one.status = 'connecting';
    const go = new BroadcastChannel('go');
    go.onmessage = () => {
      go.close();
      for (const one of redis.duplicates) {
        one.status = 'ready';
        one.emit('ready');
      }
    };
    helper.configure().then(() => kit.tell('configured', { thread: threadId }));
    return ${handlers};
  }`;
  const server = await launch(t, { worker, options: { threads: 1 } });
  server.go = async () => {
    await server.main(() => {
      const go = new BroadcastChannel('go');
      go.postMessage(0);
      go.close();
    });
    await server.told.next('configured');
  };
  return server;
}

test('a path whose helpers have all ended answers 503, and never goes to raw handlers', async (t) => {
  const server = await pool(t, { threads: 1, handlers: RAW });
  const peer = await member(server);
  await peer.run((helper) => void helper.shutdown());
  await peer.end();
  await until(async () => (await server.refused('/ws')).status === 503, 'the path to be unavailable');
  const raw = await server.connect('/', { id: false });
  raw.send('still');
  assert.equal((await server.told.next('text')).data, 'still');
  // The one that comes in its place serves it again.
  server.told.skip('configured');
  raw.send(`run:${JSON.stringify({ n: -1, source: '() => process.exit(1)', args: [] })}`);
  await server.told.next('configured');
  await member(server);
});

test('helpers with different paths share an address in either order, and their end affects no other', async (t) => {
  const server = await single(t);
  const { port, url } = server.at;
  const bind = `127.0.0.1:${port}`;
  assert.equal((await another(server, 'second', { identifier: 'second', bind, path: '/second' })).url, url);
  const [one, two] = [await member(server), await connect(server, { path: '/second' })];
  await server.main((wsb, kit) => kit.state.second.helper.shutdown());
  assert.equal((await two.end()).code, 1001);
  assert.equal((await server.refused('/second')).status, 503);
  await one.settle();
  // And start, behind a helper.
  const started = await server.start({ bind });
  assert.equal(started.url, url);
  server.standard = true;
  const raw = await server.connect('/', { at: started });
  assert.ok(raw.id > 0);
  await server.main((wsb) => wsb.shutdown({ timeout: 1000 }));
  assert.equal((await one.end()).code, 1001, 'the shutdown of the broker closes all');
  assert.equal(await server.run((helper) => helper.getAddress() ?? null), null);
  await server.main((wsb, kit) => void (kit.state.servers.length = 0));
});

test('what stands against another helper is a conflict that names it', async (t) => {
  const server = await single(t, { maxConnections: 100, handshakeTimeout: 5_000 });
  const bind = `127.0.0.1:${server.port}`;
  const refused = async (name, options, message) => {
    const error = await failure(another(server, name, options), { code: 'ERR_WSBROKER_CONFLICT', message });
    await server.main((wsb, kit, key) => kit.state[key].helper.shutdown(), name);
    return error;
  };
  await refused('same', {}, /this thread already has a helper with the identifier "app"/);
  await refused('path', { identifier: 'other', bind }, /"\/ws" on 127\.0\.0\.1:\d+ is taken/);
  await refused('caps', { identifier: 'other', bind, path: '/o', maxConnections: 5 }, /"maxConnections" differs/);
  await refused('handshake', { identifier: 'other', bind, path: '/o', handshakeTimeout: 6_000 }, /another value of "handshakeTimeout"/);
  // Where they are not given they are as they are there; where they are given again they are equal.
  await another(server, 'follows', { identifier: 'follows', bind, path: '/a' });
  await another(server, 'equal', { identifier: 'equal', bind, path: '/b', maxConnections: 100, handshakeTimeout: 5_000 });
  await failure(server.start({ bind, path: '/raw', maxConnections: 7 }), { code: 'ERR_WSBROKER_CONFLICT', message: /"maxConnections"/ });
  await failure(server.start({ bind, path: '/raw' }), { code: 'ERR_WSBROKER_CONFLICT', message: /"handshakeTimeout"/ });
  const at = await server.start({ bind, path: '/raw', handshakeTimeout: 5_000, handlers: 'concurrent' });
  assert.equal(at.port, server.port);
  await server.main(async (wsb, kit) => {
    await kit.state.follows.helper.shutdown();
    await kit.state.equal.helper.shutdown();
  });
  await (await member(server)).settle();
});

test('the helpers of an instance must agree', async (t) => {
  const server = await single(t, { serverOptions: { maxPayloadLength: 1000 } });
  const refused = (options) => server.main((wsb, kit, file, given) => new Promise((resolve) => {
    const { Worker } = require('node:worker_threads');
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { helper } = require(workerData.file).make(workerData.given);
      helper.configure().then(() => ({ ok: true }), ({ code, message }) => ({ code, message })).then(async (outcome) => {
        await helper.shutdown();
        parentPort.postMessage(outcome);
      });`;
    new Worker(source, { eval: true, workerData: { file, given } }).on('message', resolve);
  }), fixture, options);
  const own = { serverOptions: { maxPayloadLength: 1000 } };
  for (const [name, options] of Object.entries({
    bind: { ...own, bind: 'localhost:0' }, path: { ...own, path: '/else' }, serverOptions: { serverOptions: { maxPayloadLength: 1001 } },
  })) {
    const { code, message } = await refused(options);
    assert.equal(code, 'ERR_WSBROKER_CONFLICT', name);
    assert.match(message, new RegExp(`"${name}" differs from that of another helper with the identifier "app"`));
  }
  assert.deepEqual(await refused(own), { ok: true });
  await (await member(server)).settle();
});

test('a thread that ends without a word closes the instance that only it had', async (t) => {
  const server = await single(t);
  const at = await server.main((wsb, kit, file) => new Promise((resolve) => {
    const { Worker } = require('node:worker_threads');
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { helper } = require(workerData).make({ identifier: 'lonely' });
      helper.configure().then(() => parentPort.postMessage(helper.getAddress()));`;
    kit.state.worker = new Worker(source, { eval: true, workerData: file }).on('message', resolve);
  }), fixture);
  const peer = await member(server, {}, { at });
  await server.main((wsb, kit) => kit.state.worker.terminate().then(() => undefined));
  assert.deepEqual(await peer.end(), { code: 1012, reason: 'Worker ended' });
  await until(() => server.connect('/ws', { at, id: false }).then(() => false, (error) => error.code === 'ECONNREFUSED'), 'the address to be closed');
  await (await member(server)).settle();
});

test('a thread that a helper keeps alive ends by itself after shutdown', async (t) => {
  const server = await single(t, {}, { configured: false });
  const code = await server.main((wsb, kit, file) => new Promise((resolve) => {
    const { Worker } = require('node:worker_threads');
    const source = `
      const { workerData } = require('node:worker_threads');
      const { helper } = require(workerData).make({ identifier: 'other' });
      helper.configure().then(() => helper.shutdown());`;
    new Worker(source, { eval: true, workerData: file }).on('exit', resolve);
  }), fixture);
  assert.equal(code, 0);
});

test('HTTP beside a helper: a start without paths has it, and the helper shares its address', async (t) => {
  const server = await single(t, {}, { configured: false });
  const { port } = await server.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0', path: [], http: (request, response) => response.end('page'), answers: { '/healthz': 'health', '/readyz': 'ready' } }));
  const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).json();
  assert.deepEqual(await ready(), { ready: false, reasons: ['noWorker'] });
  const at = await another(server, 'beside', { bind: `127.0.0.1:${port}` });
  assert.equal(at.port, port);
  assert.deepEqual(await ready(), { ready: true }, 'the workers of a helper count');
  const get = async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  assert.deepEqual([await get('/'), await get('/healthz')], ['page', 'ok\n']);
  await (await connect(server, { at })).enter();
  await another(server, 'beside', {}, 'shutdown');
  assert.equal(await get('/'), 'page', 'it outlives the helper');
  assert.deepEqual(await ready(), { ready: false, reasons: ['noWorker'] });
});
