'use strict';
// The broker's life: made by the first listener, gone with the shutdown, and what keeps the process alive.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { afterEach, test } = require('node:test');
const WebSocket = require('ws');

const { native, attach, listenOptions, serve } = require('./addon.cjs');
const { until } = require('./until.cjs');

const sockets = new Set();

afterEach(async () => {
  for (const socket of sockets) socket.terminate();
  sockets.clear();
  await native.shutdownBroker(1001, 1_000);
  native.detachWorker();
});

async function connect(url) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  sockets.add(socket);
  socket.got = [];
  socket.closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('message', (data) => socket.got.push(data.toString()));
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  return socket;
}

async function rejected(options) {
  try {
    await native.listen(listenOptions(options));
  } catch (error) {
    return error;
  }
  throw new Error('it did listen');
}

test('defaults tell memory and cores', () => {
  const { memory, cpus } = native.brokerDefaults();
  assert.ok(Number.isInteger(cpus) && cpus >= 1);
  assert.ok(Number.isInteger(memory) && memory >= 0 && memory <= os.totalmem());
  if (process.platform === 'linux') assert.ok(memory > 1 << 20);
});

test('an address that cannot be had says why', async () => {
  const taken = net.createServer();
  await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const bind = `127.0.0.1:${taken.address().port}`;
  const error = await rejected({ bind });
  assert.ok(error instanceof Error && !(error instanceof TypeError));
  assert.deepEqual([error.code, error.syscallCode], ['ERR_WSBROKER_BIND', 'EADDRINUSE']);
  assert.match(error.message, new RegExp(bind));
  taken.close();
  assert.equal((await rejected({ bind: 'nowhere' })).code, 'ERR_WSBROKER_INVALID_BIND');
  assert.equal((await rejected({ bind: '127.0.0.1:99999' })).code, 'ERR_WSBROKER_INVALID_BIND');
  assert.equal((await rejected({ bind: '203.0.113.77:0' })).code, 'ERR_WSBROKER_BIND');
  assert.equal((await rejected({ bind: 'unix:/no/such/folder/sock' })).code, process.platform === 'win32' ? 'ERR_WSBROKER_UNSUPPORTED' : 'ERR_WSBROKER_BIND');
});

test('a listener that failed first fixes nothing', async () => {
  await rejected({ bind: '203.0.113.77:0', process: { ioThreads: 2 } });
  const server = await serve({ process: { ioThreads: 1 } });
  assert.ok(server.port > 0);
  const error = await rejected({ process: { ioThreads: 2 } });
  assert.equal(error.code, 'ERR_WSBROKER_CONFLICT');
  assert.match(error.message, /"ioThreads"/);
  assert.match((await rejected({ process: { maxInFlight: { messages: 1, bytes: 1 << 20, workerBytes: 16 << 20 } } })).message, /"maxInFlight.messages"/);
  assert.match((await rejected({ process: { concurrent: true } })).message, /"handlers"/);
});

test('a path that another listener has is a conflict', async () => {
  const server = await serve({ paths: ['/a'] });
  const bind = `127.0.0.1:${server.port}`;
  assert.equal((await rejected({ bind, paths: ['/b', '/a'] })).code, 'ERR_WSBROKER_CONFLICT');
  const other = await serve({ bind, paths: ['/b'] });
  assert.equal(other.port, server.port);
});

test('a listener that is closed lets go of its connections and its address', async () => {
  attach({ text: (id, text) => native.send(id, text) });
  const [one, two] = [await serve(), await serve()];
  const [a, b] = [await connect(one.url), await connect(two.url)];
  await native.closeListener(one.handle);
  assert.equal(await a.closed, 1001);
  assert.equal(native.connectionCount(), 1);
  await native.closeListener(one.handle);
  assert.throws(() => native.serve(one.handle), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE' });
  await assert.rejects(connect(one.url));
  b.send('still here');
  await until('the answer', () => b.got.length === 1);
});

test('a unix socket', { skip: process.platform === 'win32' && 'no such thing' }, async () => {
  attach({ open: (id, request, slot) => native.openVerdict(slot, request.ip === '' && request.remotePort === 0, { status: 400 }), text: (id, text) => native.send(id, text) });
  const file = path.join(os.tmpdir(), `wsb-${process.pid}.sock`);
  const server = await serve({ bind: `unix:${file}` });
  assert.deepEqual([server.address, server.port, server.url], [file, 0, `ws+unix:${file}`]);
  const client = net.connect(file);
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
  const head = await new Promise((resolve) => client.once('data', resolve));
  assert.match(head.toString(), /^HTTP\/1.1 101 /);
  client.destroy();
  await native.shutdownBroker(1001, 1_000);
  assert.equal(existsSync(file), false);
});

test('a shutdown closes everything, counts, and leaves room for the next broker', async () => {
  const closes = [];
  let last = 0;
  attach({ open: (id, request, slot) => { last = id; native.openVerdict(slot, true); }, close: (id, code) => closes.push([id, code]) });
  let server = await serve();
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect(server.url)));
  const highest = last;
  assert.deepEqual(await native.shutdownBroker(1012, 5_000), { closed: 5, terminated: 0 });
  assert.deepEqual(await Promise.all(clients.map((client) => client.closed)), Array(5).fill(1012));
  assert.deepEqual(closes.map(([, code]) => code), Array(5).fill(1012));
  assert.equal(native.connectionCount(), 0);
  assert.equal(native.send(highest, 'x'), 0);
  assert.deepEqual(await native.shutdownBroker(1001, 5_000), { closed: 0, terminated: 0 });
  attach({ open: (id, request, slot) => { last = id; native.openVerdict(slot, true); }, text: (id, text) => native.send(id, text) });
  server = await serve({ process: { ioThreads: 2 } });
  const client = await connect(server.url);
  assert.ok(last > highest, 'ids are never used again');
  client.send('again');
  await until('the answer', () => client.got.length === 1);
});

