// Channels with history on several instances: Redis numbers, and nobody loses anything without being told.
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';

import { greet, serve } from '../e2e/channels-client.mjs';
import { until } from '../e2e/harness.mjs';
import { instance, ready } from './instance.mjs';
import { startRedis } from './redis.mjs';

const HISTORY = [{ channels: ['chat:*', 'news'], size: 50 }];

async function instances(t, redis, count, options = {}, history = HISTORY, more = {}) {
  const servers = [];
  for (let i = 0; i < count; i++) servers.push(await instance(t, redis, options, { history, ...more }));
  await Promise.all(servers.map(ready));
  return servers;
}

const publish = (server, channel, data, more) => server.main((wsb, kit, ...given) => wsb.publish(...given), channel, data, more ?? {});
const position = (server, channel) => server.main((wsb, kit, name) => wsb.position(name), channel);
const recover = (client, channel, since, more) => client.run((wsb, id, ...given) => wsb.recover(id, ...given), channel, since, more ?? {});

/** What a publish came to: its receipt, or `stored` and the reason of its error. */
const outcome = (server, channel, data, more) => server.main(async (wsb, kit, ...given) => {
  try {
    return await wsb.publish(...given);
  } catch (error) {
    return { code: error.code, stored: error.stored, message: error.message };
  }
}, channel, data, more ?? {});

async function reader(server, channel, since = 'now') {
  const client = await server.connect();
  assert.equal((await recover(client, channel, since)).recovered, true);
  return client;
}

/** Sends a command to a Redis, and returns what it answers. */
const command = (redis, text) => new Promise((resolve, reject) => {
  const socket = connect(redis.port, '127.0.0.1', () => socket.write(`${text}\r\nPING\r\n`));
  let answer = '';
  socket.setEncoding('utf8').on('data', (data) => {
    answer += data;
    if (answer.endsWith('+PONG\r\n')) {
      resolve(answer.slice(0, -7));
      socket.destroy();
    }
  }).on('error', reject);
});

/** How often a Redis has run the script. */
async function calls(redis) {
  const found = /cmdstat_evalsha:calls=(\d+)/.exec(await command(redis, 'INFO commandstats'));
  return found === null ? 0 : Number(found[1]);
}

for (const cluster of [false, true]) {
  test(`subscribers on all instances get the messages of all in one order (${cluster ? 'Cluster' : 'one Redis'})`, async (t) => {
    const redis = await startRedis(t, { cluster });
    const to = cluster ? { redis: { nodes: [{ host: '127.0.0.1', port: redis.port }] } } : {};
    const servers = await instances(t, redis, 3, to);
    for (const channel of ['chat:1', 'chat:{a}', 'chat:a}b{', 'chat:{}x']) {
      const name = channel.replace('%', '%25');
      const start = await position(servers[0], channel);
      assert.deepEqual(start, { offset: 0, epoch: start.epoch });
      assert.match(start.epoch, /^[0-9a-f]{16}$/);
      const clients = await Promise.all(servers.slice(0, 2).map((server) => reader(server, channel)));
      const count = 30;
      const receipts = await Promise.all(servers.map((server, number) => server.main(async (wsb, kit, channel, number, count) => {
        const all = [];
        for (let i = 0; i < count; i++) all.push(wsb.publish(channel, i % 2 ? `${number} ${i}` : Buffer.from(`${number} ${i}`)));
        return Promise.all(all);
      }, channel, number, count)));
      assert.deepEqual(receipts.flat().map(({ offset }) => offset).sort((a, b) => a - b), Array.from({ length: 3 * count }, (_, i) => i + 1));
      assert.ok(receipts.flat().every(({ epoch }) => epoch === start.epoch));
      assert.deepEqual(receipts.map(([first]) => first.subscribers), [1, 1, 0]);
      const [one, two] = (await Promise.all(clients.map((client) => client.take(3 * count)))).map((all) => all.map(String));
      assert.deepEqual(one, two, 'one order');
      const next = servers.map(() => 0);
      one.forEach((frame, at) => {
        const [head, payload] = frame.split('\n');
        assert.equal(head, `${at + 1} ${name}`);
        const [number, i] = payload.split(' ').map(Number);
        assert.equal(i, next[number]++, 'in the order of its publisher');
        assert.equal(receipts[number][i].offset, at + 1, 'as the receipt says');
      });
      assert.deepEqual(await position(servers[2], channel), { offset: 3 * count, epoch: start.epoch });
    }
  });
}

