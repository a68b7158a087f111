// A server that was started in a Worker of the application's own ends with that thread.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';

import { kitFile, launch, until, within } from './harness.mjs';

/** A thread of the application's own that calls `start` with these options and waits; as a file, with what the thread does on a message. */
const starter = (server) => server.file('starter.cjs', `
  const { parentPort, workerData } = require('node:worker_threads');
  const wsb = require(process.env.WSB_PACKAGE);
  const kit = require(${JSON.stringify(kitFile)});
  parentPort.on('message', (how) => {
    if (how === 'exit') process.exit(1);
    if (how === 'throw') throw new Error('on purpose');
    if (how === 'hang') for (;;);
  });
  wsb.start(workerData).then(
    ({ address, port, url }) => parentPort.postMessage({ address, port, url }),
    (error) => parentPort.postMessage({ error: kit.describe(error) }),
  );
`);

/** Starts such a thread; resolves to where it listens. */
const startIn = (server, file, options) => server.main(async (wsb, kit, file, workerData) => {
  const { Worker } = require('node:worker_threads');
  const worker = new Worker(file, { workerData });
  (kit.threads ??= []).push(worker);
  worker.on('error', () => {});
  return new Promise((resolve) => worker.once('message', resolve));
}, file, { bind: '127.0.0.1:0', ...options });

const end = (server, how) => server.main(async (wsb, kit, how) => {
  const worker = kit.threads.pop();
  const ended = new Promise((resolve) => worker.once('exit', () => resolve()));
  if (how === 'terminate') worker.terminate();
  else worker.postMessage(how);
  await ended;
}, how);

/** Whether somebody takes connections there. */
const isTaken = (port) => new Promise((resolve) => {
  const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
});

const open = (server, at) => server.connect('', { at, id: false });

for (const how of ['terminate', 'exit', 'throw']) {
  for (const threads of [0, 2]) {
    test(`with ${threads} threads and ${how}: the port is free, connections are closed with 1012, and the same start succeeds at once`, async (t) => {
      const server = await launch(t, { start: false });
      const [file, { workerPath }] = [starter(server), server.defaults];
      const at = await startIn(server, file, { workerPath, threads, ioThreads: 1 });
      const clients = [await open(server, at), await open(server, at)];
      await end(server, how);
      assert.equal(await isTaken(at.port), false);
      const again = await startIn(server, file, { workerPath, threads, bind: `127.0.0.1:${at.port}`, ioThreads: 2 });
      assert.deepEqual(again, at, 'at once, and with other options');
      for (const client of clients) assert.equal((await client.end()).code, 1012);
      const before = (await server.told.next('open')).id;
      const next = await open(server, again);
      next.send('hello');
      const text = await server.told.next('text', ({ data }) => data === 'hello');
      assert.ok(text.id > before + 1, 'ids go on');
      await until(() => server.main((wsb, kit, count) => wsb.stats().workers.length === count, Math.max(1, threads)), 'the workers of the first are gone');
      await end(server, 'terminate');
    });
  }
}

test('a thread that hangs takes its server along when it is terminated', async (t) => {
  const server = await launch(t, { start: false });
  const [file, { workerPath }] = [starter(server), server.defaults];
  const at = await startIn(server, file, { workerPath, threads: 1 });
  await server.main((wsb, kit) => kit.threads[0].postMessage('hang'));
  await end(server, 'terminate');
  const again = await startIn(server, file, { workerPath, threads: 1, bind: `127.0.0.1:${at.port}` });
  assert.deepEqual(again, at);
  await end(server, 'terminate');
});

test("other threads' servers stay, and so do their connections", async (t) => {
  const server = await launch(t);
  const stays = await server.connect();
  const file = starter(server);
  const at = await startIn(server, file, {});
  const goes = await open(server, at);
  await end(server, 'terminate');
  assert.equal((await goes.end()).code, 1012);
  assert.equal(await isTaken(at.port), false);
  assert.deepEqual(await startIn(server, file, { bind: `127.0.0.1:${at.port}` }), at);
  stays.send('still here');
  await server.told.next('text', ({ data }) => data === 'still here');
  await end(server, 'terminate');
});

test('handlers of another thread serve the next server', async (t) => {
  const server = await launch(t, { start: false });
  await server.main((wsb, kit) => wsb.registerWorkerThread(kit.standard(wsb)));
  const file = starter(server);
  for (const ioThreads of [1, 2, 1]) {
    const at = await startIn(server, file, { ioThreads });
    assert.equal(at.error, undefined, JSON.stringify(at));
    const client = await open(server, at);
    client.send(`with ${ioThreads}`);
    await server.told.next('text', ({ data }) => data === `with ${ioThreads}`);
    await end(server, 'terminate');
    assert.equal((await client.end()).code, 1012);
    await server.told.next('close');
  }
});

test('the only server of a process goes with its thread, and nothing keeps the process', async (t) => {
  const server = await launch(t, { start: false, clean: false });
  const at = await startIn(server, starter(server), { workerPath: server.defaults.workerPath, threads: 1 });
  await open(server, at);
  await server.main((wsb, kit) => {
    kit.threads[0].terminate();
    kit.hold(false);
  });
  assert.deepEqual(await within(server.exited, 'the process to end'), { code: 0, signal: null });
});
