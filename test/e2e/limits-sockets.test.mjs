// What one socket may do: how fast it may send, how long it may live, how many channels it may be in, and what it misses when it is slow.
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
  // Silence begins with the last one.
  assert.deepEqual(server.told.all.map(({ type }) => type).slice(-4), ['text', 'text', 'text', 'text']);
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

// How many channels ------------------------------------------------------------------------------------------------------------

test('maxChannelsPerSocket: one more throws ERR_WSBROKER_LIMIT and adds nothing', async (t) => {
  const server = await launch(t, { options: { maxChannelsPerSocket: 2 } });
  const client = await server.connect();
  const outcome = await client.run((wsb, id) => {
    const attempt = (body) => {
      try {
        return body();
      } catch (error) {
        return [error.code, error instanceof wsb.WSBrokerError, error.message];
      }
    };
    return [
      wsb.subscribe(id, 'a'),
      wsb.subscribe(id, 'b'),
      wsb.subscribe(id, 'b'),
      attempt(() => wsb.subscribe(id, 'c')),
      wsb.unsubscribe(id, 'a'),
      attempt(() => wsb.subscribeMany(id, ['c', 'd'])),
      wsb.getSubscriptions(id).sort(),
      wsb.subscribe(id, 'c'),
      wsb.getSubscriptions(id).sort(),
    ];
  });
  const [a, b, again, refused, removed, many, after, added, last] = outcome;
  assert.deepEqual([a, b, again, removed, added], [true, true, false, true, true]);
  assert.deepEqual(refused.slice(0, 2), ['ERR_WSBROKER_LIMIT', true]);
  assert.match(refused[2], /^subscribe: .*\b2\b/);
  assert.deepEqual(many.slice(0, 2), ['ERR_WSBROKER_LIMIT', true]);
  assert.match(many[2], /^subscribeMany: /);
  assert.ok(!after.includes('d'), String(after));
  assert.deepEqual(last, ['b', 'c']);
});

test('maxChannelsPerSocket: copySubscriptions throws where a socket has no room', async (t) => {
  const server = await launch(t, { options: { maxChannelsPerSocket: 1 } });
  const client = await server.connect();
  const code = await client.run((wsb, id) => {
    wsb.subscribe(id, 'a');
    try {
      wsb.copySubscriptions('a', 'b');
    } catch (error) {
      return error.code;
    }
  });
  assert.equal(code, 'ERR_WSBROKER_LIMIT');
  assert.deepEqual(await client.run((wsb, id) => wsb.getSubscriptions(id)), ['a']);
});

test('maxChannelNameLength: a longer name throws, counted in bytes', async (t) => {
  const server = await launch(t, { options: { maxChannelNameLength: 4 } });
  const client = await server.connect();
  const outcome = await client.run((wsb, id) =>
    ['abcd', 'abcde', 'äö', 'äöü'].map((name) => {
      try {
        return wsb.subscribe(id, name);
      } catch (error) {
        return error.code;
      }
    }),
  );
  assert.deepEqual(outcome, [true, 'ERR_WSBROKER_LIMIT', true, 'ERR_WSBROKER_LIMIT']);
  // What asks, or sends, needs no limit: there cannot be such a channel.
  const asked = await client.run((wsb) => [wsb.subscriberCount('abcde'), wsb.sendToChannel('abcde', 'x'), wsb.unsubscribe(1, 'abcde')]);
  assert.deepEqual(asked, [0, 0, false]);
});

for (const [what, options, channels] of [
  ['maxChannelsPerSocket', { maxChannelsPerSocket: 2 }, ['a', 'b', 'c']],
  ['maxChannelNameLength', { maxChannelNameLength: 2 }, ['abc']],
]) {
  test(`${what}: a verdict with more is refused with 500 and reported`, async (t) => {
    const server = await launch(t, {
      options,
      worker: (wsb, kit) => ({ ...kit.standard(wsb), handleOpen: (id, ip, headers, { query }) => ({ channels: query.split(',') }) }),
    });
    assert.equal((await server.refused(`/?${channels.join(',')}`)).status, 500);
    const { error, handler } = await server.told.next('error');
    assert.deepEqual([error.code, handler], ['ERR_WSBROKER_LIMIT', 'handleOpen']);
    assert.equal(await server.main((wsb, kit, name) => wsb.subscriberCount(name), channels[0]), 0, 'nothing is left of it');
    await server.connect('/?a');
  });
}

// What it misses ---------------------------------------------------------------------------------------------------------------

test("overflow: 'dropOldest' keeps what is newest, whole and in order, and close frames pass", async (t) => {
  const server = await launch(t, { options: { maxBackpressure: 256 << 10, overflow: 'dropOldest' } });
  const raw = await open(server);
  const { id } = await server.told.next('open');
  raw.socket.pause();
  const count = 2000;
  const results = await server.main((wsb, kit, to, many) => {
    const seen = {};
    for (let n = 0; n < many; n++) {
      const outcome = wsb.send(to, `${n} ${'x'.repeat(16 << 10)}`);
      seen[outcome] = (seen[outcome] ?? 0) + 1;
    }
    return seen;
  }, id, count);
  assert.equal(results[0], undefined, 'a send that drops older ones is queued itself');
  await until(async () => (await stats(server)).commandBytes === 0, 'all of them to be taken');
  await server.main((wsb, kit, to) => void wsb.close(to, 4000), id);
  raw.socket.resume();
  assert.equal((await raw.frame(CLOSE)).code, 4000);
  const { dropped } = await stats(server);
  assert.ok(dropped.dropOldest > 0);
  const got = raw.frames.filter(({ opcode }) => opcode === TEXT);
  const numbers = got.map(({ text }) => Number(text.split(' ')[0]));
  assert.equal(numbers.at(-1), count - 1, 'the newest is there');
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  for (const { text } of got) assert.equal(text.length - text.indexOf(' '), (16 << 10) + 1, 'whole');
  assert.equal(numbers.length + dropped.dropOldest, count, 'each is sent or counted as dropped');
});

test("overflow: 'dropOldest' concerns publishes as well, and only the slow subscriber", async (t) => {
  const server = await launch(t, { options: { maxBackpressure: 128 << 10, overflow: 'dropOldest' } });
  const slow = await open(server);
  const { id } = await server.told.next('open');
  const quick = await server.connect();
  await server.main((wsb, kit, ids) => ids.forEach((one) => wsb.subscribe(one, 'room')), [id, quick.id]);
  slow.socket.pause();
  const count = 800;
  for (let from = 0; from < count; from += 8) {
    await server.main((wsb, kit, first) => {
      for (let n = first; n < first + 8; n++) wsb.sendToChannel('room', `${n} ${'x'.repeat(16 << 10)}`);
    }, from);
    await until(() => quick.messages.length === from + 8, 'the quick one to have them all');
  }
  assert.ok((await stats(server)).dropped.dropOldest > 0);
  slow.socket.resume();
  await until(() => slow.frames.some(({ text }) => text.startsWith(`${count - 1} `)), 'the newest');
  assert.ok(slow.frames.length < count);
  assert.ok(!slow.ended);
});