test('a client that comes back to any instance gets what it has missed, once, and then what is new', async (t) => {
  const redis = await startRedis(t);
  const [one, two, three] = await instances(t, redis, 3);
  const first = await reader(one, 'chat:1');
  const { epoch } = await publish(one, 'chat:1', '1');
  assert.equal(await first.next(), '1 chat:1\n1');
  await first.close();
  for (const text of ['2', '3', '4']) await publish(two, 'chat:1', text);
  for (const server of [one, two, three]) {
    const client = await server.connect();
    const since = { offset: 1, epoch };
    assert.deepEqual(await recover(client, 'chat:1', since), { recovered: true, position: { offset: 4, epoch }, replayed: 3 });
    assert.deepEqual(await client.take(3), ['2', '3', '4'].map((text) => `${text} chat:1\n${text}`));
  }
  const latest = await three.connect();
  assert.deepEqual(await recover(latest, 'chat:1', 'latest'), { recovered: true, position: { offset: 4, epoch }, replayed: 1 });
  assert.equal(await latest.next(), '4 chat:1\n4');
  await publish(one, 'chat:1', '5');
  assert.equal(await latest.next(), '5 chat:1\n5');
  const unknown = await two.connect();
  assert.deepEqual(await recover(unknown, 'chat:1', { offset: 2, epoch: '0123456789abcdef' }, { orReject: true }), { recovered: false, position: { offset: 5, epoch }, replayed: 0 });
  assert.equal((await recover(unknown, 'chat:1', { offset: 77, epoch })).recovered, false, 'beyond the head');
  const plain = await one.main((wsb) => wsb.position('plain')).catch((error) => error);
  assert.match(plain.message, /no history/);
});

test('a client that subscribes by itself recovers on another instance, and publishes on any', async (t) => {
  const redis = await startRedis(t);
  const options = { cluster: { redis: redis.url, required: true } };
  const [one, two] = [await serve(t, { options }), await serve(t, { options })];
  const first = await greet(one);
  const { position: at } = await first.subscribe('chat:1').hear();
  assert.equal(at.offset, 0);
  first.say({ type: 'publish', id: 'a', channel: 'chat:1', data: '1' });
  const heard = await first.hearAll(2);
  assert.deepEqual(heard.find((one) => one.type === 'published').position, { ...at, offset: 1 });
  assert.ok(heard.includes('1 chat:1\n1'));
  await publish(two, 'chat:1', '2');
  assert.equal(await first.hear(), '2 chat:1\n2');
  const back = await greet(two);
  const { recovered, replayed } = await back.subscribe('chat:1', { ...at, offset: 1 }).hear();
  assert.deepEqual([recovered, replayed, await back.hear()], [true, 1, '2 chat:1\n2']);
});

test('what was published before an instance had the channel is read from Redis, text and bytes', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  await publish(one, 'news', 'text');
  await one.main((wsb) => wsb.publish('news', new Uint8Array([1, 0, 255])));
  const slice = await two.main(async (wsb) => {
    const { position, complete, messages } = await wsb.history('news');
    return { position, complete, messages: messages.map(({ offset, data }) => [offset, typeof data === 'string' ? data : [...data]]) };
  });
  assert.deepEqual([slice.complete, slice.position.offset, slice.messages], [true, 2, [[1, 'text'], [2, [1, 0, 255]]]]);
  const { messages } = await two.main((wsb) => wsb.history('news', { limit: 1, reverse: true }));
  assert.deepEqual(messages.map(({ offset }) => offset), [2]);
});

test('an id makes a repeated publish a duplicate on any instance', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  const client = await reader(two, 'chat:1');
  const { epoch } = await publish(one, 'chat:1', 'a', { id: 'ada:1' });
  const again = await publish(two, 'chat:1', 'a', { id: 'ada:1' });
  assert.deepEqual(Object.entries(again), Object.entries({ offset: 1, epoch, subscribers: 1, duplicate: true }));
  const twice = await Promise.all([one, two].map((server) => publish(server, 'chat:1', 'b', { id: 'ada:2' })));
  assert.deepEqual(twice.map(({ offset }) => offset), [2, 2]);
  assert.equal(twice.filter(({ duplicate }) => duplicate).length, 1);
  const counted = await Promise.all([one, two].map((server) => server.main((wsb) => wsb.stats().history.duplicates)));
  assert.equal(counted[0] + counted[1], 2, 'each by the instance that published again');
  await publish(two, 'chat:1', 'c');
  assert.deepEqual(await client.take(3), ['1 chat:1\na', '2 chat:1\nb', '3 chat:1\nc']);
});

