// What handlers may do wrong, and that nobody but themselves suffers.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { failure, launch, until } from './harness.mjs';
import { frame, open, TEXT } from './raw.mjs';

/** Text `do:…` is code that runs inside the handler; everything else is told. */
const doing = (wsb, kit) => ({
  ...kit.standard(wsb),
  handleTextMessage(text, id) {
    if (text.startsWith('run:')) return kit.perform(JSON.parse(text.slice(4)), wsb, id);
    if (!text.startsWith('do:')) return void kit.tell('text', { id, data: text });
    return (0, eval)(`(() => { ${text.slice(3)} })()`);
  },
});

const asDoing = async (t, more = {}) => {
  const server = await launch(t, { worker: doing, ...more });
  server.standard = true;
  return server;
};

for (const [what, code, message] of [
  ['a throw', "throw new Error('on purpose')", 'on purpose'],
  ['a thrown string', "throw 'only a string'", 'only a string'],
  ['a thrown undefined', 'throw undefined', 'undefined'],
  ['a thrown null', 'throw null', 'null'],
  ['a thrown object that cannot be shown', "throw { toString() { throw new Error('inner') } , then: undefined }", undefined],
  ['a rejection', "return Promise.reject(new Error('rejected'))", 'rejected'],
  ['a late rejection', "return new Promise((_, reject) => setImmediate(() => reject(new Error('late'))))", 'late'],
  ['a rejection with a string', "return Promise.reject('rejected string')", 'rejected string'],
  ['a thenable that throws', "return { then() { throw new Error('bad thenable') } }", 'bad thenable'],
  ['a thenable whose then cannot be read', "return { get then() { throw new Error('bad getter') } }", 'bad getter'],
]) {
  test(`${what} in a handler is reported once, and nothing else suffers`, async (t) => {
    // What is thrown is told by a text of its own here: the object may refuse to be shown.
    const server = await launch(t, {
      worker: `(wsb, kit) => ({
        ...(${doing})(wsb, kit),
        onError(error, context) {
          let shown;
          try { shown = error instanceof Error ? error.message : String(error); } catch { shown = 'cannot be shown'; }
          kit.tell('error', { shown, context });
        },
      })`,
    });
    server.standard = true;
    const one = await server.connect();
    const other = await server.connect();
    one.send('before');
    one.send(`do:${code}`);
    one.send('after');
    other.send('untouched');
    const { shown, context } = await server.told.next('error');
    if (message !== undefined) assert.equal(shown, message);
    assert.deepEqual(context, { handler: 'handleTextMessage', socketId: one.id });
    await server.told.next('text', (event) => event.data === 'after');
    await server.told.next('text', (event) => event.data === 'untouched');
    assert.equal(server.told.of('error').length, 1);
  });
}

test('without onError an error goes to stderr with its stack', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      handleTextMessage(text) {
        if (text === 'string') throw 'just words';
        throw new Error('with a stack');
      },
    }),
  });
  const client = await server.connect();
  client.send('x');
  client.send('string');
  await until(() => server.stderr.includes('with a stack') && server.stderr.includes('just words'), 'both on stderr', undefined, () => server.note());
  assert.match(server.stderr, /with a stack[\s\S]*at .*worker\.cjs/);
  assert.match(server.stderr, /handleTextMessage/);
  assert.equal(server.ended, undefined);
});

test('an onError that throws does no harm either', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      handleTextMessage(text, id) {
        if (text !== 'fine') throw new Error('first');
        wsb.send(id, 'fine');
      },
      onError: () => {
        throw new Error('second');
      },
    }),
  });
  const client = await server.connect();
  client.send('x');
  client.send('x');
  client.send('fine');
  assert.equal(await client.next(), 'fine');
});

test('errors of handleClose, handleDrain and handleBinaryMessage are reported under their names', async (t) => {
  const server = await launch(t, {
    options: { maxBackpressure: 1 << 20, overflow: 'dropNewest' },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleBinaryMessage: () => { throw new Error('b'); },
      handleClose: async () => { throw new Error('c'); },
      handleDrain: () => { throw new Error('d'); },
    }),
  });
  server.standard = true;
  const client = await server.connect();
  client.send(Buffer.from('x'));
  assert.equal((await server.told.next('error')).handler, 'handleBinaryMessage');
  await client.run((wsb, id) => wsb.send(id, Buffer.alloc(8 << 20)));
  assert.equal((await server.told.next('error')).handler, 'handleDrain');
  await client.close();
  const { handler, socketId } = await server.told.next('error');
  assert.deepEqual([handler, socketId], ['handleClose', client.id]);
});

