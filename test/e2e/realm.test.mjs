// The package in a context of `node:vm`, as test runners load it.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';

const fixture = createRequire(import.meta.url).resolve('./fixtures/realm.cjs');

/** A server process whose main thread has the package in a context of its own, as `realm`. */
async function inRealm(t) {
  const server = await launch(t, { start: false });
  await server.main((wsb, kit, file) => {
    const { realm } = require(file);
    globalThis.realm = realm();
    globalThis.own = globalThis.realm.require('wsbroker');
  }, fixture);
  return server;
}

test('errors are those of the realm that calls', async (t) => {
  const server = await inRealm(t);
  const told = await server.main(async () => {
    const { globals, require } = realm;
    const kinds = (error) => ({
      code: error.code,
      kinds: Object.keys(globals).filter((name) => error instanceof globals[name]),
      own: error instanceof own.WSBrokerError,
    });
    const thrown = (call) => {
      try {
        return call();
      } catch (error) {
        return kinds(error);
      }
    };
    const { Emitter } = require('wsbroker/emitter');
    const emitter = new Emitter({ redis: 'redis://127.0.0.1:1', timeout: 1 });
    const rejected = [
      await own.start({ bind: '203.0.113.77:0', workerPath: process.argv[1], threads: 0 }).catch(kinds),
      await emitter.publish('a', 'b').catch(kinds),
    ];
    await emitter.close();
    return [
      thrown(() => own.send('x', 'y')),
      thrown(() => own.close(1, 5)),
      thrown(() => own.send(1, 'x', { compres: true })),
      thrown(() => own.subscribeMany(1, new globals.Array(2))),
      thrown(() => own.send(1, 'x', { get compress() { throw new globals.RangeError('of the application'); } })),
      ...rejected,
    ];
  });
  const own = (code, kinds) => ({ code: `ERR_WSBROKER_${code}`, kinds, own: true });
  assert.deepEqual(told, [
    own('INVALID_ARG_TYPE', ['Error', 'TypeError']),
    own('INVALID_ARG_VALUE', ['Error', 'RangeError']),
    own('UNKNOWN_OPTION', ['Error']),
    own('INVALID_ARG_TYPE', ['Error', 'TypeError']),
    { kinds: ['Error', 'RangeError'], own: false },
    own('BIND', ['Error']),
    own('BUS_LOST', ['Error']),
  ]);
});

test('a server with its handlers on this thread works there, though `import()` and the timers of Node are missing', async (t) => {
  const server = await inRealm(t);
  server.file('handlers.cjs', `
    const { send, setToken } = require('wsbroker');
    module.exports = {
      handleOpen: () => ({ token: new Uint8Array([55]) }),
      async handleTextMessage(text, id, token) {
        await undefined;
        send(id, text + token);
      },
      handleBinaryMessage(bytes, id) {
        try {
          send(id, 7);
        } catch (error) {
          send(id, String(error instanceof TypeError));
        }
      },
    };
  `);
  const at = await server.main(async () => {
    const started = await own.start({ bind: '127.0.0.1:0', workerPath: './handlers.cjs', threads: 0, handlerTimeout: 50 });
    return { url: started.url };
  });
  const client = await server.connect('', { id: false, at });
  for (let i = 0; i < 100; i++) client.send(`message ${i} `);
  client.send(Buffer.from([1]));
  assert.deepEqual(await client.take(101), [...Array.from({ length: 100 }, (_, i) => `message ${i} 7`), 'true']);
  await client.close();
  await until(() => server.main(() => own.connectionCount() === 0), 'the connection to end');
  assert.equal(await server.main(async () => (await own.shutdown()) !== undefined && own.connectionCount()), 0);
});

test('a module that fails where `import()` is refused says why itself', async (t) => {
  const server = await inRealm(t);
  server.file('broken.cjs', "throw new RangeError('of the module');\n");
  const failed = await server.main(async () => {
    const error = await own.start({ bind: '127.0.0.1:0', workerPath: './broken.cjs', threads: 0 }).catch((reason) => reason);
    return [error.code, error.message, error.cause?.message];
  });
  assert.equal(failed[0], 'ERR_WSBROKER_WORKER_FAILED');
  assert.match(failed[1], /broken\.cjs failed to load: of the module$/);
  assert.equal(failed[2], 'of the module');
});