test('a deletion on one instance is one on all: what is left recovers, and if nothing is left all are told', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  const clients = [await reader(one, 'chat:1'), await reader(two, 'chat:1')];
  let epoch;
  for (const text of ['1', '2', '3']) ({ epoch } = await publish(one, 'chat:1', text));
  for (const client of clients) await client.take(3);
  await two.main((wsb) => wsb.deleteHistory('chat:1', { before: 3 }));
  for (const server of [one, two]) {
    await until(async () => (await server.main((wsb) => wsb.history('chat:1'))).messages.length === 1, 'the rest is gone');
  }
  const back = await one.connect();
  assert.equal((await recover(back, 'chat:1', { offset: 1, epoch }, { orReject: true })).recovered, false);
  await publish(two, 'chat:1', '4', { id: 'x' });
  for (const client of clients) assert.equal(await client.next(), '4 chat:1\n4');
  await one.main((wsb) => wsb.deleteHistory('chat:1'));
  for (const client of clients) assert.deepEqual(await client.end(), { code: 4009, reason: 'history lost' });
  const again = await publish(two, 'chat:1', 'new', { id: 'x' });
  assert.equal(again.offset, 1, 'and its ids are forgotten');
  assert.notEqual(again.epoch, epoch);
});

test('who is excluded is so only on its own instance, live and in a replay', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  const [here, there] = [await reader(one, 'chat:1'), await reader(two, 'chat:1')];
  const { epoch } = await here.run((wsb, id) => wsb.publish('chat:1', 'mine', { exclude: [id] }));
  await publish(one, 'chat:1', 'all');
  assert.equal(await here.next(), '2 chat:1\nall');
  assert.deepEqual(await there.take(2), ['1 chat:1\nmine', '2 chat:1\nall']);
  await here.run((wsb, id) => wsb.unsubscribe(id, 'chat:1'));
  assert.equal((await recover(here, 'chat:1', { offset: 0, epoch })).replayed, 2);
  assert.equal(await here.next(), '2 chat:1\nall');
});

test('a channel is closed behind what was published before', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  const clients = [await reader(one, 'chat:1'), await reader(two, 'chat:1')];
  assert.equal(await one.main((wsb) => {
    wsb.sendToChannel('chat:1', 'bye');
    return wsb.closeChannel('chat:1', 4000, 'over', { cluster: true });
  }), 1);
  for (const client of clients) {
    assert.equal(await client.next(), '1 chat:1\nbye');
    assert.deepEqual(await client.end(), { code: 4000, reason: 'over' });
  }
  const local = await reader(one, 'chat:1');
  await one.main((wsb) => {
    wsb.sendToChannel('chat:1', 'bye');
    wsb.closeChannel('chat:1', 4000, 'over');
  });
  assert.equal(await local.next(), '2 chat:1\nbye');
  assert.deepEqual(await local.end(), { code: 4000, reason: 'over' });
});

test('who has subscribed gets what is published next, though Redis does not know the channel yet', async (t) => {
  const redis = await startRedis(t);
  const [one] = await instances(t, redis, 1);
  const client = await one.connect();
  const count = 20;
  await client.run((wsb, id, count) => {
    for (let i = 0; i < count; i++) {
      wsb.subscribe(id, `chat:${i}`);
      wsb.sendToChannel(`chat:${i}`, 'hi');
    }
  }, count);
  assert.deepEqual((await client.take(count)).sort(), Array.from({ length: count }, (_, i) => `1 chat:${i}\nhi`).sort());
});

test('a connection to Redis that is cut loses nothing', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  const clients = [await reader(one, 'chat:1'), await reader(two, 'chat:1')];
  let told = 0;
  for (let round = 0; round < 3; round++) {
    for (const _ of [1, 2, 3]) await publish(one, 'chat:1', `${++told}`);
    // Only the listeners: what is published meanwhile is stored.
    await command(redis, 'CLIENT KILL TYPE pubsub');
    await Promise.all([one, two].map((server) => server.told.next('bus', ({ event }) => event.state === 'lost')));
    await Promise.all([ready(one), ready(two)]);
    // What is stored while an instance is away from Redis.
    await two.main((wsb) => wsb.position('chat:other'));
  }
  await publish(two, 'chat:1', `${++told}`);
  for (const client of clients) {
    assert.deepEqual(await client.take(told), Array.from({ length: told }, (_, i) => `${i + 1} chat:1\n${i + 1}`));
  }
});