for (const value of ['undefined', 'null', '0', "'text'", 'false', '{}', '[]', '() => {}', 'Symbol()', '10n', '{ status: 500 }', '{ then: 7 }', 'NaN']) {
  test(`what a message handler returns is not looked at: ${value}`, async (t) => {
    const server = await asDoing(t);
    const client = await server.connect();
    client.send(`do:return ${value.startsWith('{') ? `(${value})` : value}`);
    client.send('next');
    await server.told.next('text');
    assert.deepEqual(server.told.of('error'), []);
  });
}

test('a message handler that waits is followed by the next event when its promise settles, not before', async (t) => {
  const server = await asDoing(t);
  const client = await server.connect();
  client.send("do:return new Promise((resolve) => setTimeout(() => { require('node:fs').writeSync(3, JSON.stringify({ type: 'settled' }) + '\\n'); resolve(); }, 20))");
  client.send('next');
  await server.told.next('text');
  assert.deepEqual(server.told.all.filter(({ type }) => type === 'settled' || type === 'text').map(({ type }) => type), ['settled', 'text']);
});

test('handlerTimeout: a handler that never settles is reported, and the next event goes on', async (t) => {
  const server = await asDoing(t, { options: { handlerTimeout: 200 } });
  const client = await server.connect();
  const began = Date.now();
  client.send('do:return new Promise(() => {})');
  client.send('next');
  const { error, handler, socketId } = await server.told.next('error');
  assert.ok(Date.now() - began >= 150);
  assert.equal(error.code, 'ERR_WSBROKER_HANDLER_TIMEOUT');
  assert.deepEqual([handler, socketId], ['handleTextMessage', client.id]);
  assert.equal((await server.told.next('text')).data, 'next');
  // Its window is given back: hundreds of them do not stop the connection.
  for (let i = 0; i < 3; i++) client.send('do:return new Promise(() => {})');
  client.send('still');
  assert.equal((await server.told.next('text')).data, 'still');
});

test('a promise that settles after its handlerTimeout changes nothing any more', async (t) => {
  const server = await asDoing(t, { options: { handlerTimeout: 100 } });
  const client = await server.connect();
  client.send("do:return new Promise((_, reject) => (globalThis.late = () => reject(new Error('late'))))");
  await server.told.next('error');
  client.send('do:globalThis.late()');
  client.send('fine');
  await server.told.next('text');
  assert.ok(server.told.of('error').length <= 2);
});

test('a handler that blocks its thread: connections of other workers do not feel it', async (t) => {
  const server = await asDoing(t, { options: { threads: 2 } });
  const blocked = await server.connect();
  const free = await server.connect();
  blocked.send("do:require('node:fs').writeSync(3, JSON.stringify({ type: 'blocking' }) + '\\n'); while (!require('node:fs').existsSync('go')); require('node:fs').writeSync(3, JSON.stringify({ type: 'freed' }) + '\\n')");
  await server.told.next('blocking');
  for (let i = 0; i < 20; i++) await free.fence();
  server.file('go', '');
  await server.told.next('freed');
});

test('replies of a slow handler are not held back until its batch ends', async (t) => {
  const server = await asDoing(t);
  const client = await server.connect();
  // Several handlers in one batch, each of which sends first and then works: what the first sent goes out before the last has run.
  const raw = await open(server);
  await client.run((wsb) => void (globalThis.wsb = wsb));
  const work = (mark, busy) => frame(TEXT, `do:globalThis.wsb.send(${client.id}, '${mark}'); ${busy}`);
  const [short, long] = ['const end = Date.now() + 50; while (Date.now() < end);', "while (!require('node:fs').existsSync('go'));"];
  raw.write(Buffer.concat([work('a', short), work('b', short), work('c', long), frame(TEXT, 'last')]));
  assert.deepEqual(await client.take(2), ['a', 'b'], 'while the batch still runs');
  assert.deepEqual(server.told.of('text'), []);
  server.file('go', '');
  assert.equal(await client.next(), 'c');
  await server.told.next('text');
});

