// Limits on what comes in and on how long things may take.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';
import { BINARY, CLOSE, frame, open, PING, PONG, TEXT } from './raw.mjs';

test('maxPayload: a message of that size passes, a larger one ends the connection with 1009', async (t) => {
  const server = await launch(t, { options: { maxPayload: 1000 } });
  const client = await server.connect();
  client.send('x'.repeat(1000));
  assert.equal((await server.told.next('text')).data.length, 1000);
  client.send(Buffer.alloc(1001));
  assert.equal((await client.end()).code, 1009);
  const close = await server.told.next('close');
  assert.equal(close.code, 1009);
  assert.deepEqual(server.told.of('binary'), []);
});

test('maxPayload counts a fragmented message whole, and refuses at the header, before the bytes have come', async (t) => {
  const server = await launch(t, { options: { maxPayload: 1000 } });
  const parts = await open(server);
  parts.write(Buffer.concat([frame(TEXT, 'x'.repeat(600), { fin: false }), frame(0, 'x'.repeat(401))]));
  assert.equal((await parts.frame(CLOSE)).code, 1009);
  const header = await open(server);
  header.write(frame(BINARY, Buffer.alloc(100_000)).subarray(0, 14));
  assert.equal((await header.frame(CLOSE)).code, 1009);
});

test('by default 1 MiB passes and a byte more does not', async (t) => {
  const server = await launch(t, { worker: (wsb, kit) => ({ handleBinaryMessage: (bytes) => kit.tell('size', { size: bytes.length }) }) });
  const client = await server.connect();
  client.send(Buffer.alloc(1 << 20));
  assert.equal((await server.told.next('size')).size, 1 << 20);
  client.send(Buffer.alloc((1 << 20) + 1));
  assert.equal((await client.end()).code, 1009);
});

test('a ping is answered with its own payload, also between the fragments of a message', async (t) => {
  const server = await launch(t);
  const raw = await open(server);
  raw.write(Buffer.concat([frame(TEXT, 'one ', { fin: false }), frame(PING, 'are you there?'), frame(0, 'two', { fin: true })]));
  assert.equal((await raw.frame(PONG)).text, 'are you there?');
  assert.equal((await server.told.next('text')).data, 'one two');
  raw.write(frame(PONG, 'unasked'));
  raw.write(frame(PING));
  assert.equal((await raw.frame(PONG, 1)).text, '');
});

test('pings: after half of idleTimeout in silence the server asks; a client that answers lives on', async (t) => {
  const server = await launch(t, { options: { idleTimeout: 4000 } });
  const raw = await open(server);
  const began = Date.now();
  for (let i = 0; i < 3; i++) {
    const ping = await raw.frame(PING, i);
    raw.write(frame(PONG, ping.payload));
  }
  const took = Date.now() - began;
  assert.ok(took >= 5500, `three pings in ${took} ms`);
  raw.write(frame(TEXT, 'alive'));
  assert.equal((await server.told.next('text')).data, 'alive');
});

test('idleTimeout: a client that does not even answer pings is cut, and handleClose sees 1006', async (t) => {
  const server = await launch(t, { options: { idleTimeout: 3000 } });
  const other = await server.connect(); // answers pings by itself
  const raw = await open(server);
  const began = Date.now();
  const { id } = await server.told.next('open');
  await raw.frame(PING);
  await raw.end();
  const took = Date.now() - began;
  assert.ok(took >= 2900, `cut after ${took} ms`);
  const close = await server.told.next('close');
  assert.deepEqual([close.id, close.code], [id, 1006]);
  assert.equal(raw.frames.some((one) => one.opcode === CLOSE), false);
  assert.deepEqual(await other.fence(), []);
});

test('pings: false asks nobody, and silence is cut all the same', async (t) => {
  const server = await launch(t, { options: { idleTimeout: 500, pings: false } });
  const raw = await open(server);
  await raw.end();
  assert.deepEqual(raw.frames, []);
  assert.equal((await server.told.next('close')).code, 1006);
});

test('pingInterval: a silent client is asked, again and again, though nobody is cut', async (t) => {
  const server = await launch(t, { options: { pingInterval: 200, idleTimeout: 0 } });
  const raw = await open(server);
  const began = Date.now();
  await raw.frame(PING, 2);
  assert.ok(Date.now() - began >= 500);
  raw.write(frame(TEXT, 'alive'));
  assert.equal((await server.told.next('text')).data, 'alive');
});

test('pingInterval: 0 asks nobody', async (t) => {
  const server = await launch(t, { options: { pingInterval: 0, idleTimeout: 500 } });
  const raw = await open(server);
  await raw.end();
  assert.deepEqual(raw.frames, []);
});

