// Workers that are reloaded under open connections: nothing is lost, repeated or reordered, and nobody is dropped.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { failure, kitFile, launch, until } from './harness.mjs';

/** Tells its thread and the version of its code with everything. `slow N`: settles when the test says so. */
const versioned = (wsb, kit) => {
  const { threadId } = require('node:worker_threads');
  const version = 'VERSION';
  const told = (type, fields) => kit.tell(type, { ...fields, thread: threadId, version });
  return {
    handleStart: () => told('started'),
    handleStop: () => told('stopped'),
    handleOpen(id, ip, headers) {
      told('open', { id, tag: headers['x-tag'] });
      return { token: `token of ${id}`, channels: ['all'] };
    },
    async handleTextMessage(text, id, token) {
      told('text', { id, data: text, token: String(token) });
      wsb.send(id, `${version} ${text}`);
      if (text.startsWith('slow')) {
        const { BroadcastChannel } = require('node:worker_threads');
        const release = new BroadcastChannel('release');
        await new Promise((resolve) => (release.onmessage = resolve));
        release.close();
        wsb.send(id, `${version} end of ${text}`);
        if (text === 'slow exit') process.exit(3);
        if (text === 'slow throw') setImmediate(() => { throw new Error('on purpose'); });
        if (text === 'slow throw') await new Promise(() => {});
      }
      if (text === 'hang') for (;;);
      if (text === 'hold') await new Promise(() => {});
    },
    handleClose: (id, token, code) => told('close', { id, code }),
  };
};

const withVersion = (version) => String(versioned).replace('VERSION', version);

/** Releases handlers that are slow. */
const release = (server) => server.main(() => {
  const { BroadcastChannel } = require('node:worker_threads');
  const channel = new BroadcastChannel('release');
  channel.postMessage('go on');
  channel.close();
});

const launchVersioned = async (t, options = {}) => {
  const server = await launch(t, { worker: withVersion('v1'), options: { threads: 2, ...options } });
  server.standard = true;
  return server;
};

const reload = (server, options = {}) => server.main((wsb, kit, options) => wsb.reloadWorkers(options), options);

test('new code takes over while sockets stay open, with their tokens, subscriptions and ids', async (t) => {
  const server = await launchVersioned(t);
  const clients = [];
  for (let i = 0; i < 8; i++) clients.push(await server.connect());
  const workerPath = server.workerFile(withVersion('v2'));
  assert.deepEqual(await reload(server, { workerPath, threads: 3 }), { started: 3, stopped: 2, cut: 0, closed: 0 });
  assert.deepEqual(server.told.of('started').map(({ version }) => version), ['v1', 'v1', 'v2', 'v2', 'v2']);
  assert.equal(server.told.of('stopped', ({ version }) => version === 'v1').length, 2);
  for (const client of clients) client.send('hello');
  for (const client of clients) {
    assert.equal(await client.next(), 'v2 hello');
    const { token } = await server.told.next('text', ({ id }) => id === client.id);
    assert.equal(token, `token of ${client.id}`);
  }
  const { workers } = await server.main((wsb) => wsb.stats());
  assert.deepEqual(workers.map(({ connections }) => connections).sort(), [2, 3, 3], 'spread over the new ones');
  assert.equal(await server.main((wsb) => wsb.sendToChannel('all', 'everybody')), 8);
  for (const client of clients) assert.equal(await client.next(), 'everybody');
  const late = await server.connect();
  late.send('late');
  assert.equal(await late.next(), 'v2 late');
  assert.deepEqual(server.told.of('close'), []);
  // Compared with what there is now.
  const { code } = await failure(server.start({ workerPath: server.defaults.workerPath }));
  assert.equal(code, 'ERR_WSBROKER_CONFLICT');
  await server.start({ workerPath, threads: 3 });
});

test('limits of a socket are where they were', async (t) => {
  // A burst that is full again after 20 s, and two channels, of which `all` is one.
  const server = await launchVersioned(t, { rateLimit: { messages: 1, burst: 20, action: 'close' }, maxChannelsPerSocket: 2 });
  const client = await server.connect();
  const subscribe = (channel) => server.main((wsb, kit, id, channel) => wsb.subscribe(id, channel), client.id, channel);
  assert.equal(await subscribe('second'), true);
  for (let n = 0; n < 15; n++) client.send(`${n}`);
  await client.take(15);
  await reload(server, { workerPath: server.workerFile(withVersion('v2')) });
  assert.equal((await failure(subscribe('third'))).code, 'ERR_WSBROKER_LIMIT');
  client.send('first');
  assert.equal(await client.next(), 'v2 first');
  for (let n = 0; n < 15; n++) client.send(`${n}`);
  assert.equal((await client.end()).code, 1008);
});

