// Workers that die: their connections stay open and move, events keep their order, none runs twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { kitFile, launch, onBun, until } from './harness.mjs';

/** Tells its thread with everything, and dies on request. */
const mortal = (wsb, kit) => {
  const { threadId } = require('node:worker_threads');
  return {
    handleStart: () => kit.tell('started', { thread: threadId }),
    handleOpen: (id, ip, headers) => kit.tell('open', { id, tag: headers['x-tag'], thread: threadId }),
    handleTextMessage(text, id, token) {
      kit.tell('text', { id, data: text, thread: threadId, token: token?.toString() });
      if (text === 'exit') process.exit(9);
      if (text === 'throw') setImmediate(() => { throw new Error('uncaught on purpose'); });
      if (text === 'reject') void Promise.reject(new Error('unhandled on purpose'));
      if (text === 'hold') return new Promise(() => {});
    },
    handleClose: (id) => kit.tell('close', { id, thread: threadId }),
  };
};

const launchMortal = async (t, options = {}) => {
  const server = await launch(t, { worker: mortal, options: { threads: 2, ...options } });
  server.standard = true;
  return server;
};

for (const how of ['exit', 'throw', 'reject']) {
  test(`a worker that ends by ${how} is replaced; its connections stay open and move to others`, async (t) => {
    const server = await launchMortal(t);
    const clients = [];
    for (let i = 0; i < 6; i++) clients.push(await server.connect());
    await server.main((wsb, kit, ids) => ids.forEach((id) => { wsb.subscribe(id, 'all'); wsb.setToken(id, `token ${id}`); }), clients.map(({ id }) => id));
    const victim = clients[0];
    const dead = server.told.of('open', (event) => event.id === victim.id)[0].thread;
    victim.send(how);
    await until(() => server.told.of('started').length === 3, 'a replacement', undefined, () => server.note());
    for (const client of clients) client.send('who?');
    for (const client of clients) {
      const answer = await server.told.next('text', (event) => event.id === client.id && event.data === 'who?');
      assert.notEqual(answer.thread, dead);
      assert.equal(answer.token, `token ${client.id}`);
      assert.equal(client.ended, undefined);
    }
    assert.equal(await server.main((wsb) => wsb.sendToChannel('all', 'everyone is here')), 6);
    for (const client of clients) assert.equal(await client.next(), 'everyone is here');
    assert.equal(server.told.of('text', (event) => event.data === how).length, 1, 'the event in hand is not run twice');
    // The process as a whole takes no notice.
    assert.equal(server.ended, undefined);
  });
}

