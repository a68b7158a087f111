// start(): where it listens, what it loads, what it refuses.
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { freePort } from '../free-port.mjs';
import { failure, launch, onBun, onWindows, packageFile, packageUrl, until } from './harness.mjs';

const echo = (wsb, kit) => ({
  handleOpen: (id, ip, headers) => kit.tell('open', { id, ip, tag: headers['x-tag'] }),
  handleTextMessage: (text, id) => wsb.send(id, text),
});

test('start resolves to where the server can be reached', async (t) => {
  const server = await launch(t, { start: false });
  const at = await server.start();
  assert.equal(at.address, '127.0.0.1');
  assert.ok(Number.isInteger(at.port) && at.port > 0 && at.port < 65536);
  assert.equal(at.url, `ws://127.0.0.1:${at.port}`);
  const client = await server.connect();
  assert.ok(Number.isInteger(client.id) && client.id > 0);
});

test('a server listens on IPv6', async (t) => {
  const server = await launch(t, { worker: echo, options: { bind: '[::1]:0' } });
  assert.equal(server.at.url, `ws://[::1]:${server.port}`);
  assert.equal(server.at.address, '::1');
  const client = await server.connect();
  const told = await server.told.next('open');
  assert.equal(told.ip, '::1');
  client.send('six');
  assert.equal(await client.next(), 'six');
});

test('an IPv4 client of a dual-stack server is shown with its IPv4 address', async (t) => {
  const server = await launch(t, { worker: echo, options: { bind: '[::]:0' } });
  const client = await server.connect('', { at: { url: `ws://127.0.0.1:${server.port}` } });
  assert.equal((await server.told.next('open')).ip, '127.0.0.1');
  client.send('four');
  assert.equal(await client.next(), 'four');
});

test('a fixed port is taken as asked', async (t) => {
  const port = await freePort();
  const server = await launch(t, { options: { bind: `127.0.0.1:${port}` } });
  assert.equal(server.port, port);
});

test('a host name is resolved', async (t) => {
  const server = await launch(t, { worker: echo, options: { bind: 'localhost:0' } });
  const client = await server.connect();
  client.send('named');
  assert.equal(await client.next(), 'named');
});

test('a server listens on a unix socket', { skip: onWindows && 'no unix sockets' }, async (t) => {
  const server = await launch(t, { start: false, worker: echo });
  const file = path.join(server.folder, 'ws.sock');
  const at = await server.start({ bind: `unix:${file}` });
  assert.equal(at.address, file);
  const client = await server.connect('', { at: { url: `ws+unix:${file}:/here` } });
  client.send('through a file');
  assert.equal(await client.next(), 'through a file');
});

test('a unix socket left behind by a dead process is taken over', { skip: onWindows && 'no unix sockets' }, async (t) => {
  const first = await launch(t, { start: false, clean: false });
  const file = path.join(first.folder, 'ws.sock');
  await first.start({ bind: `unix:${file}` });
  first.child.kill('SIGKILL');
  await first.exited;
  const second = await launch(t, { options: { bind: `unix:${file}` }, worker: echo });
  const client = await second.connect('', { at: { url: `ws+unix:${file}:/` } });
  client.send('again');
  assert.equal(await client.next(), 'again');
});

test('a unix socket in use is not taken over', { skip: onWindows && 'no unix sockets' }, async (t) => {
  const first = await launch(t, { start: false, worker: echo });
  const file = path.join(first.folder, 'ws.sock');
  await first.start({ bind: `unix:${file}` });
  const second = await launch(t, { start: false });
  await failure(second.start({ bind: `unix:${file}` }), { code: 'ERR_WSBROKER_BIND' });
  const client = await first.connect('', { at: { url: `ws+unix:${file}:/` } });
  client.send('still here');
  assert.equal(await client.next(), 'still here');
});

for (const format of onBun ? ['cjs', 'mjs', 'ts'] : ['cjs', 'mjs']) {
  test(`a worker module may be ${format}`, async (t) => {
    const server = await launch(t, { worker: echo, format });
    const client = await server.connect();
    client.send(format);
    assert.equal(await client.next(), format);
  });
}

test('an ESM worker may export its handlers as default', async (t) => {
  const server = await launch(t, { start: false });
  const pkg = JSON.stringify(packageUrl);
  server.file('default.mjs', `import { send } from ${pkg};\nexport default { handleTextMessage: (text, id) => send(id, text) };\n`);
  await server.start({ workerPath: 'default.mjs' });
  const client = await server.connect('', { id: false });
  client.send('default');
  assert.equal(await client.next(), 'default');
});

