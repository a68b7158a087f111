// Workers that hang: new clients go to others, and `onWorker` reports it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { failure, launch, until } from './harness.mjs';

/** Tells its thread with everything, and hangs on request: until another thread ends it, or for that many milliseconds. */
const hanging = (wsb, kit) => {
  const { threadId } = require('node:worker_threads');
  return {
    handleOpen: (id, ip, headers) => kit.tell('open', { id, tag: headers['x-tag'], thread: threadId }),
    handleTextMessage(text, id) {
      kit.tell('text', { id, data: text, thread: threadId });
      const [what, ms] = text.split(' ');
      const end = ms === undefined ? Infinity : performance.now() + Number(ms);
      if (what === 'hang') while (performance.now() < end);
    },
    handleClose: (id, token, code) => kit.tell('close', { id, code, thread: threadId }),
  };
};

const launchHanging = async (t, options = {}, worker = hanging) => {
  const server = await launch(t, { worker, start: false });
  server.at = await server.main((wsb, kit, options) => kit.start({
    ...options,
    onWorker: ({ type, reason, ...rest }) => kit.tell('worker', { event: type, ...rest, reason: reason && kit.describe(reason) }),
  }), { ...server.defaults, threads: 2, ...options });
  server.standard = true;
  return server;
};

/** Whose handlers run on the thread that hangs from now on. */
async function hang(server, client, what = 'hang') {
  client.send(what);
  return (await server.told.next('text', (event) => event.id === client.id && event.data === what)).thread;
}

test('while one of two workers hangs every new client is let in, and answered by the other', async (t) => {
  const server = await launchHanging(t);
  const first = await server.connect();
  await server.connect();
  const thread = await hang(server, first);
  const clients = await Promise.all(Array.from({ length: 30 }, () => server.connect()));
  for (const client of clients) client.send('hello');
  for (const client of clients) {
    const answer = await server.told.next('text', (event) => event.id === client.id && event.data === 'hello');
    assert.notEqual(answer.thread, thread);
  }
  const stuck = await server.told.next('worker', (event) => event.event === 'stuck');
  assert.equal(stuck.workerId, thread);
  assert.equal(stuck.reason.code, 'ERR_WSBROKER_WORKER_STUCK');
  assert.match(stuck.reason.message, new RegExp(`worker ${thread} has not returned to its event loop for 1 s: handleTextMessage of socket ${first.id} does not return`));
});

test('a worker that hangs is reported once each time, and gets clients again when it goes on', async (t) => {
  const server = await launchHanging(t);
  const first = await server.connect();
  await server.connect();
  const thread = await hang(server, first, 'hang 2500');
  for (let round = 1; round <= 2; round++) {
    await server.told.next('worker', (event) => event.event === 'stuck');
    assert.equal((await server.connect()) && server.told.of('open').at(-1).thread === thread, false, 'passed over');
    first.send('back');
    await server.told.next('text', (event) => event.data === 'back');
    await until(async () => (await server.connect()) && server.told.of('open').at(-1).thread === thread, 'it gets a client again');
    assert.equal(server.told.of('worker', (event) => event.event === 'stuck').length, round);
    if (round === 1) await hang(server, first, 'hang 2501');
  }
});

test('without onWorker a stuck worker is written to stderr', async (t) => {
  const server = await launch(t, { worker: hanging, options: { threads: 2 } });
  server.standard = true;
  const thread = await hang(server, await server.connect(), 'hang 2000');
  await until(() => server.stderr.includes(`wsbroker: worker ${thread} is stuck: worker ${thread} has not returned to its event loop for 1 s`), 'it is written', undefined, () => server.note());
});

test('a client that was refused for want of a verdict is no connection of its worker any more', async (t) => {
  const server = await launch(t, {
    options: { threads: 2, openTimeout: 50 },
    worker: (wsb, kit) => ({
      handleOpen: (id, ip, headers, { path }) => {
        kit.tell('open', { id, tag: headers['x-tag'] });
        if (path === '/wait') return new Promise(() => {});
      },
    }),
  });
  for (let i = 0; i < 6; i++) assert.equal((await server.refused('/wait')).status, 503);
  await until(async () => (await server.main((wsb) => wsb.stats().workers.map(({ connections }) => connections))).every((count) => count === 0), 'none is left');
});

test('a worker that hangs is replaced if the watchdog is told so; its sockets answer again, and no event is run twice', async (t) => {
  const server = await launchHanging(t, { watchdog: { after: 300, action: 'replace' } });
  const clients = [];
  for (let i = 0; i < 6; i++) clients.push(await server.connect());
  const began = performance.now();
  const thread = await hang(server, clients[0]);
  for (const client of clients) client.send('hello');
  const stuck = await server.told.next('worker', ({ event }) => event === 'stuck');
  assert.deepEqual(
    { workerId: stuck.workerId, handler: stuck.handler, socketId: stuck.socketId },
    { workerId: thread, handler: 'handleTextMessage', socketId: clients[0].id },
  );
  assert.ok(stuck.duration >= 300 && stuck.duration < performance.now() - began + 75, `${stuck.duration}`);
  const died = await server.told.next('worker', ({ event }) => event === 'died');
  assert.equal(died.workerId, thread);
  assert.match(died.reason.message, /handleTextMessage of socket \d+ does not return/);
  for (const client of clients) {
    const answer = await server.told.next('text', (event) => event.id === client.id && event.data === 'hello');
    assert.notEqual(answer.thread, thread);
  }
  await server.told.next('worker', ({ event, workerId }) => event === 'started' && workerId > thread);
  assert.equal(server.told.of('text', ({ data }) => data === 'hang').length, 1);
  assert.deepEqual(server.told.of('close'), []);
});

