'use strict';
// Threads that come and go: what they have not begun goes to others, in order; nothing runs twice.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const path = require('node:path');
const { after, afterEach, before, test } = require('node:test');
const { Worker } = require('node:worker_threads');
const WebSocket = require('ws');

const { native, serve } = require('./addon.cjs');
const { until } = require('./until.cjs');

let server;
const threads = new Set();
const sockets = new Set();

before(async () => { server = await serve(); });

afterEach(async () => {
  for (const socket of sockets) socket.terminate();
  sockets.clear();
  await Promise.all([...threads].map((thread) => thread.terminate()));
  threads.clear();
});

after(() => native.shutdownBroker(1001, 1_000));

async function thread(workerData) {
  const worker = new Worker(path.join(__dirname, 'workers/echo.cjs'), { workerData });
  threads.add(worker);
  worker.on('error', () => undefined);
  worker.on('exit', () => threads.delete(worker));
  await once(worker, 'message');
  return worker;
}

async function connect(where = '') {
  const socket = new WebSocket(server.url + where, { perMessageDeflate: false });
  sockets.add(socket);
  socket.got = [];
  socket.on('message', (data) => {
    const [thread, ...text] = data.toString().split(' ');
    socket.got.push({ thread: Number(thread), text: text.join(' ') });
  });
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  return socket;
}

/** Sends numbers, so many ahead of the answers, until there are enough. */
async function flood(socket, count, ahead = 100) {
  for (let i = 0; i < count; i++) {
    socket.send(String(i));
    if (i % ahead === ahead - 1) {
      const before = socket.got.length;
      await until('answers to go on', () => socket.got.length > before || socket.got.length >= i - ahead);
    }
  }
}

test('connections are spread over threads, and each stays with its own', async () => {
  await Promise.all([thread(), thread()]);
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect()));
  await Promise.all(clients.map((client) => flood(client, 300)));
  await until('all answers', () => clients.every((client) => client.got.length === 300));
  const homes = clients.map((client) => new Set(client.got.map((answer) => answer.thread)));
  assert.ok(homes.every((home) => home.size === 1));
  const perThread = Object.values(Object.groupBy?.(homes, (home) => [...home][0]) ?? homes.reduce((all, home) => ({ ...all, [[...home][0]]: [...all[[...home][0]] ?? [], home] }), {}));
  assert.deepEqual(perThread.map((list) => list.length), [4, 4]);
});

test('what a worker has sent leaves with it, before the thread does anything else', async () => {
  const heard = new Int32Array(new SharedArrayBuffer(4));
  const leaver = await thread({ heard });
  const socket = await connect();
  try {
    socket.send('leave');
    await until('the last words', () => socket.got.some(({ text }) => text === 'last words'));
  } finally {
    Atomics.store(heard, 0, 1);
  }
  await leaver.terminate();
});

for (const [name, end] of [
  ['terminated', (worker) => worker.terminate()],
  ['terminated in an endless loop', async (worker, client) => {
    client.send('block');
    await new Promise((resolve) => setTimeout(resolve, 20));
    await worker.terminate();
  }],
  ['ending by process.exit() in a handler', (_, client) => client.send('exit')],
  ['dying of an uncaught exception', (_, client) => client.send('throw')],
]) {
  test(`a thread ${name} under load loses at most the event in hand and repeats nothing`, async () => {
    const [first] = await Promise.all([thread(), thread()]);
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect()));
    await Promise.all(clients.map((client) => flood(client, 20)));
    await until('a first answer', () => clients.every((client) => client.got.length === 20));
    const victim = clients.find((client) => client.got[0].thread === first.threadId);
    const gone = new Promise((resolve) => first.on('exit', resolve));
    const floods = clients.map((client) => flood(client, 3_000));
    await until('the load is on', () => clients.every((client) => client.got.length > 200));
    await end(first, victim);
    await gone;
    await Promise.all(floods);
    for (const client of clients) client.send('end');
    await until('the last answers', () => clients.every((client) => client.got.at(-1).text === 'end'));
    let missing = 0;
    for (const client of clients) {
      const numbers = client.got.slice(20).filter((answer) => /^\d/.test(answer.text)).map((answer) => Number(answer.text));
      const sorted = [...new Set(numbers)].sort((a, b) => a - b);
      assert.deepEqual(numbers, sorted, 'in order, none twice');
      missing += 3_000 - numbers.length;
    }
    assert.ok(missing <= 1, `${missing} are missing`);
  });
}

test('a thread that detaches gives back what it has not begun', async () => {
  const [first] = await Promise.all([thread(), thread()]);
  const clients = await Promise.all(Array.from({ length: 4 }, () => connect()));
  const floods = clients.map((client) => flood(client, 2_000));
  await until('the load is on', () => clients.every((client) => client.got.length > 200));
  first.postMessage('detach');
  await Promise.all(floods);
  await until('all answers', () => clients.every((client) => client.got.length === 2_000));
  for (const client of clients) assert.deepEqual(client.got.map((answer) => Number(answer.text)), Array.from({ length: 2_000 }, (_, i) => i));
});

test('what comes while no thread is there waits for the next', async () => {
  const only = await thread();
  const client = await connect();
  client.send('before');
  await until('an answer', () => client.got.length === 1);
  await only.terminate();
  const { messagesIn } = native.stats();
  for (let i = 0; i < 50; i++) client.send(String(i));
  await until('all have come', () => native.stats().messagesIn === messagesIn + 50);
  assert.equal(client.got.length, 1);
  await thread();
  await until('all answers', () => client.got.length === 51);
  assert.deepEqual(client.got.slice(1).map((answer) => Number(answer.text)), Array.from({ length: 50 }, (_, i) => i));
});

test('a verdict in hand when its thread ends is a 503', async () => {
  const only = await thread({ open: true });
  const asked = once(only, 'message');
  const refused = new Promise((resolve) => {
    const socket = new WebSocket(`${server.url}/wait`);
    sockets.add(socket);
    socket.on('unexpected-response', (_, response) => resolve(response.statusCode)).on('error', () => undefined).on('close', () => resolve('closed'));
  });
  await asked;
  await only.terminate();
  assert.equal(await refused, 503);
});

test('close events of the thread that died reach another', async () => {
  const dying = await thread();
  const client = await connect();
  client.send('hello');
  await until('an answer', () => client.got.length === 1);
  await dying.terminate();
  const heir = await thread({ close: true });
  const told = once(heir, 'message');
  client.close(4002);
  assert.equal((await told)[0].code, 4002);
});

test('threads that attach and end over and over leave nothing behind', async () => {
  const keeper = await thread();
  const client = await connect();
  for (let i = 0; i < 12; i++) {
    const passing = await thread();
    client.send(`round ${i}`);
    await passing.terminate();
  }
  await until('all answers', () => client.got.length === 12);
  assert.equal(native.workerCount(), 1);
  await keeper.terminate();
  assert.equal(native.workerCount(), 0);
});