test('a module is loaded as it is now, whatever the old threads have loaded', async (t) => {
  for (const format of ['cjs', 'mjs']) {
    const server = await launch(t, { start: false });
    server.standard = true;
    server.file(`text.${format}`, format === 'cjs' ? "exports.text = 'before';" : "export const text = 'before';");
    const source = format === 'cjs'
      ? `const wsb = require(process.env.WSB_PACKAGE); const { text } = require('./text.cjs');
         exports.handleTextMessage = (data, id) => { wsb.send(id, text); };`
      : `import { createRequire } from 'node:module'; import { text } from './text.mjs';
         const wsb = createRequire(import.meta.url)(process.env.WSB_PACKAGE);
         export const handleTextMessage = (data, id) => { wsb.send(id, text); };`;
    const workerPath = server.file(`own.${format}`, source);
    await server.start({ workerPath, threads: 1 });
    const client = await server.connect('', { id: false });
    client.send('?');
    assert.equal(await client.next(), 'before');
    server.file(`text.${format}`, format === 'cjs' ? "exports.text = 'after';" : "export const text = 'after';");
    await reload(server);
    client.send('?');
    assert.equal(await client.next(), 'after', format);
  }
});

test('a socket moves after the handler in hand has settled, and its replies come first', async (t) => {
  const server = await launchVersioned(t, { threads: 1 });
  const [busy, idle] = [await server.connect(), await server.connect()];
  for (const text of ['slow', '1', '2']) busy.send(text);
  await server.told.next('text', ({ data }) => data === 'slow');
  const workerPath = server.workerFile(withVersion('v2'));
  const done = reload(server, { workerPath });
  await server.told.next('started', ({ version }) => version === 'v2');
  await until(async () => {
    idle.send('where?');
    return (await idle.next()) === 'v2 where?';
  }, 'the idle one has moved');
  busy.send('3');
  assert.equal(server.told.of('stopped').length, 0);
  await release(server);
  assert.deepEqual(await done, { started: 1, stopped: 1, cut: 0, closed: 0 });
  const expected = ['v1 slow', 'v1 end of slow'];
  const got = await busy.take(5);
  assert.deepEqual(got.slice(0, 2), expected);
  assert.deepEqual(got.slice(2).map((text) => text.slice(3)), ['1', '2', '3']);
  assert.equal(got[4], 'v2 3');
  assert.deepEqual(server.told.of('close'), []);
});

test('new code that does not load is refused, and the old workers go on', async (t) => {
  const server = await launchVersioned(t);
  const client = await server.connect();
  const workerPath = server.file('bad.cjs', "throw new Error('not today');");
  const error = await failure(reload(server, { workerPath }));
  assert.equal(error.code, 'ERR_WSBROKER_WORKER_FAILED');
  assert.match(error.message, /not today/);
  const missing = await failure(reload(server, { workerPath: './nothing.cjs' }));
  assert.equal(missing.code, 'ERR_WSBROKER_WORKER_NOT_FOUND');
  // One of two fails, in its handleStart, long after the other is ready.
  const half = server.file('half.cjs', `
    const fs = require('node:fs');
    exports.handleStart = async () => {
      try { return fs.mkdirSync(__dirname + '/first'); } catch {}
      fs.mkdirSync(__dirname + '/second');
      while (!fs.existsSync(__dirname + '/go')) await new Promise((resolve) => setTimeout(resolve, 10));
      throw new Error('the second fails');
    };
    exports.handleOpen = () => false;
  `);
  const halfway = failure(reload(server, { workerPath: half }));
  await until(() => existsSync(path.join(server.folder, 'second')), 'the second waits');
  for (let i = 0; i < 6; i++) await server.connect();
  server.file('go', '');
  assert.match((await halfway).message, /the second fails/);
  client.send('still');
  assert.equal(await client.next(), 'v1 still');
  await server.connect();
  assert.equal((await server.main((wsb) => wsb.stats())).workers.length, 2);
  assert.equal(server.told.of('stopped').length, 0);
  assert.deepEqual(await reload(server), { started: 2, stopped: 2, cut: 0, closed: 0 });
});

test('a handler that does not settle in time is cut, and what it has not begun is handled by the new code', async (t) => {
  const server = await launchVersioned(t, { threads: 1 });
  const [held, other] = [await server.connect(), await server.connect()];
  for (const text of ['hold', '1', '2']) held.send(text);
  await server.told.next('text', ({ data }) => data === 'hold');
  const workerPath = server.workerFile(withVersion('v2'));
  assert.deepEqual(await reload(server, { workerPath, timeout: 300 }), { started: 1, stopped: 1, cut: 1, closed: 0 });
  held.send('3');
  other.send('4');
  assert.deepEqual(await held.take(4), ['v1 hold', 'v2 1', 'v2 2', 'v2 3']);
  assert.equal(await other.next(), 'v2 4');
  assert.equal(server.told.of('stopped').length, 1, 'handleStop has run');
  assert.deepEqual(server.told.of('close'), []);
});