test('what comes while an instance is away from Redis comes when it is back', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  const client = await reader(one, 'chat:1');
  const { epoch } = await publish(two, 'chat:1', '1');
  assert.equal(await client.next(), '1 chat:1\n1');
  // It is kept away by its name; the other one has a user of its own.
  await one.main(() => process.kill(process.pid, 0));
  await command(redis, 'ACL SETUSER default resetchannels &nothing');
  await command(redis, 'CLIENT KILL TYPE pubsub');
  await one.told.next('bus', ({ event }) => event.state === 'lost');
  await two.told.next('bus', ({ event }) => event.state === 'lost');
  const stored = await command(redis, `KEYS *`);
  assert.match(stored, /stream/);
  const failed = await outcome(one, 'chat:1', 'not now');
  assert.deepEqual([failed.code, failed.stored], ['ERR_WSBROKER_BUS_LOST', false]);
  // Subscribers keep what they have, and others can still recover what is here.
  const other = await one.connect();
  assert.deepEqual(await recover(other, 'chat:1', { offset: 0, epoch }), { recovered: true, position: { offset: 1, epoch }, replayed: 1 });
  assert.equal(await other.next(), '1 chat:1\n1');
  const cold = await one.connect();
  const refused = await recover(cold, 'chat:cold', 'now').catch((error) => error);
  assert.equal(refused.code, 'ERR_WSBROKER_BUS_LOST');
  // As another instance does: the message is stored.
  const key = /(\S+)stream/.exec(stored)[1];
  await command(redis, `XADD ${key}stream 2-${Date.now()} m "\\x002"`.replace('"\\x002"', '"\\x002"'));
  await command(redis, `HSET ${key}head offset 2`);
  await command(redis, 'ACL SETUSER default allchannels');
  await Promise.all([ready(one), ready(two)]);
  assert.equal(await client.next(), '2 chat:1\n2');
  assert.equal(await other.next(), '2 chat:1\n2');
});

test('a Redis that comes back empty begins a new epoch, and everybody is told', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  const clients = [await reader(one, 'chat:1'), await reader(two, 'chat:1')];
  const { epoch } = await publish(one, 'chat:1', '1');
  for (const client of clients) assert.equal(await client.next(), '1 chat:1\n1');
  await redis.kill();
  await Promise.all([one, two].map((server) => server.told.next('bus', ({ event }) => event.state === 'lost')));
  await redis.run();
  await Promise.all([ready(one), ready(two)]);
  for (const client of clients) assert.deepEqual(await client.end(), { code: 4009, reason: 'history lost' });
  assert.notEqual((await position(one, 'chat:1')).epoch, epoch);
});

test('a Redis that was emptied: what is published first comes behind the word of the loss', async (t) => {
  const redis = await startRedis(t);
  const options = { cluster: { redis: redis.url, required: true } };
  const servers = [await serve(t, { options }), await serve(t, { options })];
  const clients = await Promise.all(servers.map((server) => greet(server)));
  for (const client of clients) await client.subscribe('chat:1').hear();
  await publish(servers[0], 'chat:1', 'before');
  for (const client of clients) assert.equal(await client.hear(), '1 chat:1\nbefore');
  await command(redis, 'FLUSHALL');
  const { offset, epoch } = await publish(servers[0], 'chat:1', 'after');
  assert.equal(offset, 1);
  for (const client of clients) {
    assert.deepEqual(await client.hear(), { type: 'lost', channel: 'chat:1', position: { offset: 0, epoch } });
    assert.equal(await client.hear(), '1 chat:1\nafter');
  }
});

test('a Redis that knows less than an instance gives no offset out twice', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  const client = await reader(two, 'chat:1');
  let epoch;
  for (const text of ['1', '2', '3']) ({ epoch } = await publish(one, 'chat:1', text));
  await client.take(3);
  // As a replica that was promoted before it had the last one.
  const key = /(\S+)head/.exec(await command(redis, 'KEYS *head'))[1];
  await command(redis, `HSET ${key}head offset 2`);
  const receipt = await publish(one, 'chat:1', 'after');
  assert.equal(receipt.offset, 1);
  assert.notEqual(receipt.epoch, epoch);
  assert.deepEqual(await client.end(), { code: 4009, reason: 'history lost' });
});