for (const [what, name, code] of [
  ['a function with handlers', 'function.cjs', "module.exports = function app() {};\nmodule.exports.handleTextMessage = (text, id) => send(id, text);"],
  ['a class with static handlers', 'class.cjs', 'module.exports = class { static handleTextMessage(text, id) { send(id, text); } };'],
  ['a getter that makes a handler', 'getter.cjs', 'module.exports = { get handleTextMessage() { return (text, id) => send(id, text); } };'],
  ['a name beside a frozen default', 'frozen.mjs', 'export default Object.freeze({ handleTextMessage() {} });\nexport const handleTextMessage = (text, id) => send(id, text);'],
]) {
  test(`a worker module may export ${what}`, async (t) => {
    const server = await launch(t, { start: false });
    const pkg = JSON.stringify(packageFile);
    server.file(name, name.endsWith('.cjs') ? `const { send } = require(${pkg});\n${code}\n` : `import { send } from ${JSON.stringify(packageUrl)};\n${code}\n`);
    await server.start({ workerPath: name });
    const client = await server.connect('', { id: false });
    client.send('exported');
    assert.equal(await client.next(), 'exported');
  });
}

test('workerPath may be relative to the current folder', async (t) => {
  const server = await launch(t, { start: false, worker: echo });
  await server.start({ workerPath: './worker.cjs' });
  const client = await server.connect();
  client.send('relative');
  assert.equal(await client.next(), 'relative');
});

test('a worker module may register its handlers itself instead of exporting them', async (t) => {
  const server = await launch(t, { start: false });
  const pkg = JSON.stringify(packageFile);
  server.file(
    'registering.cjs',
    `const wsb = require(${pkg});\nwsb.registerWorkerThread({ handleTextMessage: (text, id) => wsb.send(id, text) });\n`,
  );
  await server.start({ workerPath: 'registering.cjs' });
  const client = await server.connect('', { id: false });
  client.send('registered');
  assert.equal(await client.next(), 'registered');
});

test('a worker module without any handler is accepted: connections are, and messages go nowhere', async (t) => {
  const server = await launch(t, { worker: () => ({}) });
  const client = await server.connect();
  client.send('to nobody');
  client.ws.ping('alive');
  await until(() => client.pongs.length === 1, 'a pong');
  assert.equal(await server.main((wsb) => wsb.connectionCount()), 1);
});

test('threads: 0 runs the module on the calling thread', async (t) => {
  const server = await launch(t, {
    options: { threads: 0 },
    worker: (wsb, kit) => {
      globalThis.loadedHere = true;
      return { handleTextMessage: (text, id) => void wsb.send(id, text) };
    },
  });
  assert.equal(await server.main(() => globalThis.loadedHere), true);
  const client = await server.connect();
  client.send('main');
  assert.equal(await client.next(), 'main');
});

test('threads: n loads the module n times, each in a thread of its own', async (t) => {
  const server = await launch(t, {
    options: { threads: 3 },
    worker: (wsb, kit) => {
      kit.tell('loaded', { thread: require('node:worker_threads').threadId });
      return {};
    },
  });
  const threads = server.told.of('loaded').map((event) => event.thread);
  assert.equal(threads.length, 3, 'all are loaded when start resolves');
  assert.equal(new Set(threads).size, 3);
  assert.ok(!threads.includes(0));
});

test('threads omitted: one for each core, at least 4', async (t) => {
  const server = await launch(t, {
    start: false,
    worker: (wsb, kit) => {
      kit.tell('loaded');
      return {};
    },
  });
  await server.main((wsb, kit, options) => kit.start(options), {
    bind: '127.0.0.1:0',
    workerPath: server.defaults.workerPath,
  });
  const cores = await server.main(() => require('node:os').availableParallelism?.() ?? require('node:os').cpus().length);
  assert.equal(server.told.of('loaded').length, Math.max(4, cores));
});

test('registerWorkerThread makes the main thread a worker, and start needs no workerPath then', async (t) => {
  const server = await launch(t, { start: false });
  await server.main((wsb, kit) => {
    wsb.registerWorkerThread({ handleTextMessage: (text, id) => void wsb.send(id, `main: ${text}`) });
  });
  await server.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0' })).then((at) => (server.at = at));
  const client = await server.connect('', { id: false });
  client.send('hello');
  assert.equal(await client.next(), 'main: hello');
});

