// What one socket may do: how fast it may send, and how long it may live.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';
import { CLOSE, frame, open, PING, TEXT } from './raw.mjs';

const stats = (server) => server.main((wsb) => wsb.stats());

// How fast ---------------------------------------------------------------------------------------------------------------------

test('rateLimit: above it reading pauses, nothing is lost, and others are not concerned', async (t) => {
  const server = await launch(t, { options: { rateLimit: { messages: 50, burst: 10 } } });
  const client = await server.connect();
  const other = await server.connect();
  const began = Date.now();
  for (let n = 0; n < 60; n++) client.send(`${n}`);
  await until(() => server.told.of('text').length >= 10, 'the burst');
  assert.deepEqual(await other.fence(), []);
  await until(() => server.told.of('text').length === 60, 'every message');
  // 10 at once and 50 at 50 a second. The first token may be there at once.
  assert.ok(Date.now() - began >= 900, `${Date.now() - began} ms`);
  assert.deepEqual(server.told.of('text').map(({ data }) => data), Array.from({ length: 60 }, (_, n) => `${n}`));
  assert.equal(client.ended, undefined);
  assert.equal((await stats(server)).closes.rateLimit, 0);
});

test("rateLimit: action: 'close' closes with 1008", async (t) => {
  const server = await launch(t, { options: { rateLimit: { messages: 5, action: 'close' } } });
  const slow = await server.connect();
  for (let n = 0; n < 4; n++) slow.send('x');
  const fast = await server.connect();
  for (let n = 0; n < 20; n++) fast.send('x');
  assert.equal((await fast.end()).code, 1008);
  const { id, code } = await server.told.next('close');
  assert.deepEqual([id, code], [fast.id, 1008]);
  assert.equal(slow.ended, undefined);
  assert.equal((await stats(server)).closes.rateLimit, 1);
});

test('rateLimit: bytes count too, and a message larger than the bucket passes in its time', async (t) => {
  const server = await launch(t, { options: { rateLimit: { bytes: 100_000 } } });
  const client = await server.connect();
  const began = Date.now();
  for (let n = 0; n < 3; n++) client.send(Buffer.alloc(90_000));
  await until(() => server.told.of('binary').length === 3, 'every message');
  assert.ok(Date.now() - began >= 700, `${Date.now() - began} ms for 270,000 bytes at 100,000 a second`);
});

test('rateLimit: pings count against floods', async (t) => {
  const server = await launch(t, { options: { rateLimit: { messages: 10, action: 'close' } } });
  const raw = await open(server);
  for (let n = 0; n < 30; n++) raw.write(frame(PING, `${n}`));
  assert.equal((await raw.frame(CLOSE)).code, 1008);
});

test('rateLimit: what waits because of it is no silence', async (t) => {
  const server = await launch(t, { options: { rateLimit: { messages: 2, burst: 1 }, idleTimeout: 400, pings: false } });
  const raw = await open(server);
  for (let n = 0; n < 4; n++) raw.write(frame(TEXT, `${n}`));
  await until(() => server.told.of('text').length === 4, 'every message');
  assert.equal(raw.ended, false);
});

// How long ---------------------------------------------------------------------------------------------------------------------

test('maxLifetime: a connection is closed with 1012, each at a time of its own', async (t) => {
  const server = await launch(t, { options: { maxLifetime: 1000 } });
  const began = Date.now();
  const clients = [];
  for (let n = 0; n < 20; n++) clients.push(await server.connect());
  const opened = Date.now();
  const ends = await Promise.all(clients.map(async (client) => ({ ...(await client.end()), at: Date.now() })));
  for (const { code, at } of ends) {
    assert.equal(code, 1012);
    assert.ok(at - began >= 890, `not before 90 % of it: ${at - began} ms`);
  }
  const times = ends.map(({ at }) => at).sort((a, b) => a - b);
  // By chance all 20 are within 10 ms about once in 10^18 runs.
  assert.ok(times.at(-1) - times[0] > 10 || opened - began > 100, `all within ${times.at(-1) - times[0]} ms`);
  const { closes } = await until(async () => {
    const all = await stats(server);
    return all.closed === 20 && all;
  }, 'all to be counted');
  assert.equal(closes.maxLifetime, 20);
});

test('maxLifetime: is off by default, and for servers without it', async (t) => {
  const server = await launch(t, { options: { maxLifetime: 300 } });
  const other = await server.start({ maxLifetime: 0 });
  const mortal = await server.connect();
  const immortal = await server.connect('', { at: other });
  assert.equal((await mortal.end()).code, 1012);
  assert.deepEqual(await immortal.fence(), []);
});