test('a worker whose handlers are slow is not stuck, however much waits for it', async (t) => {
  const server = await launchHanging(t, { threads: 1, watchdog: { after: 400, action: 'replace' } });
  const client = await server.connect();
  for (let i = 0; i < 12; i++) client.send(`hang 200.${i}`);
  await server.told.next('text', ({ data }) => data === 'hang 200.11');
  assert.deepEqual(server.told.of('worker', ({ event }) => event !== 'started'), []);
});

test('of a worker that hangs outside of a handler no handler is named', async (t) => {
  const server = await launchHanging(t, { threads: 1, watchdog: { after: 100 } }, (wsb, kit) => ({
    handleOpen: (id, ip, headers) => kit.tell('open', { id, tag: headers['x-tag'] }),
    handleTextMessage(text) {
      if (!text.startsWith('later ')) return;
      setImmediate(() => {
        kit.tell('hangs');
        while (!require('node:fs').existsSync(text.slice(6)));
        kit.tell('over');
      });
    },
  }));
  const client = await server.connect();
  client.send(`later ${path.join(server.folder, 'go')}`);
  await server.told.next('hangs');
  client.send('next');
  const stuck = await server.told.next('worker', ({ event }) => event === 'stuck');
  assert.deepEqual([stuck.handler, stuck.socketId], [undefined, undefined]);
  assert.match(stuck.reason.message, /not necessarily a handler/);
  server.file('go', '');
  await server.told.next('over');
});

test('a worker that hangs although nothing waits for it is found, too, if there is a watchdog', async (t) => {
  const server = await launchHanging(t, { threads: 1, watchdog: { after: 200, action: 'replace' } }, (wsb, kit) => ({
    handleOpen: (id, ip, headers) => kit.tell('open', { id, tag: headers['x-tag'] }),
    handleTextMessage(text, id) {
      kit.tell('text', { id, data: text });
      if (text === 'later') setImmediate(() => { for (;;); });
    },
  }));
  const client = await server.connect();
  client.send('later');
  const stuck = await server.told.next('worker', ({ event }) => event === 'stuck');
  assert.deepEqual([stuck.handler, stuck.socketId], [undefined, undefined]);
  assert.ok(stuck.duration >= 200, `${stuck.duration}`);
  await server.told.next('worker', ({ event }) => event === 'died');
  client.send('next');
  await server.told.next('text', ({ data }) => data === 'next');
});

test('the options of the watchdog are checked, and hold for the whole process', async (t) => {
  const server = await launch(t, { start: false });
  for (const [watchdog, message] of [
    [{ after: 99 }, /"watchdog.after" must be .*100/],
    [{ action: 'kill' }, /"watchdog.action" must be .*'report'.*'replace'/],
    [{ afer: 100 }, /"afer".*after/],
    [5, /"watchdog" must be an object/],
  ]) {
    assert.match((await failure(server.start({ watchdog }))).message, message);
  }
  await server.start({ watchdog: { after: 200 } });
  const { code, message } = await failure(server.start({ watchdog: { after: 300 } }));
  assert.equal(code, 'ERR_WSBROKER_CONFLICT');
  assert.match(message, /"watchdog.after"/);
  await server.start({ watchdog: { after: 200, action: 'report' } });
});

test('a worker that ends again and again soon after its start makes the process not ready', async (t) => {
  const server = await launch(t, { start: false });
  const { get } = await import('node:http');
  const workerPath = server.file('loop.cjs', `
    const fs = require('node:fs');
    exports.handleTextMessage = () => {};
    setInterval(() => fs.existsSync(__dirname + '/dies') && process.exit(1), 10);
  `);
  const at = await server.start({ workerPath, threads: 2, answers: { '/readyz': 'ready' } });
  const reasons = () => new Promise((resolve, reject) => {
    get(`${at.url.replace('ws', 'http')}/readyz`, (response) => {
      let body = '';
      response.on('data', (text) => (body += text)).on('end', () => resolve(response.statusCode === 200 ? [] : JSON.parse(body).reasons));
    }).on('error', reject);
  });
  assert.deepEqual(await reasons(), []);
  server.file('dies', '');
  await until(async () => (await reasons()).includes('workersFail'), 'it is not ready', 30_000);
  server.file('loop.cjs', 'exports.handleTextMessage = () => {};');
  await server.main((wsb) => wsb.reloadWorkers());
  assert.deepEqual(await reasons(), [], 'code that works makes it ready');
});
