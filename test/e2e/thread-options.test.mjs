// start({ worker }): what the threads of the pool are started with.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { failure, launch, onBun } from './harness.mjs';

/** Tells what its thread was given. */
const telling = (wsb, kit) => {
  const threads = require('node:worker_threads');
  kit.tell('thread', {
    data: threads.workerData, env: { mine: process.env.MINE, path: process.env.PATH !== undefined }, execArgv: process.execArgv, limits: threads.resourceLimits,
    name: threads.threadName, id: threads.threadId,
  });
  return kit.standard(wsb);
};

for (const format of ['cjs', 'mjs']) {
  test(`workerData is what the module finds as workerData (${format})`, async (t) => {
    const server = await launch(t, { start: false });
    const [take, tell] = format === 'cjs' ? ["const { workerData } = require('node:worker_threads');", 'require(process.env.KIT).tell'] : ["import { workerData } from 'node:worker_threads';\nimport kit from 'KIT';", 'kit.tell'];
    const kit = new URL('./fixtures/kit.cjs', import.meta.url);
    const text = `${take}\n${tell}('data', { list: workerData.list, map: workerData.map?.get('a'), keys: Object.keys(workerData) });\n${format === 'cjs' ? 'exports.handleOpen =' : 'export const handleOpen ='} () => {};\n`;
    const workerPath = server.file(`data.${format}`, text.replace("'KIT'", JSON.stringify(kit.href)).replace('process.env.KIT', JSON.stringify(fileURLToPath(kit))));
    await server.main((wsb, kit, options) => {
      const workerData = { list: [1, 2], map: new Map([['a', 7]]) };
      const started = kit.start({ ...options, worker: { workerData } });
      workerData.list.push(3);
      return started;
    }, { ...server.defaults, workerPath, threads: 2 });
    assert.deepEqual(server.told.of('data').map(({ list, map, keys }) => [list, map, keys]), Array(2).fill([[1, 2], 7, ['list', 'map']]));
    await server.main((wsb) => wsb.shutdown());
    await server.start({ workerPath, threads: 1 });
    assert.deepEqual(server.told.of('data').at(-1).keys, [], 'without it there is nothing of ours either');
  });
}

test('a replacement is started with the same', async (t) => {
  const server = await launch(t, { worker: telling, options: { worker: { workerData: { n: 1 }, env: { MINE: 'x' } } } });
  await server.told.next('thread');
  const client = await server.connect('', { id: false });
  client.send(`run:${JSON.stringify({ n: 0, source: '() => setImmediate(() => process.exit(1))', args: [] })}`);
  const { data, env } = await server.told.next('thread');
  assert.deepEqual([data, env], [{ n: 1 }, { mine: 'x', path: false }]);
});

test('env replaces the environment, and SHARE_ENV shares it', async (t) => {
  const server = await launch(t, { worker: telling, env: { MINE: 'inherited' } });
  assert.deepEqual((await server.told.next('thread')).env, { mine: 'inherited', path: true });
  await server.main((wsb) => wsb.shutdown());
  await server.start({ worker: { env: { MINE: 'own', NOT: undefined } } });
  assert.deepEqual((await server.told.next('thread')).env, { mine: 'own', path: false });
  await server.main((wsb) => wsb.shutdown());
  await server.main((wsb, kit, options) => {
    process.env.MINE = 'changed';
    return kit.start({ ...options, worker: { env: require('node:worker_threads').SHARE_ENV } });
  }, server.defaults);
  assert.equal((await server.told.next('thread')).env.mine, 'changed');
});

test('execArgv and name reach the threads', async (t) => {
  const server = await launch(t, { worker: telling, options: { worker: { execArgv: ['--no-warnings'], name: 'handlers' } } });
  const { execArgv, name } = await server.told.next('thread');
  assert.deepEqual(execArgv, ['--no-warnings']);
  // Not every runtime that takes it has a way to ask for it.
  assert.ok([undefined, 'handlers'].includes(name), name);
});

// Bun has neither.
if (!onBun) {
  test('a worker over its resourceLimits ends, and is replaced', async (t) => {
    const server = await launch(t, { worker: telling, start: false });
    server.at = await server.main((wsb, kit, options) => kit.start({ ...options, onWorker: ({ type, reason }) => kit.tell('worker', { is: type, code: reason?.cause?.code }) }), {
      ...server.defaults, worker: { resourceLimits: { maxOldGenerationSizeMb: 32, stackSizeMb: 2 } },
    });
    const { limits } = await server.told.next('thread');
    assert.deepEqual([limits.maxOldGenerationSizeMb, limits.stackSizeMb], [32, 2]);
    const client = await server.connect('', { id: false });
    client.send(`run:${JSON.stringify({ n: 0, source: '() => { const all = []; for (;;) all.push(new Array(1e5).fill(all.length)); }', args: [] })}`);
    await server.told.next('worker', ({ is, code }) => is === 'died' && code === 'ERR_WORKER_OUT_OF_MEMORY');
    await server.told.next('worker', ({ is }) => is === 'started');
    assert.equal((await server.told.next('thread')).limits.maxOldGenerationSizeMb, 32);
  });

  test('flags that a thread cannot have are refused by name', async (t) => {
    const server = await launch(t, { start: false });
    const error = await failure(server.start({ worker: { execArgv: ['--title=x'] }, threads: 2 }), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE', type: 'RangeError' });
    assert.match(error.message, /^start: "worker\.execArgv" must contain only flags that worker threads accept: .*--title=x/);
    await server.start();
  });
}

test('a pool that runs already is a conflict, unless it was started with the same', async (t) => {
  const server = await launch(t, { options: { worker: { workerData: { a: [1] }, name: 'x' } } });
  await server.start({ worker: { name: 'x', workerData: { a: [1] } } });
  await server.start();
  await server.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0', worker: { name: 'x', workerData: { a: [1] } } }));
  for (const worker of [{ workerData: { a: [2] }, name: 'x' }, { workerData: { a: [1] } }, {}]) {
    const error = await failure(server.start({ worker }), { code: 'ERR_WSBROKER_CONFLICT' });
    assert.match(error.message, /^start: "worker" applies to the whole process, and an earlier start gave other values; to start over/);
  }
});
