// Async context: what a handler enters (AsyncLocalStorage) is seen by what it leads to, and by no other handler.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';
import { fixture } from '../helper/native-kit.mjs';

// In the handlers below `seen` is what was there when they began, and every one of them enters something of its own.

/** Handlers of all kinds. */
const worker = (wsb, kit) => {
  const { AsyncLocalStorage } = require('node:async_hooks');
  const als = new AsyncLocalStorage();
  const begin = (name, id, what) => {
    kit.tell('began', { name, id, what, seen: als.getStore() });
    als.enterWith(`${name} of ${id}`);
  };
  const later = (name, id) => kit.tell('later', { name, id, seen: als.getStore() });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    handleStart() {
      begin('handleStart', 0);
      return turn().then(() => later('handleStart', 0));
    },
    handleOpen(id) {
      begin('handleOpen', id);
    },
    async handleTextMessage(text, id) {
      if (text.startsWith('run:')) return kit.perform(JSON.parse(text.slice(4)), wsb, id);
      begin('handleTextMessage', id, text);
      if (text === 'sync') return;
      if (text === 'throw') throw new Error('on purpose');
      await turn();
      later('handleTextMessage', id);
      als.enterWith('behind an await');
    },
    handleBinaryMessage(bytes, id) {
      begin('handleBinaryMessage', id);
      setTimeout(() => later('handleBinaryMessage', id), 1);
      if (bytes[0] === 0) throw new Error('on purpose');
    },
    handleClose(id) {
      begin('handleClose', id);
    },
    handleDrain(id) {
      begin('handleDrain', id);
    },
    onError(error, { socketId }) {
      begin('onError', socketId);
    },
    handleStop() {
      begin('handleStop', 0);
    },
  };
};

for (const handlers of ['serial', 'concurrent']) {
  test(`every handler begins in a clean scope, and what it enters lasts for itself: ${handlers}`, async (t) => {
    const server = await launch(t, { worker, options: { handlers } });
    const clients = await Promise.all(Array.from({ length: 4 }, () => server.connect()));
    for (let round = 0; round < 10; round++) {
      for (const client of clients) {
        for (const text of ['sync', 'async', 'async', 'throw']) client.send(text);
        client.send(Buffer.from([round % 2]));
      }
      await until(() => server.told.of('began', ({ name }) => name === 'handleBinaryMessage').length === 4 * (round + 1), 'a round');
    }
    await clients[0].close();
    await server.told.next('began', ({ name }) => name === 'handleClose');
    const more = await server.connect();
    more.send('async');
    await until(() => server.told.of('later').length === 1 + 4 * 10 * 3 + 1, 'all continuations');
    const began = server.told.of('began');
    assert.deepEqual(began.filter(({ seen }) => seen !== undefined), [], 'somebody else was seen');
    assert.deepEqual(new Set(began.map(({ name }) => name)), new Set(['handleStart', 'handleOpen', 'handleTextMessage', 'handleBinaryMessage', 'handleClose', 'onError']));
    assert.deepEqual(server.told.of('later', ({ name, id, seen }) => seen !== `${name} of ${id}`), [], 'a continuation has lost its own');
    assert.equal(began.filter(({ name }) => name === 'onError').length, 4 * 10 + 4 * 5);
  });
}

test('the same after handlers have used `run`, and for a drain and an end', async (t) => {
  const server = await launch(t, {
    options: { maxBackpressure: 100_000, overflow: 'dropNewest' },
    worker: (wsb, kit) => {
      const { AsyncLocalStorage } = require('node:async_hooks');
      const als = new AsyncLocalStorage();
      const begin = (name) => {
        kit.tell('began', { name, seen: als.getStore() });
        als.enterWith(name);
      };
      return {
        handleTextMessage(text, id) {
          kit.tell('began', { name: 'handleTextMessage', seen: als.getStore() });
          als.run('run', () => kit.tell('inside', { seen: als.getStore() }));
          if (text !== 'flood') return;
          while (wsb.send(id, Buffer.alloc(50_000)) === 1);
        },
        handleDrain: () => begin('handleDrain'),
        handleClose: () => begin('handleClose'),
        handleStop: () => begin('handleStop'),
      };
    },
  });
  const client = await server.connect();
  client.ws.pause();
  client.send('flood');
  await server.told.next('inside');
  client.ws.resume();
  await server.told.next('began', ({ name }) => name === 'handleDrain');
  client.send('one');
  client.send('two');
  await until(() => server.told.of('inside').length === 3, 'the messages');
  await client.close();
  await server.told.next('began', ({ name }) => name === 'handleClose');
  await server.main((wsb) => wsb.shutdown());
  await server.told.next('began', ({ name }) => name === 'handleStop');
  assert.deepEqual(server.told.of('began', ({ seen }) => seen !== undefined), []);
  assert.deepEqual(server.told.of('inside', ({ seen }) => seen !== 'run'), []);
});