test('events that waited for a worker that died keep their order, the one in hand is not run twice', async (t) => {
  const server = await launchMortal(t);
  const clients = [];
  for (let i = 0; i < 8; i++) clients.push(await server.connect());
  const total = 400;
  for (let n = 0; n < total; n++) {
    for (const client of clients) client.send(`${n}`);
    if (n === 100) clients[0].send('exit');
    if (n === 250) clients[1].send('exit');
    if (n % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (const client of clients) {
    await until(() => server.told.of('text', (event) => event.id === client.id && event.data === `${total - 1}`).length, 'the last message', undefined, () => server.note());
    const seen = server.told.of('text', (event) => event.id === client.id && event.data !== 'exit').map((event) => Number(event.data));
    assert.deepEqual(seen, [...new Set(seen)], 'none twice');
    assert.deepEqual(seen, [...seen].sort((a, b) => a - b), 'in order');
    assert.deepEqual(seen, Array.from({ length: total }, (_, n) => n), 'none lost');
  }
});

test('with no worker left events wait until one is back', async (t) => {
  const server = await launchMortal(t, { threads: 1 });
  const client = await server.connect();
  client.send('1');
  client.send('exit');
  client.send('2');
  client.send('3');
  await until(() => server.told.of('text', (event) => event.data === '3').length, 'the last message', undefined, () => server.note());
  assert.deepEqual(server.told.of('text').map((event) => event.data), ['1', 'exit', '2', '3']);
  const late = await server.connect();
  assert.ok(late.id > client.id);
  assert.equal(client.ended, undefined);
});

test('a connection that closes while its worker is dead still gets its one handleClose', async (t) => {
  const server = await launchMortal(t, { threads: 1 });
  const client = await server.connect();
  const other = await server.connect();
  client.send('exit');
  await client.close();
  await server.told.next('close', (event) => event.id === client.id);
  assert.equal(server.told.of('close').length, 1);
  other.send('alive');
  await server.told.next('text', (event) => event.data === 'alive');
});

test('the only worker dies during a shutdown: the next one is told of the other connections', async (t) => {
  const server = await launch(t, {
    options: { threads: 1 },
    worker: (wsb, kit) => {
      let mine = 0;
      return {
        handleOpen(id, ip, headers) {
          mine++;
          kit.tell('open', { id, tag: headers['x-tag'] });
        },
        handleClose(id) {
          kit.tell('close', { id });
          if (mine > 0) process.exit(9);
        },
      };
    },
  });
  server.standard = true;
  const ids = [];
  for (let i = 0; i < 5; i++) ids.push((await server.connect()).id);
  assert.deepEqual(await server.main((wsb) => wsb.shutdown({ timeout: 20_000 })), { closed: 5, terminated: 0 });
  await until(() => server.told.of('close').length === 5, 'all are told of', undefined, () => server.note());
  assert.deepEqual(server.told.of('close').map(({ id }) => id).sort((a, b) => a - b), ids);
});

test('a connection in handleOpen whose worker dies is refused with 503', async (t) => {
  const server = await launch(t, {
    options: { threads: 1 },
    worker: (wsb, kit) => ({
      handleOpen(id, ip, headers, request) {
        kit.tell('open', { id });
        if (request.path === '/wait') return new Promise(() => {});
        if (request.path === '/exit') process.exit(1);
      },
    }),
  });
  const waiting = server.refused('/wait');
  await server.told.next('open');
  const exiting = server.refused('/exit');
  assert.deepEqual((await Promise.all([waiting, exiting])).map(({ status }) => status), [503, 503]);
  await server.connect('/');
});

test('onWorker is told, on the thread that started, of ends and new starts', async (t) => {
  const server = await launch(t, { start: false, worker: mortal });
  await server.main((wsb, kit, options) => kit.start({
    ...options,
    onWorker: ({ type, workerId, reason }) => kit.tell('worker', { event: type, workerId, reason: reason && kit.describe(reason) }),
  }), { ...server.defaults, threads: 2 }).then((at) => (server.at = at));
  server.standard = true;
  const client = await server.connect();
  const { thread } = server.told.of('open')[0];
  client.send('exit');
  const died = await server.told.next('worker', (event) => event.event === 'died');
  assert.equal(died.workerId, thread);
  assert.ok(died.reason.message.length > 0);
  const begun = await server.told.next('worker', (event) => event.event === 'started' && event.workerId !== thread && server.told.all.indexOf(event) > server.told.all.indexOf(died));
  assert.notEqual(begun.workerId, thread);
});

test("a Worker of the user's own that is terminated hands its connections on", async (t) => {
  const server = await launch(t, { start: false });
  const file = server.file('own.cjs', `
    const kit = require(${JSON.stringify(kitFile)});
    const wsb = require(process.env.WSB_PACKAGE);
    wsb.registerWorkerThread((${mortal})(wsb, kit));
    require('node:worker_threads').parentPort.postMessage('up');
  `);
  await server.main(async (wsb, kit, file) => {
    const { Worker } = require('node:worker_threads');
    kit.own = [];
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(file);
      kit.own.push(worker);
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    }
  }, file);
  server.at = await server.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0' }));
  server.standard = true;
  const clients = [];
  for (let i = 0; i < 9; i++) clients.push(await server.connect());
  let stop = false;
  let sent = 0;
  const pump = (async () => {
    while (!stop) {
      for (const client of clients) client.send(`${sent}`);
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await server.told.next('text');
  await server.main((wsb, kit) => kit.own[0].terminate().then(() => {}));
  await server.main((wsb, kit) => kit.own[1].terminate().then(() => {}));
  stop = true;
  await pump;
  for (const client of clients) client.send('last');
  for (const client of clients) {
    await server.told.next('text', (event) => event.id === client.id && event.data === 'last');
    const seen = server.told.of('text', (event) => event.id === client.id && event.data !== 'last').map((event) => Number(event.data));
    // `terminate` may strike in the middle of a handler: that one event may have been cut short before it was told.
    assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b), 'in order, none twice');
    assert.ok(seen.length >= sent - 2, `${sent - seen.length} lost`);
  }
});

// Only Node tells what it has loaded.
if (!onBun) test('a worker thread does not load what only starting, forwarding and TLS need', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      handleTextMessage(text, id) {
        wsb.send(id, text);
        const ours = Object.keys(require.cache).map((file) => file.replaceAll('\\', '/').match(/\/lib\/(.*)$/)?.[1]);
        kit.tell('loaded', { builtins: process.moduleLoadList, ours });
      },
    }),
  });
  const client = await server.connect();
  client.send('hello');
  assert.equal(await client.next(), 'hello');
  const { builtins, ours } = await server.told.next('loaded');
  const scripts = ours.filter((file) => file?.endsWith('.cjs')).sort();
  assert.deepEqual(scripts, ['index.cjs', 'merged.cjs', 'native/packages.cjs', 'pool/thread.cjs'], 'and not merged-serving.cjs');
  for (const name of ['crypto', 'tls', 'https', '_http_server', 'child_process', 'perf_hooks']) {
    assert.ok(!builtins.includes(`NativeModule ${name}`), `node:${name} is not loaded`);
  }
});