test("registerWorkerThread makes a Worker of the user's own a worker", async (t) => {
  const server = await launch(t, { start: false });
  const file = server.file(
    'own.cjs',
    `const wsb = require(${JSON.stringify(packageFile)});
     wsb.registerWorkerThread({ handleTextMessage: (text, id) => void wsb.send(id, 'own: ' + text) });
     require('node:worker_threads').parentPort.postMessage('up');`,
  );
  await server.main(async (wsb, kit, file) => {
    const { Worker } = require('node:worker_threads');
    const worker = (kit.own = new Worker(file));
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  }, file);
  server.at = await server.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0' }));
  const client = await server.connect('', { id: false });
  client.send('hello');
  assert.equal(await client.next(), 'own: hello');
});

test('start without workerPath and without any worker is refused', async (t) => {
  const server = await launch(t, { start: false });
  const error = await failure(server.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0' })), { code: /^ERR_WSBROKER_/ });
  assert.match(error.message, /workerPath|registerWorkerThread/);
});

test('several servers share channels, tokens, subscriptions and the pool', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => {
      kit.tell('loaded');
      return kit.standard(wsb);
    },
  });
  server.standard = true;
  const second = await server.start();
  assert.notEqual(second.port, server.port);
  assert.equal(server.told.of('loaded').length, 1, 'the same workerPath again reuses its workers');
  const here = await server.connect();
  const there = await server.connect('', { at: second });
  assert.ok(there.id > here.id);
  await server.main((wsb, kit, a, b) => [a, b].map((id) => wsb.subscribe(id, 'all')), here.id, there.id);
  assert.equal(await server.main((wsb) => wsb.sendToChannel('all', 'to both')), 2);
  assert.deepEqual([await here.next(), await there.next()], ['to both', 'to both']);
  await here.run((wsb, id, other) => wsb.setToken(other, 'set by the other server'), there.id);
  there.send('who am I?');
  assert.equal((await server.told.next('text')).token, 'set by the other server');
});

test('the same workerPath spelled otherwise is still the same worker module', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => {
      kit.tell('loaded');
      return {};
    },
  });
  await server.start({ workerPath: 'worker.cjs' });
  await server.start({ workerPath: './nowhere/../worker.cjs' });
  assert.equal(server.told.of('loaded').length, 1);
});

test('start calls under way at the same time get along', async (t) => {
  const server = await launch(t, { start: false });
  const [one, two, three] = await Promise.all([server.start(), server.start(), server.start()]);
  for (const at of [one, two, three]) await server.connect('', { at });
  assert.equal(await server.main((wsb) => wsb.connectionCount()), 3);
});

test('listeners may share an address with different paths, each with limits of its own', async (t) => {
  const server = await launch(t, { options: { path: '/small', maxPayload: 10 } });
  const bind = `127.0.0.1:${server.port}`;
  const big = await server.start({ bind, path: ['/big', '/large'] });
  assert.equal(big.port, server.port);
  const error = await failure(server.start({ bind, path: ['/new', '/big'] }), { code: 'ERR_WSBROKER_CONFLICT' });
  assert.match(error.message, /\/big/);
  for (const where of ['/small', '/big', '/large?x=1']) {
    const client = await server.connect(where);
    client.send('more than ten bytes');
    if (where === '/small') assert.equal((await client.end()).code, 1009);
    else assert.equal((await server.told.next('text')).data, 'more than ten bytes');
  }
  assert.equal((await server.refused('/new')).status, 404);
});

test('an address that is wholly taken is a conflict', async (t) => {
  const server = await launch(t);
  await failure(server.start({ bind: `127.0.0.1:${server.port}` }), { code: 'ERR_WSBROKER_CONFLICT' });
});

test('a process-wide option that differs from an earlier call is a conflict that names it', async (t) => {
  const server = await launch(t, { options: { ioThreads: 1 } });
  await server.start({ ioThreads: 1 });
  const error = await failure(server.start({ ioThreads: 2 }), { code: 'ERR_WSBROKER_CONFLICT' });
  assert.match(error.message, /ioThreads/);
});

