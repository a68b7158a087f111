// How connections end, and how the whole ends.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';

import { failure, launch, onWindows, until } from './harness.mjs';
import { BINARY, CLOSE, closeFrame, frame, open, request, tcp, TEXT } from './raw.mjs';

test('the close frame of a client is answered with its own code, and the connection is closed by the server', async (t) => {
  const server = await launch(t);
  for (const [bytes, code, seen] of [
    [closeFrame(1000), 1000, 1000],
    [closeFrame(4321, 'why not'), 4321, 4321],
    [frame(CLOSE), undefined, 1005],
  ]) {
    const raw = await open(server);
    raw.write(bytes);
    assert.equal((await raw.frame(CLOSE)).code, code);
    await raw.end();
    assert.equal((await server.told.next('close')).code, seen);
  }
});

for (const [what, bytes, code] of [
  ['an unmasked frame', frame(TEXT, 'x', { mask: false }), 1002],
  ['a reserved opcode', frame(3, 'x'), 1002],
  ['a reserved bit', frame(TEXT, 'x', { rsv: 4 }), 1002],
  ['a continuation of nothing', frame(0, 'x'), 1002],
  ['a fragmented ping', frame(9, 'x', { fin: false }), 1002],
  ['a ping over 125 bytes', frame(9, 'x'.repeat(126)), 1002],
  ['invalid UTF-8', frame(TEXT, Buffer.from([0xc3, 0x28])), 1007],
  ['a close code that may not be sent', closeFrame(1005), 1002],
  ['a close frame of one byte', frame(CLOSE, Buffer.from([3])), 1002],
  ['a close reason that is no UTF-8', frame(CLOSE, Buffer.from([0x0f, 0xa0, 0xff])), 1007],
]) {
  test(`${what} ends the connection with ${code}, and only this one`, async (t) => {
    const server = await launch(t);
    const other = await server.connect();
    const raw = await open(server);
    const { id } = await server.told.next('open');
    raw.write(Buffer.concat([frame(TEXT, 'before'), bytes, frame(TEXT, 'after')]));
    assert.equal((await raw.frame(CLOSE)).code, code);
    await raw.end();
    const close = await server.told.next('close');
    assert.deepEqual([close.id, close.code], [id, code]);
    assert.deepEqual(server.told.of('text').map((event) => event.data), ['before']);
    assert.deepEqual(await other.fence(), []);
  });
}

test('a client that only closes its TCP connection is seen as 1006', async (t) => {
  const server = await launch(t);
  const raw = await open(server);
  raw.socket.end();
  assert.equal((await server.told.next('close')).code, 1006);
  await raw.end();
});

test('a client that resets its TCP connection is seen as 1006', async (t) => {
  const server = await launch(t);
  const raw = await open(server);
  raw.socket.resetAndDestroy?.() ?? raw.destroy();
  assert.equal((await server.told.next('close')).code, 1006);
});

test('closeTimeout: a client that does not answer our close frame is cut; meanwhile what it sends is discarded', async (t) => {
  const server = await launch(t, { options: { closeTimeout: 300 } });
  const raw = await open(server);
  const { id } = await server.told.next('open');
  const began = Date.now();
  await server.main((wsb, kit, id) => wsb.close(id, 4000, 'go'), id);
  const close = await raw.frame(CLOSE);
  assert.deepEqual([close.code, close.reason], [4000, 'go']);
  for (let i = 0; i < 10; i++) raw.write(frame(TEXT, 'nobody hears this'));
  await raw.end();
  const took = Date.now() - began;
  assert.ok(took >= 250, `cut after ${took} ms`);
  const told = await server.told.next('close');
  assert.equal(told.id, id);
  assert.deepEqual(server.told.of('text'), []);
});

for (const [how, code, close] of [
  ['close', 4000, (wsb, kit, id) => void wsb.close(id, 4000)],
  ['server.close()', 1001, (wsb, kit) => void kit.state.servers[0].close()],
  ['shutdown', 1001, (wsb) => void wsb.shutdown({ timeout: 30_000 })],
]) {
  test(`what was sent before ${how} arrives, though it takes a client longer than closeTimeout`, async (t) => {
    // 64 KiB every so many ms. Windows tells progress only when a full send buffer has room again, which takes longer.
    const [closeTimeout, pace] = onWindows ? [4000, 20] : [1500, 10];
    const server = await launch(t, { options: { closeTimeout, maxBackpressure: 64 << 20 } });
    const raw = await open(server);
    const { id } = await server.told.next('open');
    const began = Date.now();
    raw.socket.on('data', () => {
      raw.socket.pause();
      setTimeout(() => raw.socket.resume(), pace);
    });
    await server.main((wsb, kit, id) => {
      for (let i = 0; i < 512; i++) wsb.send(id, Buffer.alloc(65_536, i));
    }, id);
    await server.main(close, id);
    assert.equal((await raw.frame(CLOSE)).code, code);
    const messages = raw.frames.filter((one) => one.opcode === BINARY);
    assert.deepEqual(messages.map((one) => one.payload[0]), Array.from({ length: 512 }, (_, i) => i % 256));
    assert.ok(Date.now() - began > 2 * closeTimeout, 'it took longer');
    raw.write(closeFrame(code));
    assert.equal((await server.told.next('close')).code, code);
  });
}