test('replies of a worker that is behind leave many at a time', async (t) => {
  const server = await asDoing(t, { options: { ioThreads: 1 } });
  const client = await server.connect();
  const raw = await open(server);
  await client.run((wsb) => void (globalThis.wsb = wsb));
  const turns = async () => Number(/^wsbroker_io_thread_turn_duration_seconds_count\{thread="0"\} (\d+)/m.exec(await server.main((wsb) => wsb.metrics()))[1]);
  const MESSAGES = 200;
  const work = `do:globalThis.wsb.send(${client.id}, 'done'); const end = performance.now() + 0.4; while (performance.now() < end);`;
  // With the hold of a worker that keeps up, most replies have a turn of their own. Again if the machine was busy: then handlers
  // take longer, and fewer replies are there after the same time.
  for (let attempt = 1; ; attempt++) {
    const before = await turns();
    raw.write(Buffer.concat(Array.from({ length: MESSAGES }, () => frame(TEXT, work))));
    assert.deepEqual(await client.take(MESSAGES), Array(MESSAGES).fill('done'));
    const took = (await turns()) - before;
    if (took < MESSAGES / 3) break;
    assert.ok(attempt < 5, `${took} turns for ${MESSAGES} replies`);
  }
});

// handleStart and handleStop -------------------------------------------------------------------------------------------------

test('handleStart runs once in each worker before any event, and start waits for it', async (t) => {
  const server = await launch(t, {
    options: { threads: 3 },
    worker: (wsb, kit) => {
      let ready = false;
      return {
        async handleStart() {
          await new Promise((resolve) => setTimeout(resolve, 20));
          ready = true;
          kit.tell('started', { thread: require('node:worker_threads').threadId });
        },
        handleOpen: (id, ip, headers) => kit.tell('open', { id, tag: headers['x-tag'], ready }),
      };
    },
  });
  assert.equal(server.told.of('started').length, 3);
  server.standard = true;
  for (let i = 0; i < 3; i++) await server.connect();
  assert.deepEqual(server.told.of('open').map((event) => event.ready), [true, true, true]);
  await server.start();
  assert.equal(server.told.of('started').length, 3, 'not again for a second server');
});

for (const [what, body] of [['throws', "() => { throw new Error('no database') }"], ['rejects', "async () => { throw new Error('no database') }"]]) {
  test(`a handleStart that ${what} rejects start, its error as the cause`, async (t) => {
    const server = await launch(t, { start: false, worker: `() => ({ handleStart: ${body} })` });
    const error = await failure(server.start({ threads: 2 }), { code: /^ERR_WSBROKER_/ });
    assert.equal(error.remoteCause.message, 'no database');
  });
}

test('handleStop runs once in each worker after its last event; shutdown waits for it', async (t) => {
  const server = await launch(t, {
    options: { threads: 2 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      async handleStop() {
        await new Promise((resolve) => setTimeout(resolve, 20));
        kit.tell('stop', { thread: require('node:worker_threads').threadId });
      },
    }),
  });
  server.standard = true;
  for (let i = 0; i < 4; i++) await server.connect();
  await server.main((wsb, kit) => wsb.shutdown().then(() => kit.tell('down')));
  const order = server.told.all.map(({ type }) => type).filter((type) => ['close', 'stop', 'down'].includes(type));
  assert.deepEqual(order, ['close', 'close', 'close', 'close', 'stop', 'stop', 'down']);
  assert.equal(new Set(server.told.of('stop').map(({ thread }) => thread)).size, 2);
});

test('a handleStop that throws or never settles does not keep shutdown from ending', async (t) => {
  const server = await launch(t, {
    options: { threads: 2 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleStop() {
        const { threadId } = require('node:worker_threads');
        if (threadId % 2) throw new Error('stop failed');
        return new Promise(() => {});
      },
    }),
  });
  await server.main((wsb) => wsb.shutdown({ timeout: 3000 }).then(() => {}));
  const { error, handler } = await server.told.next('error');
  assert.deepEqual([error.message, handler], ['stop failed', 'handleStop']);
});

test('handlers are called as methods of what registered them', async (t) => {
  const server = await launch(t, { start: false });
  await server.main((wsb) => {
    class Chat {
      greeting = 'hello from a class';
      handleTextMessage(text, id) {
        wsb.send(id, this.greeting);
      }
    }
    wsb.registerWorkerThread(new Chat());
  });
  server.at = await server.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0' }));
  const client = await server.connect('', { id: false });
  client.send('x');
  assert.equal(await client.next(), 'hello from a class');
});

test('registerWorkerThread refuses what are no handlers, and names it', async (t) => {
  const server = await launch(t, { start: false });
  for (const [handlers, name] of [[null, 'handlers'], ['x', 'handlers'], [{ handleOpen: 1 }, 'handleOpen']]) {
    const error = await failure(server.main((wsb, kit, handlers) => void wsb.registerWorkerThread(handlers), handlers), {
      code: 'ERR_WSBROKER_INVALID_ARG_TYPE', type: 'TypeError',
    });
    assert.ok(error.message.includes(name), error.message);
  }
});