test('any byte counts as a sign of life, also part of a frame', async (t) => {
  const server = await launch(t, { options: { idleTimeout: 3000, pings: false } });
  const raw = await open(server);
  const bytes = frame(TEXT, 'drops');
  const began = Date.now();
  for (const byte of bytes) {
    raw.write(Buffer.from([byte]));
    const next = Date.now() + 400;
    await until(() => Date.now() >= next, 'the next drop');
  }
  assert.ok(Date.now() - began > 4000);
  assert.equal((await server.told.next('text')).data, 'drops');
});

test('idleTimeout: 0 is off', async (t) => {
  const server = await launch(t, { options: { idleTimeout: 0 } });
  const raw = await open(server);
  raw.write(frame(TEXT, 'x'));
  await server.told.next('text');
  assert.deepEqual(raw.frames, []);
});

// The window towards JavaScript ------------------------------------------------------------------------------------------------

test('maxInFlight: a handler that does not settle stops the reading of its socket only, and nothing is lost', async (t) => {
  const server = await launch(t, {
    options: { maxInFlight: { messages: 8, bytes: 192 << 10 }, handlerTimeout: 0 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleBinaryMessage(bytes, id) {
        const n = bytes.readUInt32BE(0);
        kit.tell('got', { id, n });
        if (n === 0) return new Promise((resolve) => (globalThis.release = resolve));
      },
    }),
  });
  server.standard = true;
  const flooder = await server.connect();
  const other = await server.connect();
  // What waits at the client goes to the system in one call. Wine refuses one with more than 1,024 buffers.
  const total = 1000;
  const block = (n) => {
    const bytes = Buffer.alloc(48 << 10);
    bytes.writeUInt32BE(n, 0);
    return bytes;
  };
  for (let n = 0; n < total; n++) flooder.send(block(n));
  await server.told.next('got');
  // What the kernel cannot take stays with the client: 48 MB do not fit into two socket buffers.
  await other.fence();
  let still = 0;
  let last = -1;
  await until(async () => {
    await other.fence();
    const now = flooder.ws.bufferedAmount;
    still = now === last ? still + 1 : 0;
    last = now;
    return still >= 5;
  }, 'the flood to stand still');
  assert.ok(last > 1 << 20, `${last} bytes wait at the client`);
  assert.equal(server.told.of('got').length, 1);
  await other.run(() => globalThis.release());
  await until(() => {
    assert.equal(flooder.ended, undefined, 'the flooder has stayed');
    return server.told.of('got').length === total;
  }, 'every message');
  assert.deepEqual(server.told.of('got').map((event) => event.n), Array.from({ length: total }, (_, n) => n));
});

test('maxInFlight: a message larger than the window passes when nothing else holds it', async (t) => {
  const server = await launch(t, {
    options: { maxInFlight: { messages: 4, bytes: 1000, workerBytes: 2000 }, maxPayload: 4 << 20 },
    worker: (wsb, kit) => ({ handleBinaryMessage: (bytes) => kit.tell('size', { size: bytes.length }) }),
  });
  const client = await server.connect();
  const sizes = [10, 100_000, 20, 3 << 20, 30, 5000];
  for (const size of sizes) client.send(Buffer.alloc(size));
  for (const size of sizes) assert.equal((await server.told.next('size')).size, size);
});

test('the idle clock stands still while we ourselves do not read', async (t) => {
  const server = await launch(t, {
    options: { maxInFlight: { messages: 2, bytes: 4096 }, idleTimeout: 2500, handlerTimeout: 0 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleBinaryMessage(bytes, id) {
        kit.tell('got', { id, n: bytes[0] });
        if (bytes[0] === 0) return new Promise((resolve) => (globalThis.release = resolve));
      },
    }),
  });
  server.standard = true;
  const paused = await open(server); // never answers a ping
  const other = await server.connect();
  for (let n = 0; n < 20; n++) paused.write(frame(BINARY, Buffer.alloc(2048, n)));
  await server.told.next('got');
  const began = Date.now();
  await until(() => Date.now() - began > 5000, 'twice the idle timeout');
  assert.equal(paused.ended, false, 'not cut as idle');
  await other.run(() => globalThis.release());
  await until(() => server.told.of('got').length === 20, 'every message');
  assert.deepEqual(server.told.of('got').map((event) => event.n), Array.from({ length: 20 }, (_, n) => n));
});

test('close events need no room in the window', async (t) => {
  const server = await launch(t, {
    options: { maxInFlight: { messages: 1, bytes: 1024, workerBytes: 1024 }, handlerTimeout: 0 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleBinaryMessage: () => (kit.tell('got'), new Promise((resolve) => (globalThis.release = resolve))),
    }),
  });
  server.standard = true;
  const holder = await server.connect();
  const leaver = await server.connect();
  holder.send(Buffer.alloc(4096));
  await server.told.next('got');
  await server.main((wsb, kit, id) => void wsb.terminate(id), leaver.id);
  assert.equal((await server.told.next('close')).id, leaver.id);
});