test('what is sent after `await publish` comes behind the message', async (t) => {
  const redis = await startRedis(t);
  const [one] = await instances(t, redis, 1);
  const rounds = 5;
  const expected = (channel) => Array.from({ length: rounds }, (_, i) => [`${i + 1} ${channel}\nmessage`, `behind ${i + 1}`]).flat();
  for (let n = 0; n < 60; n++) {
    const client = await reader(one, `chat:${n}`);
    await client.run(async (wsb, id, channel, rounds) => {
      for (let i = 1; i <= rounds; i++) {
        await wsb.publish(channel, 'message');
        wsb.send(id, `behind ${i}`);
      }
    }, `chat:${n}`, rounds);
    assert.deepEqual(await client.take(2 * rounds), expected(`chat:${n}`));
  }
});

test('a gap that Redis no longer has is told', async (t) => {
  const redis = await startRedis(t);
  const [one] = await instances(t, redis, 1);
  const client = await reader(one, 'chat:1');
  const { epoch } = await publish(one, 'chat:1', '1');
  assert.equal(await client.next(), '1 chat:1\n1');
  const key = /(\S+)head/.exec(await command(redis, 'KEYS *head'))[1];
  // Another instance has published three, which did not arrive here, and two of them are gone.
  await command(redis, `XADD ${key}stream 4-${Date.now()} m "\\x004"`);
  await command(redis, `XDEL ${key}stream 1-0`);
  await command(redis, `XTRIM ${key}stream MAXLEN 1`);
  await command(redis, `HSET ${key}head offset 4`);
  await publish(one, 'chat:1', '5');
  assert.deepEqual(await client.end(), { code: 4009, reason: 'history lost' });
  assert.equal((await position(one, 'chat:1')).epoch, epoch);
});