test('a worker that was there first joins the broker, is told of its end, and then stays away', async () => {
  const worker = attach({ text: (id, text) => native.send(id, text) });
  assert.equal(native.workerCount(), 1);
  assert.equal(worker.view.head[5], 0);
  const server = await serve({ process: { concurrent: true, handlerTimeout: 1_234 } });
  assert.deepEqual([worker.view.head[4], worker.view.head[5]], [1, 1_235]);
  const client = await connect(server.url);
  client.send('x');
  await until('the answer', () => client.got.length === 1);
  await native.shutdownBroker(1001, 1_000);
  await until('the goodbye', () => worker.goodbyes === 1);
  // Nobody is there for the next broker: a connection waits, and gets its answer when somebody is.
  const next = await serve();
  const events = worker.events;
  let open = false;
  const other = new WebSocket(next.url);
  sockets.add(other);
  other.on('error', () => undefined).on('open', () => { open = true; });
  await until('it asks', () => native.stats().pendingUpgrades === 1);
  assert.equal(open, false);
  attach({ text: () => undefined });
  await until('the connection', () => open);
  assert.deepEqual([worker.events, worker.goodbyes], [events, 1], 'the last worker got nothing of it');
});

test('a handler that does not end in time is not waited for', async () => {
  const worker = attach({ text: () => new Promise(() => undefined) });
  const server = await serve();
  const client = await connect(server.url);
  client.send('x');
  await until('the handler is at work', () => worker.events === 1);
  const start = performance.now();
  await native.shutdownBroker(1001, 100);
  assert.ok(performance.now() - start < 3_000);
});

/** Runs a script with the addon in a process of its own; resolves to its status and output. */
function run(script) {
  const child = spawn(process.execPath, ['-e', `const addon = require(${JSON.stringify(path.join(__dirname, 'addon.cjs'))}); const { native, attach, serve } = addon;\n(async () => {${script}})()`]);
  let output = '';
  child.stdout.on('data', (data) => { output += data; });
  child.stderr.on('data', (data) => { output += data; });
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  return new Promise((resolve) => child.on('close', (code, signal) => { clearTimeout(timer); resolve({ code, signal, output }); }));
}

test('nothing keeps the process alive but what asks for it', async () => {
  for (const script of [
    'console.log("loaded");',
    'attach({ text() {} }); console.log("attached");',
    'await serve(); attach({ text() {} }); console.log("served, without a claim");',
    'attach({ text() {} }, { keepAlive: true }); await serve(); await native.shutdownBroker(1001, 100); native.detachWorker(); console.log("over");',
    'attach({ text() {} }, { keepAlive: true }); native.keepAlive(false); console.log("claim given up");',
  ]) {
    const { code, output } = await run(script);
    assert.equal(code, 0, `${script}: ${output}`);
    assert.notEqual(output, '');
  }
  const { code } = await run('attach({ text() {} }); native.keepAlive(true); setTimeout(() => process.exit(42), 300).unref();');
  assert.equal(code, 42, 'kept alive until something else ends it');
});

test('a process may end at any moment', async () => {
  for (const script of [
    'attach({ text() {} }, { keepAlive: true }); await serve(); process.exit(7);',
    'native.listen(addon.listenOptions()); process.exit(7);',
    'await serve(); native.shutdownBroker(1001, 1000); process.exit(7);',
    `const { url } = await serve(); attach({ text(id, text) { if (text === "99") process.exit(7); native.send(id, text); } }, { keepAlive: true });
     const client = new (require("ws"))(url); client.on("open", () => { for (let i = 0; i < 2000; i++) client.send(String(i)); });`,
  ]) {
    const { code, signal, output } = await run(script);
    assert.deepEqual([code, signal], [7, null], `${script}: ${output}`);
  }
});

test('RUST_LOG logs to stderr', async () => {
  const child = spawn(process.execPath, ['-e', `const { native, attach, serve } = require(${JSON.stringify(path.join(__dirname, 'addon.cjs'))}); attach({}); serve().then(() => native.shutdownBroker(1001, 10));`], {
    env: { ...process.env, RUST_LOG: 'trace' },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data) => { out += data; });
  child.stderr.on('data', (data) => { err += data; });
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
  assert.equal(out, '');
  assert.match(err, /DEBUG.*a worker is attached/);
});

test('whatever a shutdown finds under way settles', async () => {
  attach({});
  for (let round = 0; round < 20; round++) {
    // A name takes its time to be resolved, so that listening is under way when the broker ends.
    const listening = Array.from({ length: 5 }, async () => {
      const handle = await native.listen(listenOptions({ bind: 'localhost:0' }));
      await native.closeListener(handle);
      return 'closed';
    });
    const ends = Promise.all([...listening.map((one) => one.catch((error) => error.code)), native.shutdownBroker(1001, 0), native.shutdownBroker(1001, 0)]);
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, 10_000)));
    const outcomes = await Promise.race([ends, late]);
    clearTimeout(timer);
    assert.ok(outcomes, 'all settle');
    for (const outcome of outcomes.slice(0, 5)) assert.ok(['closed', 'ERR_WSBROKER_SHUT_DOWN'].includes(outcome), String(outcome));
  }
});
