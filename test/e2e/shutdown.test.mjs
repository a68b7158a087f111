// A shutdown is over at its timeout, whatever hangs, and tells every worker that it can.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, packageFile, until } from './harness.mjs';

/** Tells its thread with everything. On request it hangs, or does not settle. */
const stubborn = (wsb, kit) => {
  const { threadId } = require('node:worker_threads');
  return {
    handleOpen: (id, ip, headers) => kit.tell('open', { id, tag: headers['x-tag'], thread: threadId }),
    handleTextMessage(text, id) {
      kit.tell('text', { id, data: text, thread: threadId });
      if (text === 'hang') for (;;);
      if (text === 'hold') return new Promise(() => {});
    },
    handleClose: (id, token, code) => kit.tell('close', { id, code, thread: threadId }),
    handleStop: () => kit.tell('stop', { thread: threadId }),
  };
};

const launchStubborn = async (t, options = {}) => {
  const server = await launch(t, { worker: stubborn, options });
  server.standard = true;
  return server;
};

/** Milliseconds that it took, as the server sees it. */
const shutdown = (server, options) => server.main(async (wsb, kit, options) => {
  const start = performance.now();
  const report = await wsb.shutdown(options);
  return { ...report, took: performance.now() - start };
}, options);

/** For a busy machine. What overruns has no end: handlers that hang, do not settle, or never return. */
const SLACK = 5000;

const settled = async (server, client, text) => {
  client.send(text);
  await server.told.next('text', (event) => event.id === client.id && event.data === text);
};

test('one of two workers hangs: a shutdown is over at its timeout, and the other is told of all ends', async (t) => {
  const server = await launchStubborn(t, { threads: 2 });
  const clients = [];
  for (let i = 0; i < 6; i++) clients.push(await server.connect());
  await settled(server, clients[0], 'hang');
  const { took } = await shutdown(server, { timeout: 2000 });
  assert.ok(took < 2000 + SLACK, `${took} ms`);
  const told = server.told.of('close').map(({ id }) => id).sort((a, b) => a - b);
  assert.deepEqual(told, clients.map(({ id }) => id), 'each once');
  assert.equal(server.told.of('stop').length, 1);
});

test('the only worker hangs: a shutdown is over at its timeout', async (t) => {
  const server = await launchStubborn(t, { threads: 1 });
  await settled(server, await server.connect(), 'hang');
  const { took } = await shutdown(server, { timeout: 1000 });
  assert.ok(took < 1000 + SLACK, `${took} ms`);
});

for (const threads of [0, 1]) {
  test(`with ${threads} threads a handler that does not settle keeps nobody from being told of the end`, async (t) => {
    const server = await launchStubborn(t, { threads });
    const [waiting, other] = [await server.connect(), await server.connect()];
    await settled(server, waiting, 'hold');
    // The second waits behind the first, and behind both the end.
    waiting.send('hold');
    await settled(server, other, 'hello');
    const { took } = await shutdown(server, { timeout: 1600 });
    assert.ok(took < 1600 + SLACK, `${took} ms`);
    const told = server.told.of('close').map(({ id }) => id).sort((a, b) => a - b);
    assert.deepEqual(told, [waiting.id, other.id]);
    assert.equal(server.told.of('text', ({ id }) => id === waiting.id).length, 2, 'what waited was run');
    assert.equal(server.told.of('stop').length, 1);
  });
}

test('a handleStop that does not end does not prolong a shutdown', async (t) => {
  const server = await launch(t, { options: { threads: 2 }, worker: () => ({ handleStop: () => new Promise(() => {}) }) });
  const { took } = await shutdown(server, { timeout: 0 });
  assert.ok(took < SLACK, `${took} ms`);
});

test('a shutdown without time still tells every handler, and threads end', async (t) => {
  const server = await launchStubborn(t, { threads: 2 });
  const clients = [];
  for (let i = 0; i < 4; i++) clients.push(await server.connect());
  await shutdown(server, { timeout: 0 });
  await until(() => server.told.of('close').length === 4, 'all are told', undefined, () => server.note());
});

test('all workers die one after the other: the next one comes without a pause, and is told of the end', async (t) => {
  const server = await launch(t, {
    start: false,
    worker: (wsb, kit) => {
      if (require('node:fs').existsSync('broken')) throw new Error('broken');
      return {
        handleOpen: (id, ip, headers) => kit.tell('open', { id, tag: headers['x-tag'] }),
        handleTextMessage: () => process.exit(1),
        handleClose: (id) => kit.tell('close', { id }),
      };
    },
  });
  server.at = await server.main((wsb, kit, options) => kit.start({ ...options, onWorker: ({ type }) => kit.tell('worker', { event: type }) }), server.defaults);
  server.standard = true;
  const client = await server.connect();
  server.file('broken', '');
  client.send('exit');
  // From then on the pause is 6.4 s.
  await until(() => server.told.of('worker', ({ event }) => event === 'failed').length === 7, 'the seventh failure', 60_000, () => server.note());
  await server.main(() => require('node:fs').rmSync('broken'));
  await shutdown(server, { timeout: 6000 });
  assert.deepEqual(server.told.of('close').map(({ id }) => id), [client.id]);
});

test("a Worker of the application's own that hangs through a shutdown stops when it goes on", async (t) => {
  const server = await launch(t, { start: false });
  const file = server.file(
    'own.cjs',
    `const { parentPort } = require('node:worker_threads');
     const wsb = require(${JSON.stringify(packageFile)});
     wsb.registerWorkerThread({
       handleTextMessage() {
         parentPort.postMessage('hangs');
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
       },
       handleStop: () => parentPort.postMessage('stop'),
     });
     parentPort.postMessage('ready');`,
  );
  server.at = await server.main(async (wsb, kit, file) => {
    const { Worker } = require('node:worker_threads');
    for (const _ of [0, 1]) {
      const worker = new Worker(file);
      const ready = new Promise((resolve) => worker.once('message', resolve));
      worker.on('message', (said) => kit.tell(said, {}));
      worker.on('exit', () => kit.tell('exit', {}));
      await ready;
    }
    return kit.start({ bind: '127.0.0.1:0' });
  }, file);
  const client = await server.connect('', { id: false });
  client.send('hang');
  await server.told.next('hangs');
  await shutdown(server, { timeout: 1000 });
  await until(() => server.told.of('exit').length === 2, 'both end', undefined, () => server.note());
  assert.equal(server.told.of('stop').length, 2);
});