test('a client that answers our close frame is done with at once', async (t) => {
  const server = await launch(t, { options: { closeTimeout: 60_000 } });
  const client = await server.connect();
  await client.run((wsb, id) => void wsb.close(id, 4001, 'ours'));
  assert.deepEqual(await client.end(), { code: 4001, reason: 'ours' });
  const close = await server.told.next('close');
  assert.deepEqual([close.code, close.reason], [4001, 'ours']);
});

test('calls in handleClose: the id is gone there, others can be reached', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleClose(id) {
        kit.tell('close', { id, sent: wsb.send(id, 'x'), subscribed: wsb.subscribe(id, 'c'), left: wsb.sendToChannel('room', `${id} left`) });
      },
    }),
  });
  server.standard = true;
  const leaver = await server.connect();
  const stayer = await server.connect();
  await server.main((wsb, kit, ids) => ids.forEach((id) => wsb.subscribe(id, 'room')), [leaver.id, stayer.id]);
  await leaver.close();
  const { sent, subscribed, left } = await server.told.next('close');
  assert.deepEqual([sent, subscribed, left], [0, false, 1]);
  assert.equal(await stayer.next(), `${leaver.id} left`);
});

// The server object and shutdown ---------------------------------------------------------------------------------------------

test('server.close() closes its own connections with 1001 and leaves other servers alone', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const second = await server.start();
  const here = await server.connect();
  const there = await server.connect('', { at: second });
  await server.main((wsb, kit) => kit.state.servers[0].close());
  assert.equal((await here.end()).code, 1001);
  const close = await server.told.next('close');
  assert.deepEqual([close.id, close.code], [here.id, 1001]);
  await assert.rejects(tcp(server), /ECONNREFUSED/);
  assert.deepEqual(await there.fence(), []);
  await server.main((wsb, kit) => kit.state.servers[0].close());
});

test('after server.close() its address can be used again', async (t) => {
  const server = await launch(t);
  const bind = `127.0.0.1:${server.port}`;
  for (let i = 0; i < 3; i++) {
    const client = await server.connect();
    await server.main((wsb, kit) => kit.state.servers.at(-1).close());
    await client.end();
    await server.start({ bind });
  }
  await server.connect();
});

test('shutdown closes everything with 1001, runs every handleClose and handleStop, and tells the counts', async (t) => {
  const server = await launch(t, {
    options: { threads: 2 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleStop: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        kit.tell('stopped');
      },
    }),
  });
  server.standard = true;
  const clients = [];
  for (let i = 0; i < 6; i++) clients.push(await server.connect());
  const report = await server.main((wsb) => wsb.shutdown());
  for (const client of clients) assert.equal((await client.end()).code, 1001);
  assert.deepEqual(server.told.of('close').map((event) => [event.id, event.code]).sort((a, b) => a[0] - b[0]), clients.map(({ id }) => [id, 1001]));
  assert.equal(server.told.of('stopped').length, 2);
  assert.deepEqual([report.closed, report.terminated], [6, 0]);
  const order = server.told.all.map((event) => event.type);
  assert.ok(order.lastIndexOf('close') < order.indexOf('stopped'), 'handleStop comes last');
  await assert.rejects(tcp(server), /ECONNREFUSED/);
  await server.main((wsb, kit) => kit.hold(false));
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('shutdown takes a code', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await server.main((wsb) => wsb.shutdown({ code: 4200 }).then(() => {}));
  assert.equal((await client.end()).code, 4200);
});

test('shutdown cuts clients that do not answer within its timeout', async (t) => {
  const server = await launch(t, { options: { closeTimeout: 60_000 } });
  const raw = await open(server);
  await server.told.next('open');
  const report = await server.main((wsb) => wsb.shutdown({ timeout: 1500 }));
  assert.deepEqual([report.closed, report.terminated], [0, 1]);
  await raw.end();
  assert.equal(server.told.of('close').length, 1);
});

