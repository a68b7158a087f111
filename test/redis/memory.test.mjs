// What the bus costs: channels by the hundred thousand that come and go, and more than anybody can take.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from '../e2e/harness.mjs';
import { startRedis } from './redis.mjs';

const MiB = 2 ** 20;
const full = process.env.REDIS_TESTS === 'full';
/** The larger one with REDIS_TESTS=full; each test says which it was. */
const sized = (usual, more) => (full ? more : usual);
const note = (t, text) => t.diagnostic(full ? text : `${text} (REDIS_TESTS=full: more)`);

async function instance(t, redis) {
  const server = await launch(t, { start: false });
  const cluster = { redis: redis.url, required: true };
  server.at = await server.main((wsb, kit, given) => kit.start({ ...given, maxBackpressure: 2 ** 20, overflow: 'dropNewest' }), { ...server.defaults, cluster });
  server.standard = true;
  return server;
}

const bus = async (server) => (await server.main((wsb) => wsb.stats())).bus;
/** Resident, without JavaScript's own heap: V8 lets its young generation grow by 25 MiB where many short strings are made, and keeps it. */
const memory = (server) => server.main(() => {
  globalThis.gc?.();
  const { rss, heapTotal } = process.memoryUsage();
  return process.versions.bun === undefined ? rss - heapTotal : rss;
});

test('a hundred thousand channels leave no memory and no subscription behind', { timeout: 120_000 }, async (t) => {
  const CHANNELS = 100_000;
  const redis = await startRedis(t);
  const server = await instance(t, redis);
  const client = await server.connect();
  const after = [];
  let most = 0;
  const rounds = 8;
  for (let round = 0; round < rounds; round++) {
    await client.run((wsb, id, count) => {
      for (let i = 0; i < count; i++) wsb.subscribe(id, `channel ${i}`);
    }, CHANNELS);
    assert.equal(await server.main((wsb, kit, last) => wsb.listening(last), `channel ${CHANNELS - 1}`), true);
    await until(async () => (await redis.count('pubsub_channels')) === CHANNELS + 2, 'Redis knows all of them, and the two notes come on');
    most = Math.max(most, await memory(server));
    await client.run((wsb, id) => void wsb.unsubscribeAll(id));
    await until(async () => (await bus(server)).channels === 0, 'none is listened to');
    await until(async () => (await redis.count('pubsub_channels')) === 2, 'Redis knows that');
    after.push(await memory(server));
  }
  // How much of it the allocators keep changes from round to round; what leaks only grows.
  const growth = Math.min(...after.slice(-3)) - Math.min(...after.slice(0, 3));
  t.diagnostic(`${rounds} rounds; at most ${Math.round(most / MiB)} MiB; after each round ${after.map((bytes) => Math.round(bytes / MiB)).join(' ')} MiB`);
  assert.ok(growth < 32 * MiB, `${Math.round(growth / MiB)} MiB more than after the first rounds`);
});

test('more than anybody can take costs neither instance its memory', { timeout: 180_000 }, async (t) => {
  const SIZE = 10_000;
  const MESSAGES = sized(30_000, 300_000);
  const redis = await startRedis(t);
  const [from, to] = await Promise.all([instance(t, redis), instance(t, redis)]);
  const [reader, laggard] = [await to.connect(), await to.connect()];
  for (const client of [reader, laggard]) await client.run((wsb, id) => wsb.subscribe(id, 'flood'));
  assert.equal(await to.main((wsb) => wsb.listening('flood')), true);
  // From here on every number counts.
  await from.main((wsb) => void wsb.sendToChannel('flood', 'first'));
  await until(async () => (await bus(to)).received === 1, 'the first message');
  // What it gets is not kept here.
  reader.ws.removeAllListeners('message');
  reader.ws.on('message', () => {});
  // It never reads again.
  laggard.ws._socket.pause();
  const before = { from: await memory(from), to: await memory(to) };
  let over = false;
  const highest = { ...before };
  const watch = (async () => {
    while (!over) {
      for (const [name, server] of [['from', from], ['to', to]]) highest[name] = Math.max(highest[name], await memory(server));
    }
  })();
  let published = 1;
  const flood = async (messages) => {
    await from.main(async (wsb, kit, count, size) => {
      const message = 'x'.repeat(size);
      for (let i = 0; i < count; i++) {
        wsb.sendToChannel('flood', message);
        // As fast as the bus takes it, and a little faster: what it drops is known.
        while (i % 100 === 0 && wsb.stats().bus.waiting > 2 ** 20) await new Promise(setImmediate);
      }
    }, messages, SIZE);
    published += messages;
  };
  const arrived = () => until(async () => {
    // A later one shows what is missing.
    await from.main((wsb) => void wsb.sendToChannel('flood', 'later'));
    published += 1;
    const { received, missed } = await bus(to);
    return received + missed >= published - 1;
  }, 'the end of the flood', 60_000);
  const refused = async () => (await to.main((wsb) => wsb.stats())).dropped.dropNewest;
  const ENOUGH = MESSAGES / 10;
  await flood(MESSAGES);
  await arrived();
  // How much of it arrives depends on the receiver's speed: Redis cuts off a listener that is 32 MiB behind, and what comes before it is back is lost. Less than that arrives.
  while (await refused() <= ENOUGH) {
    await flood(2_000);
    await arrived();
  }
  await until(async () => {
    const { received, missed } = await bus(to);
    return received + missed === published;
  }, 'what was sent behind it');
  over = true;
  await watch;
  const [sender, receiver] = [await bus(from), await bus(to)];
  const grown = Object.fromEntries(Object.entries(highest).map(([name, bytes]) => [name, Math.round((bytes - before[name]) / MiB)]));
  note(t, `${published} messages of ${SIZE} bytes, ${receiver.received} arrived; memory grew by ${grown.from} MiB at the sender, ${grown.to} MiB at the receiver`);
  assert.ok(grown.from < 120 && grown.to < 120, `bounded, whatever is published: ${JSON.stringify(grown)} MiB`);
  assert.ok(receiver.received > ENOUGH, 'it was a flood');
  const unsent = sender.dropped + sender.refused + sender.unanswered;
  // Redis cuts off a listener that is 32 MiB behind; the publisher cannot know of that.
  if (receiver.losses === 0) assert.equal(receiver.missed, unsent, 'what did not leave is missed there');
  else assert.ok(receiver.missed >= unsent);
  assert.ok(await refused() > ENOUGH, 'what is meant for somebody who does not read is dropped');
});