test('a thread that hangs is cut, and its sockets move', async (t) => {
  const server = await launchVersioned(t, { threads: 1 });
  const [hung, other] = [await server.connect(), await server.connect()];
  hung.send('hang');
  await server.told.next('text', ({ data }) => data === 'hang');
  hung.send('1');
  other.send('2');
  const workerPath = server.workerFile(withVersion('v2'));
  assert.deepEqual(await reload(server, { workerPath, timeout: 100 }), { started: 1, stopped: 1, cut: 1, closed: 0 });
  assert.equal(await other.next(), 'v2 2');
  await server.told.next('text', ({ data, version }) => data === '1' && version === 'v2');
  assert.equal(server.told.of('text', ({ data }) => data === 'hang').length, 1, 'not run again');
  assert.deepEqual(server.told.of('close'), []);
});

test('handleStop has the time that the handlers have left, and is cut if it takes longer', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('stop.cjs', 'exports.handleTextMessage = () => {}; exports.handleStop = () => new Promise(() => {});');
  await server.start({ workerPath, threads: 1 });
  const began = performance.now();
  assert.deepEqual(await reload(server, { workerPath: server.file('next.cjs', 'exports.handleTextMessage = () => {};'), timeout: 2000 }), { started: 1, stopped: 1, cut: 1, closed: 0 });
  // Half a second is kept for the end of the thread.
  const took = performance.now() - began;
  assert.ok(took > 1400, `${took} ms`);
  assert.deepEqual(await reload(server), { started: 1, stopped: 1, cut: 0, closed: 0 });
});

test('an old thread that hangs although nothing waits for it is ended by the watchdog', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('stop.cjs', 'exports.handleTextMessage = () => {}; exports.handleStop = () => { for (;;); };');
  await server.start({ workerPath, threads: 1, watchdog: { after: 200, action: 'replace' } });
  const report = await reload(server, { workerPath: server.file('next.cjs', 'exports.handleTextMessage = () => {};'), timeout: 600_000 });
  assert.deepEqual(report, { started: 1, stopped: 1, cut: 1, closed: 0 });
});

test('intervals of the old code do not keep its thread, and a second call waits for the first', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('own.cjs', `
    const kit = require(${JSON.stringify(kitFile)});
    setInterval(() => {}, 1000);
    exports.handleStart = () => kit.tell('started');
    exports.handleStop = () => kit.tell('stopped');
    exports.handleTextMessage = () => {};
  `);
  await server.start({ workerPath, threads: 2 });
  const both = await server.main((wsb) => Promise.all([wsb.reloadWorkers(), wsb.reloadWorkers({ threads: 1 })]));
  assert.deepEqual(both, [{ started: 2, stopped: 2, cut: 0, closed: 0 }, { started: 1, stopped: 2, cut: 0, closed: 0 }]);
  assert.deepEqual(server.told.all.filter(({ type }) => type === 'started' || type === 'stopped').map(({ type }) => type), [
    'started', 'started', 'started', 'started', 'stopped', 'stopped', 'started', 'stopped', 'stopped',
  ]);
});

test('it is refused where there is no pool, and in a worker, with what to do', async (t) => {
  const server = await launch(t, { start: false });
  assert.equal((await failure(reload(server))).code, 'ERR_WSBROKER_NO_WORKER');
  for (const [options, message] of [
    [{ threads: 0 }, /"threads" must be .* 1 to 1024.*got 0/],
    [{ timeout: -1 }, /"timeout"/],
    [{ workerPth: './x.js' }, /"workerPth".*workerPath/],
    [{ workerPath: 5 }, /"workerPath"/],
  ]) {
    assert.match((await failure(reload(server, options))).message, message);
  }
  await server.start({ threads: 0 });
  const error = await failure(reload(server));
  assert.equal(error.code, 'ERR_WSBROKER_CONFLICT');
  assert.match(error.message, /threads: 0/);
  const registered = await launch(t, { start: false });
  await registered.main((wsb) => wsb.registerWorkerThread({ handleTextMessage: (text, id) => void wsb.send(id, text) }));
  registered.at = await registered.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0' }));
  const own = await failure(reload(registered));
  assert.equal(own.code, 'ERR_WSBROKER_CONFLICT');
  assert.match(own.message, /registerWorkerThread/);
  const kept = await registered.connect('', { id: false });
  kept.send('still');
  assert.equal(await kept.next(), 'still');
  const pooled = await launch(t);
  const client = await pooled.connect();
  assert.equal((await failure(client.run((wsb) => wsb.reloadWorkers()))).code, 'ERR_WSBROKER_IN_WORKER');
});