test('the scope is that of the registration', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => {
      const { AsyncLocalStorage } = require('node:async_hooks');
      const [als, other] = [new AsyncLocalStorage(), new AsyncLocalStorage()];
      als.run('boot', () => wsb.registerWorkerThread({
        handleTextMessage(text, id) {
          kit.tell('began', { seen: als.getStore(), other: other.getStore() });
          als.enterWith(text);
          other.enterWith(text);
          wsb.send(id, text);
        },
      }));
      return {};
    },
  });
  const clients = await Promise.all([server.connect(), server.connect()]);
  for (const client of clients) for (const text of ['a', 'b', 'c']) client.send(text);
  for (const client of clients) assert.deepEqual(await client.take(3), ['a', 'b', 'c']);
  assert.deepEqual(server.told.of('began').map(({ seen, other }) => [seen, other]), Array(6).fill(['boot', undefined]));
});

test('handlers of this thread, and what the thread does beside them', async (t) => {
  const server = await launch(t, {
    options: { threads: 0 },
    worker: (wsb, kit) => {
      const { AsyncLocalStorage } = require('node:async_hooks');
      globalThis.als = new AsyncLocalStorage();
      return {
        handleTextMessage(text, id) {
          kit.tell('began', { seen: als.getStore() });
          als.enterWith(text);
          setImmediate(() => wsb.send(id, String(als.getStore())));
        },
      };
    },
  });
  await server.main((wsb, kit) => {
    als.enterWith('the application');
    setInterval(() => kit.tell('tick', { seen: als.getStore() }), 1).unref();
  });
  const client = await server.connect();
  for (let i = 0; i < 20; i++) {
    client.send(`a${i}`);
    client.send(`b${i}`);
    assert.deepEqual(await client.take(2), [`a${i}`, `b${i}`]);
  }
  assert.deepEqual(server.told.of('began', ({ seen }) => seen !== undefined), []);
  await server.told.next('tick');
  assert.deepEqual(server.told.of('tick', ({ seen }) => seen !== 'the application'), []);
});

test('onWorker begins in the scope of its `start` each time', async (t) => {
  const server = await launch(t, { start: false });
  await server.main(async (wsb, kit, given) => {
    const { AsyncLocalStorage } = require('node:async_hooks');
    const als = new AsyncLocalStorage();
    for (const boot of ['first', 'second']) {
      const onWorker = ({ type }) => {
        kit.tell('worker', { type, boot, seen: als.getStore() });
        als.enterWith('somebody');
      };
      await als.run(boot, () => kit.start({ ...given, threads: 3, onWorker }));
    }
  }, server.defaults);
  await server.main((wsb) => wsb.shutdown());
  await until(() => server.told.of('worker').length === 3 + 2 * 3, 'all starts and ends');
  assert.deepEqual(server.told.of('worker', ({ boot, seen }) => seen !== boot), []);
});

test("the server helper's functions begin in the scope of its constructor", async (t) => {
  const server = await launch(t, { start: false });
  const at = await server.main(async (wsb, kit, file) => {
    const { AsyncLocalStorage } = require('node:async_hooks');
    const als = new AsyncLocalStorage();
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const enters = (name, does) => (given) => {
      kit.tell('began', { name, seen: als.getStore() });
      als.enterWith(name);
      return does(given);
    };
    const { helper } = als.run('boot', () => require(file).make({
      requireEncryption: true,
      authenticateFn: enters('authenticateFn', async ({ user }) => ({ userId: user })),
      handshakeFn: enters('handshakeFn', () => ({ serverPublicKey: 'key' })),
      clientConnectedFn: enters('clientConnectedFn', () => undefined),
      clientDisconnectedFn: enters('clientDisconnectedFn', () => undefined),
      validateRoomFn: enters('validateRoomFn', async ({ rooms }) => (await turn(), rooms)),
      outboundTransformer: enters('outboundTransformer', () => undefined),
      busStateFn: enters('busStateFn', () => undefined),
      messageHandler: enters('messageHandler', ({ clientId, message }) => {
        setImmediate(() => helper.sendToClient({ clientId, event: 'seen', data: `${message.event} ${als.getStore()}` }));
      }),
    }));
    kit.state.helper = helper;
    await helper.configure();
    return helper.getAddress();
  }, fixture);
  server.at = at;
  const clients = await Promise.all([1, 2, 3].map(() => server.connect('/ws', { id: false })));
  for (const client of clients) {
    client.send(JSON.stringify({ event: 'authenticate', data: { user: 'ada' } }));
    assert.equal(JSON.parse(await client.next()).event, 'connected');
  }
  for (const client of clients) {
    for (const event of ['a', 'b', 'c']) client.send(JSON.stringify({ event, data: 1 }));
    client.send(JSON.stringify({ event: 'join', data: { rooms: ['x'] } }));
  }
  for (const client of clients) {
    const seen = (await client.take(3)).map((text) => JSON.parse(text).data);
    assert.deepEqual(seen, ['a messageHandler', 'b messageHandler', 'c messageHandler']);
  }
  await until(() => server.told.of('began', ({ name }) => name === 'validateRoomFn').length === 3, 'the joins');
  await clients[0].close();
  await server.told.next('began', ({ name }) => name === 'clientDisconnectedFn');
  await server.main((wsb, kit) => kit.state.helper.shutdown());
  const began = server.told.of('began');
  assert.deepEqual(began.filter(({ seen }) => seen !== 'boot'), []);
  assert.deepEqual(new Set(began.map(({ name }) => name)), new Set([
    'authenticateFn', 'handshakeFn', 'clientConnectedFn', 'clientDisconnectedFn', 'validateRoomFn', 'outboundTransformer', 'busStateFn', 'messageHandler',
  ]));
});