test('start with a workerPath inside a pool worker is refused', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await failure(
    client.run((wsb, id, file) => wsb.start({ bind: '127.0.0.1:0', workerPath: file }), server.defaults.workerPath),
    { code: 'ERR_WSBROKER_IN_WORKER' },
  );
});

for (const [what, options, name] of [
  ['no options', undefined, 'options'],
  ['null as options', null, 'options'],
  ['a string as options', '127.0.0.1:0', 'options'],
  ['no bind', {}, 'bind'],
  ['a number as bind', { bind: 8080 }, 'bind'],
]) {
  test(`start with ${what} is a TypeError that names "${name}"`, async (t) => {
    const server = await launch(t, { start: false });
    // undefined does not survive the way through JSON
    const asked = server.main((wsb, kit, given, missing) => wsb.start(missing ? undefined : given), options ?? null, options === undefined);
    const error = await failure(asked, { code: 'ERR_WSBROKER_INVALID_ARG_TYPE', type: 'TypeError' });
    assert.ok(error.message.includes(name), error.message);
  });
}

for (const [what, wrong, name] of [
  ['a string as threads', { threads: 'two' }, 'threads'],
  ['a negative threads', { threads: -1 }, 'threads'],
  ['half a thread', { threads: 1.5 }, 'threads'],
  ['a number as workerPath', { workerPath: 1 }, 'workerPath'],
  ['a string as maxPayload', { maxPayload: '1mb' }, 'maxPayload'],
  ['a negative idleTimeout', { idleTimeout: -1 }, 'idleTimeout'],
  ['NaN as openTimeout', { openTimeout: 'NaN' }, 'openTimeout'],
  ['an unknown overflow', { overflow: 'dropEverything' }, 'overflow'],
  ['an unknown handlers mode', { handlers: 'parallel' }, 'handlers'],
  ['a number as path', { path: 7 }, 'path'],
  ['a path without a slash', { path: 'chat' }, 'path'],
  ['a number in protocols', { protocols: ['a', 1] }, 'protocols'],
  ['a string as maxInFlight', { maxInFlight: 'many' }, 'maxInFlight'],
  ['a negative part of maxInFlight', { maxInFlight: { messages: -4 } }, 'messages'],
]) {
  test(`start with ${what} is an error that names "${name}"`, async (t) => {
    const server = await launch(t, { start: false });
    const error = await failure(server.start(wrong), { code: /^ERR_WSBROKER_INVALID_ARG_(TYPE|VALUE)$/ });
    assert.ok(error.message.includes(name), error.message);
    // Nothing is left behind: the process can still be used.
    await server.start();
    await server.connect();
  });
}

test('an unknown option is an error that names the nearest known one', async (t) => {
  const server = await launch(t, { start: false });
  for (const [typo, meant] of [['maxPayLoad', 'maxPayload'], ['workerpath', 'workerPath'], ['idleTimout', 'idleTimeout'], ['thread', 'threads']]) {
    const error = await failure(server.start({ [typo]: 1 }), { code: /^ERR_WSBROKER_/ });
    assert.ok(error.message.includes(typo) && error.message.includes(meant), error.message);
  }
});

test('an invalid address is refused and named', async (t) => {
  const server = await launch(t, { start: false });
  for (const bind of ['', 'localhost', '127.0.0.1', '127.0.0.1:', '127.0.0.1:99999', '127.0.0.1:http', '::1:80', '[::1]', 'unix:', 'http://127.0.0.1:80']) {
    const error = await failure(server.start({ bind }), { code: /^ERR_WSBROKER_/ });
    assert.ok(error.message.includes(bind), error.message);
  }
});

test('a port in use is refused, by a message that names the address and the reason', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await until(() => other.listening, 'a port in use');
  const bind = `127.0.0.1:${other.address().port}`;
  const server = await launch(t, { start: false });
  const error = await failure(server.start({ bind }), { code: 'ERR_WSBROKER_BIND', type: 'WSBrokerError' });
  assert.ok(error.message.includes(bind), error.message);
  assert.match(error.message, /in use|EADDRINUSE|os error 10048/i);
  await server.start();
  await server.connect();
});

test('a worker file that does not exist is refused with its path, and nothing stays bound', async (t) => {
  const server = await launch(t, { start: false });
  const error = await failure(server.start({ workerPath: './missing.cjs' }), { code: /^ERR_WSBROKER_/ });
  assert.ok(error.message.includes('missing.cjs'), error.message);
});