test('a shutdown ends a reload that is loading', async (t) => {
  const server = await launchVersioned(t, { threads: 1 });
  const client = await server.connect();
  client.send('hold');
  await server.told.next('text');
  const never = server.file('never.mjs', 'await new Promise((resolve) => setTimeout(resolve, 1e9));');
  const loading = failure(reload(server, { workerPath: never }));
  const done = await server.main((wsb) => wsb.shutdown({ timeout: 2000 }));
  assert.equal(done.closed + done.terminated, 1);
  assert.equal((await loading).code, 'ERR_WSBROKER_SHUT_DOWN');
});

test('a shutdown does not wait for old threads that a reload waits for', async (t) => {
  const server = await launchVersioned(t, { threads: 1 });
  const client = await server.connect();
  client.send('hold');
  await server.told.next('text');
  const moving = reload(server);
  await until(async () => (await server.main((wsb) => wsb.stats().workers.length)) === 2, 'the new one has begun');
  const done = await server.main((wsb) => wsb.shutdown({ timeout: 1000 }));
  assert.equal(done.closed + done.terminated, 1);
  const { started, stopped } = await moving;
  assert.deepEqual([started, stopped], [1, 1]);
});

test('onWorker hears of new workers when they begin, and that the old ones stopped', async (t) => {
  const server = await launch(t, { start: false, worker: withVersion('v1') });
  server.at = await server.main((wsb, kit, options) => kit.start({
    ...options,
    onWorker: ({ type, workerId, reason }) => kit.tell('worker', { event: type, workerId, reason }),
  }), { ...server.defaults, threads: 1 });
  server.told.skip('worker');
  await reload(server);
  await until(() => server.told.of('worker').length === 3, 'all three');
  const [first, second, third] = server.told.of('worker');
  assert.deepEqual([first.event, second.event, third.event], ['started', 'started', 'stopped']);
  assert.equal(third.workerId, first.workerId);
  assert.equal(third.reason, undefined);
});

/** Reloads one worker that does `what`, and returns what became of it. */
async function reloadBroken(t, what, { timeout = 20_000, after = 1000 } = {}) {
  const server = await launch(t, { start: false, worker: withVersion('v1') });
  server.standard = true;
  server.at = await server.main((wsb, kit, options) => kit.start({
    ...options,
    onWorker: ({ type, workerId, reason }) => kit.tell('worker', { event: type, workerId, reason: reason?.message }),
  }), { ...server.defaults, threads: 1, watchdog: { after, action: 'replace' } });
  const client = await server.connect();
  client.send(what);
  await server.told.next('text', ({ data }) => data === what);
  client.send('next');
  const old = (await server.told.next('worker', ({ event }) => event === 'started')).workerId;
  const reloading = reload(server, { workerPath: server.workerFile(withVersion('v2')), timeout });
  await server.told.next('worker', ({ event }) => event === 'started');
  await release(server);
  const report = await reloading;
  const end = await server.told.next('worker', ({ event, workerId }) => workerId === old && event !== 'stuck');
  await server.told.next('text', ({ data, version }) => data === 'next' && version === 'v2');
  assert.deepEqual(server.told.of('close'), []);
  return { report, end };
}

for (const [what, reason, options] of [
  ['slow exit', /exited with code 3/],
  ['slow throw', /on purpose/],
  ['hold', /its handlers had not settled in time/, { timeout: 100 }],
]) {
  test(`an old worker that does not leave in order is cut, and onWorker is told why: ${what}`, async (t) => {
    const { report, end } = await reloadBroken(t, what, options);
    assert.deepEqual(report, { started: 1, stopped: 1, cut: 1, closed: 0 });
    assert.equal(end.event, 'stopped');
    assert.match(end.reason, reason);
  });
}

test('an old worker that the watchdog ends during a reload is cut, and onWorker is told why', async (t) => {
  for (let after = 500; ; after *= 4) {
    const { report, end } = await reloadBroken(t, 'hang', { after });
    // It was ended, and replaced, before the new code was loaded: with more time it is not.
    if (end.event === 'died' && after < 20_000) continue;
    assert.deepEqual(report, { started: 1, stopped: 1, cut: 1, closed: 0 });
    assert.equal(end.event, 'stopped');
    assert.match(end.reason, /handleTextMessage of socket \d+ does not return/);
    return;
  }
});