test('what is read of Redis may overtake the messages themselves, and nobody loses anything', async (t) => {
  const redis = await startRedis(t);
  // Holds back what the connection brings that is subscribed, until a little after an answer to "read".
  let held;
  const proxy = createServer((near) => {
    const far = connect(redis.port, '127.0.0.1');
    let [listens, reads] = [false, false];
    near.on('data', (data) => {
      listens ||= data.includes('SUBSCRIBE');
      reads ||= held !== undefined && data.includes('$4\r\nread\r\n');
      far.write(data);
    });
    far.on('data', (data) => {
      if (listens && held !== undefined) return held.push(() => near.write(data));
      near.write(data);
      if (!reads) return;
      reads = false;
      setTimeout(() => {
        const release = held ?? [];
        held = undefined;
        for (const pass of release) pass();
      }, 100);
    });
    for (const [one, other] of [[near, far], [far, near]]) one.on('error', () => {}).on('close', () => other.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const [far] = await instances(t, { url: `redis://127.0.0.1:${proxy.address().port}` }, 1);
  const [near] = await instances(t, redis, 1);
  const client = await reader(far, 'chat:1');
  const { epoch } = await publish(near, 'chat:1', '1');
  assert.equal(await client.next(), '1 chat:1\n1');
  held = [];
  const count = 2 * HISTORY[0].size;
  for (let i = 2; i <= count; i++) await publish(near, 'chat:1', `${i}`);
  // It has been at the other instance, and has the far one ask Redis.
  const ahead = await far.connect();
  const answer = await recover(ahead, 'chat:1', { offset: count, epoch });
  assert.deepEqual(answer, { recovered: true, position: { offset: count, epoch }, replayed: 0 });
  assert.deepEqual(await client.take(count - 1), Array.from({ length: count - 1 }, (_, i) => `${i + 2} chat:1\n${i + 2}`));
});

test('Redis that hangs leaves it unknown whether a message is stored, and the id says so afterwards', async (t) => {
  const redis = await startRedis(t);
  const [one] = await instances(t, redis, 1);
  await publish(one, 'chat:1', '1');
  redis.signal('SIGSTOP');
  const failed = await outcome(one, 'chat:1', '2', { id: 'ada:2' });
  assert.deepEqual([failed.code, failed.stored], ['ERR_WSBROKER_BUS_LOST', 'unknown']);
  redis.signal('SIGCONT');
  await ready(one);
  assert.equal((await publish(one, 'chat:1', '2', { id: 'ada:2' })).offset, 2);
});

test('a crowd that comes back to an instance has Redis asked a few times', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await instances(t, redis, 2);
  let epoch;
  for (let i = 0; i < 40; i++) ({ epoch } = await publish(one, 'chat:1', `${i}`));
  const clients = await Promise.all(Array.from({ length: 60 }, () => two.connect()));
  const before = await calls(redis);
  const since = { offset: 10, epoch };
  const all = await Promise.all(clients.map((client) => recover(client, 'chat:1', since)));
  assert.ok(all.every(({ recovered, replayed }) => recovered && replayed === 30), JSON.stringify(all[0]));
  const asked = await calls(redis) - before;
  assert.ok(asked >= 1 && asked <= 4, `Redis was asked ${asked} times`);
  for (const client of clients) assert.equal((await client.take(30)).at(-1), '40 chat:1\n39');
});

test('a crowd of clients that subscribe by themselves has Redis asked once or twice', async (t) => {
  const redis = await startRedis(t);
  const options = { cluster: { redis: redis.url, required: true } };
  const [one, two] = [await serve(t, { options }), await serve(t, { options })];
  let epoch;
  for (let i = 1; i <= 40; i++) ({ epoch } = await publish(one, 'chat:1', `${i}`));
  const crowd = await Promise.all(Array.from({ length: 60 }, () => greet(two)));
  const before = await calls(redis);
  crowd.forEach((client, i) => client.subscribe('chat:1', i === 0 ? 'now' : { offset: 40 - i % 40, epoch }));
  for (const [i, client] of crowd.entries()) {
    const { type, recovered, replayed } = await client.hear();
    assert.deepEqual([type, recovered, replayed], ['subscribed', true, i % 40]);
    const offsets = (await client.hearAll(replayed)).map((frame) => parseInt(frame, 10));
    assert.deepEqual(offsets, Array.from({ length: replayed }, (_, n) => 41 - i % 40 + n));
  }
  const asked = await calls(redis) - before;
  assert.ok(asked >= 1 && asked <= 3, `Redis was asked ${asked} times`);
  // From now on nobody has to ask.
  const late = await greet(two);
  assert.equal((await late.subscribe('chat:1', { offset: 40, epoch }).hear()).recovered, true);
  assert.equal(await calls(redis) - before, asked);
  await publish(one, 'chat:1', '41');
  for (const client of [...crowd, late]) assert.equal(await client.hear(), '41 chat:1\n41');
});

test('while Redis is away clients recover from what is here, or are told that it is unavailable', async (t) => {
  const redis = await startRedis(t);
  const server = await serve(t, { options: { cluster: { redis: redis.url, required: true } } });
  const first = await greet(server);
  await first.subscribe('chat:1').hear();
  const { epoch } = await publish(server, 'chat:1', '1');
  await publish(server, 'chat:1', '2');
  assert.deepEqual(await first.hearAll(2), ['1 chat:1\n1', '2 chat:1\n2']);
  await redis.kill();
  await until(async () => (await server.main((wsb) => wsb.stats())).bus.state === 'lost', 'the bus is lost');
  const back = await greet(server);
  const { recovered, replayed } = await back.subscribe('chat:1', { offset: 1, epoch }).hear();
  assert.deepEqual([recovered, replayed, await back.hear()], [true, 1, '2 chat:1\n2']);
  for (const [channel, since] of [['chat:2', 'now'], ['chat:1', { offset: 3, epoch }]]) {
    const other = await greet(server);
    assert.deepEqual(await other.subscribe(channel, since).hear(), { type: 'refused', channel, reason: 'unavailable' });
  }
});

test('instances without the history, or with another, are told of it; what has no number is dropped and counted', async (t) => {
  const redis = await startRedis(t);
  const [one] = await instances(t, redis, 1, { instanceId: 'one' });
  const plain = await instance(t, redis, { instanceId: 'plain' });
  const other = await instance(t, redis, { instanceId: 'other' }, { history: [{ channels: 'chat:*', size: 9 }] });
  await Promise.all([plain, other].map(ready));
  for (const server of [plain, other]) {
    const { event } = await server.told.next('bus', ({ event }) => event.state === 'warning');
    assert.match(event.reason, /"history"/);
  }
  const { event } = await one.told.next('bus', ({ event }) => event.state === 'warning');
  assert.match(event.reason, /other.*"history"/);
  const client = await reader(one, 'chat:1');
  await plain.main((wsb) => wsb.sendToChannel('chat:1', 'unnumbered'));
  await until(async () => (await one.main((wsb) => wsb.stats())).bus.unnumbered === 1, 'it is counted');
  await publish(one, 'chat:1', 'numbered');
  assert.equal(await client.next(), '1 chat:1\nnumbered');
});