test('shutdown is refused with wrong options', async (t) => {
  const server = await launch(t);
  for (const [options, name] of [[{ code: 1 }, 'code'], [{ timeout: 'soon' }, 'timeout'], [{ timeOut: 1 }, 'timeout'], [7, 'options']]) {
    const error = await failure(server.main((wsb, kit, options) => wsb.shutdown(options), options), { code: /^ERR_WSBROKER_/ });
    assert.ok(error.message.includes(name), error.message);
  }
});

test('shutdown twice, and shutdown before any start, are harmless', async (t) => {
  const server = await launch(t, { start: false });
  await server.main((wsb) => wsb.shutdown().then(() => {}));
  await server.start();
  const client = await server.connect();
  await server.main((wsb) => Promise.all([wsb.shutdown(), wsb.shutdown()]).then(() => {}));
  assert.equal((await client.end()).code, 1001);
  await server.main((wsb) => wsb.shutdown().then(() => {}));
});

test('after shutdown the process may start again', async (t) => {
  const server = await launch(t);
  for (let round = 0; round < 3; round++) {
    const client = await server.connect();
    await client.run((wsb, id) => void wsb.subscribe(id, 'room'));
    await server.main((wsb) => wsb.shutdown().then(() => {}));
    await client.end();
    assert.deepEqual(await server.main((wsb) => [wsb.connectionCount(), wsb.subscriberCount('room')]), [0, 0]);
    server.at = await server.start();
  }
  assert.ok((await server.connect()).id > 0);
});

for (const [what, threads] of [['with workers', 2], ['on the calling thread', 0]]) {
  test(`a running server keeps the process alive; after shutdown it ends by itself (${what})`, async (t) => {
    const server = await launch(t, { options: { threads } });
    await server.main((wsb, kit) => kit.hold(false));
    const client = await server.connect();
    client.send('still alive?');
    await server.told.next('text');
    await client.close();
    // Nothing but the server holds it now. It answers after a while in which a process without reason to live would end.
    const again = await server.connect();
    assert.ok(again.id > client.id);
    await server.main((wsb) => void wsb.shutdown());
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
  });
}

test('server.close() of the last server lets the process end only after shutdown, or by itself: never hangs', async (t) => {
  const server = await launch(t);
  await server.main(async (wsb, kit) => {
    await kit.state.servers[0].close();
    kit.hold(false);
    void wsb.shutdown();
  });
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('a start that failed leaves nothing that keeps the process alive', async (t) => {
  const server = await launch(t, { start: false });
  const workerPath = server.file('bad.cjs', `throw new Error('no');\n`);
  await failure(server.start({ workerPath }));
  await failure(server.start({ bind: '127.0.0.1:99999' }));
  await server.main((wsb, kit) => kit.hold(false));
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('loading the package without using it keeps nothing alive', async (t) => {
  const server = await launch(t, { start: false });
  await server.main((wsb, kit) => kit.hold(false));
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('shutdown while messages stream in loses no handleClose and ends', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const clients = [];
  for (let i = 0; i < 20; i++) clients.push(await server.connect());
  const pump = setInterval(() => {
    for (const client of clients) if (client.ws.readyState === 1) client.send('x');
  }, 1);
  t.after(() => clearInterval(pump));
  await server.told.next('text');
  await server.main((wsb) => wsb.shutdown({ timeout: 15_000 }).then(() => {}));
  assert.deepEqual(
    server.told.of('close').map((event) => event.id).sort((a, b) => a - b),
    clients.map((client) => client.id),
  );
});

test('process.exit in the middle of traffic ends the process with its own status', async (t) => {
  const server = await launch(t, { options: { threads: 2 }, clean: false });
  const clients = [];
  for (let i = 0; i < 10; i++) clients.push(await server.connect());
  const pump = setInterval(() => {
    for (const client of clients) if (client.ws.readyState === 1) client.send('x');
  }, 1);
  t.after(() => clearInterval(pump));
  await server.told.next('text');
  await server.main(() => void setTimeout(() => process.exit(5), 20));
  assert.deepEqual(await server.exit(), { code: 5, signal: null });
  for (const client of clients) await client.end();
});

test('a connection attempt during shutdown gets no hanging socket', async (t) => {
  const server = await launch(t, { options: { closeTimeout: 60_000 } });
  const silent = await open(server);
  await server.told.next('open');
  const stopping = server.main((wsb) => wsb.shutdown({ timeout: 500 }).then(() => {}));
  await silent.frame(CLOSE);
  const late = net.connect({ host: '127.0.0.1', port: server.port });
  t.after(() => late.destroy());
  let ended = false;
  late.on('error', () => (ended = true)).on('close', () => (ended = true)).on('data', () => {});
  late.on('connect', () => late.write(request()));
  await stopping;
  await until(() => ended, 'the late connection to end');
});
