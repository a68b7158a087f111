// A client that does not read: what happens to it, and that nothing happens to anybody else.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';
import { BINARY, CLOSE, frame, open, PING, PONG, TEXT } from './raw.mjs';

const MiB = 1 << 20;

/**
 * Sends blocks until the socket is over its limit for good: what the kernel's buffers take on the way does not count. Tells
 * what `send` said when the limit was passed, how many blocks were queued, and how much is buffered.
 */
const fillUp = (wsb, kit, id, block = 65536) =>
  new Promise((resolve) => {
    const bytes = Buffer.alloc(block);
    let count = 0;
    let said = 1;
    const push = () => {
      for (let i = 0; i < 16; i++) {
        bytes.writeUInt32BE(count, 0);
        const answer = wsb.send(id, bytes);
        if (answer !== 0) count++;
        if (answer === 1) continue;
        said = answer === -1 ? -1 : said;
        return settle(wsb.bufferedAmount(id), 0);
      }
      setImmediate(push);
    };
    // Nothing has moved for a while: the peer's window is shut.
    const settle = (before, calm) => {
      const buffered = wsb.bufferedAmount(id);
      if (!wsb.isOpen(id) || calm === 15) return resolve({ said, count, buffered });
      setTimeout(() => (buffered < before ? push() : settle(buffered, calm + 1)), 10);
    };
    push();
  });

async function neverReading(server) {
  const raw = await open(server);
  raw.socket.pause();
  const { id } = await server.told.next('open');
  return { raw, id };
}

/**
 * Forgets the drains of a filling that went over the limit and back on its way. Events of a socket come
 * in order: a drain that was due before this message has been told when the message is. Without it a
 * busy machine tells such a drain later, when the outbox has long been full again.
 */
async function forgetDrains(server, raw) {
  raw.write(frame(TEXT, 'behind the drains'));
  await server.told.next('text');
  server.told.skip('drain');
}

test("overflow: 'close' (default): over the limit is -1, and the socket is closed with 1013", async (t) => {
  const server = await launch(t, { options: { maxBackpressure: MiB, closeTimeout: 500 } });
  const { raw, id } = await neverReading(server);
  const { said } = await server.main(fillUp, id);
  assert.equal(said, -1);
  // The next message finds it over its limit.
  await server.main((wsb, kit, id) => wsb.send(id, 'one too many'), id);
  const close = await server.told.next('close');
  assert.deepEqual([close.id, close.code], [id, 1013]);
  assert.equal(await server.main((wsb, kit, id) => wsb.send(id, 'gone'), id), 0);
  raw.socket.resume();
  await raw.end();
});

test("overflow: 'dropNewest': what does not fit is dropped and said to be, the rest comes whole and in order", async (t) => {
  const server = await launch(t, { options: { maxBackpressure: MiB, overflow: 'dropNewest' } });
  const { raw, id } = await neverReading(server);
  const { said, count } = await server.main(fillUp, id);
  assert.equal(said, -1, 'the message that finds the outbox under the limit is queued whole');
  const dropped = await server.main((wsb, kit, id) => Array.from({ length: 5 }, () => wsb.send(id, 'does not fit')), id);
  assert.deepEqual(dropped, [0, 0, 0, 0, 0]);
  assert.equal(await server.main((wsb, kit, id) => wsb.isOpen(id), id), true);
  await forgetDrains(server, raw);
  raw.socket.resume();
  // Under half the limit again: a drain is told, and sends are taken again.
  assert.equal((await server.told.next('drain')).id, id);
  assert.equal(await server.main((wsb, kit, id) => wsb.send(id, 'fits again'), id), 1);
  assert.equal((await raw.frame(TEXT)).text, 'fits again');
  const blocks = raw.frames.filter((one) => one.opcode === BINARY).map((one) => one.payload.readUInt32BE(0));
  assert.deepEqual(blocks, Array.from({ length: count }, (_, n) => n));
});

test('a message that finds the outbox under the limit is queued whole, however large', async (t) => {
  const server = await launch(t, { options: { maxBackpressure: 1000 } });
  const client = await server.connect();
  await client.run((wsb, id) => wsb.send(id, Buffer.alloc(3 << 20, 5)));
  const got = await client.next();
  assert.equal(got.length, 3 << 20);
  assert.deepEqual(await client.fence(), []);
});

test('handleDrain is told once the outbox is at or below half of the limit again, with the token', async (t) => {
  const server = await launch(t, {
    options: { maxBackpressure: MiB, overflow: 'dropNewest' },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleDrain: (id, token) => kit.tell('drain', { id, token: token?.toString(), buffered: wsb.bufferedAmount(id) }),
    }),
  });
  const { raw, id } = await neverReading(server);
  await server.main((wsb, kit, id) => wsb.setToken(id, 'mine'), id);
  await server.main(fillUp, id);
  await forgetDrains(server, raw);
  raw.socket.resume();
  const drain = await server.told.next('drain');
  assert.deepEqual([drain.id, drain.token], [id, 'mine']);
  assert.ok(drain.buffered <= MiB / 2, `${drain.buffered} bytes`);
  raw.socket.pause();
  await server.main(fillUp, id);
  await forgetDrains(server, raw);
  raw.socket.resume();
  await server.told.next('drain');
});