for (const format of ['cjs', 'mjs']) {
  test(`a worker that throws while loading rejects start, its own error as the cause (${format})`, async (t) => {
    const server = await launch(t, { start: false });
    const workerPath = server.file(`bad.${format}`, `throw new RangeError('no database');\n`);
    const error = await failure(server.start({ workerPath, threads: 2 }), { code: /^ERR_WSBROKER_/, type: 'WSBrokerError' });
    assert.ok(error.message.includes(`bad.${format}`), error.message);
    assert.match(error.remoteCause.message, /no database/);
    assert.equal(error.remoteCause.name, 'RangeError');
    assert.match(error.remoteCause.stack, /bad\./);
  });
}

test('a worker with a syntax error rejects start', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('broken.cjs', 'module.exports = {;\n');
  const error = await failure(server.start({ workerPath }), { code: /^ERR_WSBROKER_/ });
  assert.ok(error.message.includes('broken.cjs'), error.message);
});

test('a worker that ends while loading rejects start', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('quitting.cjs', 'process.exit(7);\n');
  await failure(server.start({ workerPath }), { code: /^ERR_WSBROKER_/ });
});

test('a handler that is no function rejects start and is named', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('wrong.cjs', `module.exports = { handleTextMessage: 'hello' };\n`);
  const error = await failure(server.start({ workerPath }), { code: /^ERR_WSBROKER_/ });
  assert.match(`${error.message} ${error.remoteCause?.message}`, /handleTextMessage/);
});

test('after a start that failed, the same address and a good worker serve', async (t) => {
  const server = await launch(t, { start: false, worker: echo });
  const first = await server.start();
  const bind = `127.0.0.1:${first.port}`;
  await server.main((wsb, kit) => kit.state.servers[0].close());
  const bad = server.file('bad.cjs', `throw new Error('not today');\n`);
  await failure(server.start({ bind, workerPath: bad }), { code: /^ERR_WSBROKER_/ });
  server.at = await server.start({ bind });
  const client = await server.connect();
  client.send('well');
  assert.equal(await client.next(), 'well');
});

test('while workers still load, nobody is served and the address is taken', async (t) => {
  const server = await launch(t, {
    start: false,
    worker: (wsb, kit) => ({
      handleStart: () => new Promise((resolve) => {
        kit.tell('starting');
        const look = setInterval(() => {
          if (!require('node:fs').existsSync('go')) return;
          clearInterval(look);
          resolve();
        }, 5);
      }),
      handleTextMessage: (text, id) => void wsb.send(id, text),
    }),
  });
  let done = false;
  const starting = server.start().then((at) => ((done = true), at));
  await server.told.next('starting');
  assert.equal(done, false, 'start waits for handleStart');
  server.file('go', '');
  await starting;
  const client = await server.connect('', { id: false });
  client.send('now');
  assert.equal(await client.next(), 'now');
});

test('CommonJS and ESM are one package with one state', async (t) => {
  const server = await launch(t);
  const same = await server.main(async (wsb, kit, file) => {
    const esm = await kit.load(require('node:url').pathToFileURL(file).href);
    return Object.keys(wsb).filter((name) => esm[name] !== wsb[name] || esm.default[name] !== wsb[name]);
  }, packageFile.replace(/\.cjs$/, '.mjs'));
  assert.deepEqual(same, []);
});

for (const threads of [0, 2]) {
  test(`with ${threads} threads a module whose top-level await never ends makes start reject in time`, async (t) => {
    const server = await launch(t, { start: false });
    const hangs = server.file('hangs.mjs', 'await new Promise(() => {});\nexport const handleTextMessage = () => {};\n');
    await failure(server.start({ workerPath: hangs, threads, startTimeout: 200 }), { code: 'ERR_WSBROKER_WORKER_FAILED', message: /hangs\.mjs did not load within 200 ms/, type: 'WSBrokerError' });
    await server.start({ threads });
    await server.connect();
  });
}

test('a module that loops while it loads makes start reject in time', async (t) => {
  const server = await launch(t, { start: false });
  const loops = server.file('loops.cjs', 'for (;;);\n');
  await failure(server.start({ workerPath: loops, threads: 1, startTimeout: 300 }), { code: 'ERR_WSBROKER_WORKER_FAILED', message: /loops\.cjs did not load within 300 ms/ });
  await server.start({ threads: 1 });
});
