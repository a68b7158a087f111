// What start() resolves to, as far as it is about its life: signal, await using, unref.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import net from 'node:net';
import { test } from 'node:test';

import { launch, onBun, runtime, until } from './harness.mjs';

const listens = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
  socket.on('connect', () => socket.destroy());
});

test('an aborted signal closes the server that start has resolved to, and no other', async (t) => {
  const server = await launch(t);
  const at = await server.main(async (wsb, kit, options) => {
    kit.state.controller = new AbortController();
    return kit.start({ ...options, signal: kit.state.controller.signal });
  }, server.defaults);
  const [here, there] = [await server.connect(), await server.connect('', { at })];
  await server.main((wsb, kit) => kit.state.controller.abort());
  assert.equal((await there.end()).code, 1001);
  await until(async () => !(await listens(at.port)), 'the address to be free');
  here.send('still here');
  assert.equal((await server.told.next('text')).data, 'still here');
  assert.equal(await server.main((wsb) => wsb.connectionCount()), 1);
});

test('a signal that is aborted while workers load rejects with its reason and leaves nothing', async (t) => {
  const server = await launch(t, {
    start: false,
    worker: (wsb, kit) => ({
      handleStart: () => {
        kit.tell('starting');
        return new Promise(() => {});
      },
    }),
  });
  await server.main((wsb, kit, options) => {
    kit.state.controller = new AbortController();
    kit.state.failed = kit.start({ ...options, signal: kit.state.controller.signal }).then(() => 'resolved', (reason) => reason);
  }, { ...server.defaults, ioThreads: 1, threads: 2 });
  await server.told.next('starting');
  await server.told.next('starting');
  assert.equal(await server.main((wsb, kit) => {
    kit.state.controller.abort('changed my mind');
    return kit.state.failed;
  }), 'changed my mind');
  await server.start({ workerPath: server.workerFile(() => ({ handleOpen() {} })), ioThreads: 2 });
  await server.connect('', { id: false });
});

test('a server is closed at the end of its scope', async (t) => {
  const server = await launch(t);
  const at = await server.main(async (wsb, kit, options) => {
    const one = await wsb.start(options);
    kit.state.disposing = () => one[Symbol.asyncDispose]();
    return { port: one.port, url: one.url };
  }, server.defaults);
  const client = await server.connect('', { at });
  await server.main((wsb, kit) => kit.state.disposing());
  assert.equal((await client.end()).code, 1001);
  assert.equal(await listens(at.port), false);
  // Where the runtime has the syntax.
  const syntax = 'async () => { await using server = await wsb.start(options); return server.port; }';
  const port = await server.main(async (wsb, kit, options, syntax) => {
    let scope;
    try {
      scope = new Function('wsb', 'options', `return (${syntax})()`);
    } catch {
      return undefined;
    }
    return scope(wsb, options);
  }, server.defaults, syntax);
  if (port !== undefined) assert.equal(await listens(port), false);
  const version = spawnSync(runtime, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim();
  assert.equal(port !== undefined, onBun || Number(version.split('.')[0]) >= 24, version);
});

test('a server that is unreferenced lets the process end, and referenced again it does not', async (t) => {
  const server = await launch(t);
  await server.connect();
  await server.main((wsb, kit) => {
    const [one] = kit.state.servers;
    if (one.unref() !== one || one.ref() !== one) throw new Error('each returns the server');
    kit.hold(false);
  });
  // Whatever would have let it end has happened by the next turn.
  assert.equal(await server.main((wsb) => wsb.connectionCount()), 1);
  await server.main((wsb, kit) => void kit.state.servers[0].unref());
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('the process stays for the servers that are left', async (t) => {
  const server = await launch(t);
  await server.start();
  await server.main(async (wsb, kit) => {
    const [one, two] = kit.state.servers;
    one.unref();
    kit.hold(false);
    kit.state.second = two;
  });
  assert.equal(await server.main(() => 'alive'), 'alive');
  await server.main((wsb, kit) => void kit.state.second.close());
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});