test('close frames pass a full outbox', async (t) => {
  const server = await launch(t, { options: { maxBackpressure: MiB, overflow: 'dropNewest', closeTimeout: 60_000 } });
  const { raw, id } = await neverReading(server);
  await server.main(fillUp, id);
  await server.main((wsb, kit, id) => wsb.close(id, 4000, 'enough'), id);
  raw.socket.resume();
  const close = await raw.frame(CLOSE);
  assert.deepEqual([close.code, close.reason], [4000, 'enough']);
});

test('of the pongs for a client that does not read only the newest waits', async (t) => {
  const server = await launch(t, { options: { maxBackpressure: MiB, overflow: 'dropNewest' } });
  const { raw, id } = await neverReading(server);
  await server.main(fillUp, id);
  const before = await server.main((wsb, kit, id) => wsb.bufferedAmount(id), id);
  for (let i = 0; i < 2000; i++) raw.write(frame(PING, `ping ${i}`.padEnd(125)));
  raw.write(frame(TEXT, 'all asked'));
  await server.told.next('text');
  const after = await server.main((wsb, kit, id) => wsb.bufferedAmount(id), id);
  assert.ok(after - before < 1000, `${after - before} bytes for pongs`);
  raw.socket.resume();
  await until(() => raw.frames.some((one) => one.opcode === PONG && one.text.startsWith('ping 1999')), 'the newest pong');
  assert.ok(raw.frames.filter((one) => one.opcode === PONG).length < 50);
});

test('publishing to a channel with a subscriber that never reads: the others get everything, and calls return at once', async (t) => {
  const server = await launch(t, { options: { threads: 2, ioThreads: 2, maxBackpressure: MiB } });
  const { id } = await neverReading(server);
  const readers = [];
  for (let i = 0; i < 5; i++) readers.push(await server.connect());
  await server.main((wsb, kit, ids) => ids.forEach((one) => wsb.subscribe(one, 'all')), [id, ...readers.map((reader) => reader.id)]);
  const rounds = 400;
  const slowest = await server.main(async (wsb, kit, rounds) => {
    let slowest = 0;
    const block = Buffer.alloc(32 << 10);
    for (let round = 0; round < rounds; round++) {
      block.writeUInt32BE(round, 0);
      const began = performance.now();
      wsb.sendToChannel('all', block);
      slowest = Math.max(slowest, performance.now() - began);
      // in pace with the readers: they share the limit
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return slowest;
  }, rounds);
  // What waited for the subscriber would wait much longer; a thread that is not let run may be late.
  assert.ok(slowest < 10_000, `a call took ${slowest} ms`);
  for (const reader of readers) {
    const got = await reader.take(rounds);
    assert.deepEqual(got.map((bytes) => bytes.readUInt32BE(0)), Array.from({ length: rounds }, (_, n) => n));
  }
  const close = await server.told.next('close');
  assert.deepEqual([close.id, close.code], [id, 1013]);
});

test('maxSendMemory: the slowest socket is closed first, with 1013', async (t) => {
  const server = await launch(t, { options: { maxSendMemory: 8 * MiB, maxBackpressure: 64 * MiB, ioThreads: 1, closeTimeout: 500 } });
  const { id: slow } = await neverReading(server);
  const reader = await server.connect();
  const told = await server.main((wsb, kit, id) => new Promise((resolve) => {
    const block = Buffer.alloc(256 << 10);
    let sent = 0;
    const step = () => {
      for (let i = 0; i < 4; i++) {
        if (wsb.send(id, block) === 0 || sent > 400) return resolve({ sent, open: wsb.isOpen(id) });
        sent++;
      }
      setTimeout(step, 1);
    };
    step();
  }), slow);
  assert.ok(told.sent < 400, 'the bound was felt');
  const close = await server.told.next('close');
  assert.deepEqual([close.id, close.code], [slow, 1013]);
  assert.deepEqual(await reader.fence(), []);
});

test('maxReceiveMemory: of unfinished messages the largest is closed, with 1013', async (t) => {
  const server = await launch(t, { options: { maxReceiveMemory: 4 * MiB, maxPayload: 64 * MiB, ioThreads: 1 } });
  const small = await open(server);
  const { id: smallId } = await server.told.next('open');
  const large = await open(server);
  const { id: largeId } = await server.told.next('open');
  small.write(frame(BINARY, Buffer.alloc(200_000), { fin: false }));
  for (let i = 0; i < 40; i++) large.write(frame(i ? 0 : BINARY, Buffer.alloc(256 << 10), { fin: false }));
  const close = await server.told.next('close');
  assert.deepEqual([close.id, close.code], [largeId, 1013]);
  small.write(frame(0, 'x'));
  assert.equal((await server.told.next('binary')).id, smallId);
});

test('bufferedAmount grows while a client does not read and is 0 when it has caught up', async (t) => {
  const server = await launch(t, { options: { maxBackpressure: 64 * MiB } });
  const { raw, id } = await neverReading(server);
  await server.main((wsb, kit, id) => { for (let i = 0; i < 200; i++) wsb.send(id, Buffer.alloc(65536)); }, id);
  assert.ok((await server.main((wsb, kit, id) => wsb.bufferedAmount(id), id)) > MiB);
  raw.socket.resume();
  await until(() => server.main((wsb, kit, id) => wsb.bufferedAmount(id) === 0, id), 'an empty outbox');
});
