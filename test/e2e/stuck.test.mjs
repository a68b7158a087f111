// Workers that hang: new clients go to others, and `onWorker` reports it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';

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
    onWorker: ({ type, workerId, reason }) => kit.tell('worker', { event: type, workerId, reason: reason && kit.describe(reason) }),
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
  assert.match(stuck.reason.message, new RegExp(`worker ${thread} has not taken any event for a second`));
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
  await until(() => server.stderr.includes(`wsbroker: worker ${thread} is stuck: worker ${thread} has not taken any event for a second`), 'it is written', undefined, () => server.note());
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
