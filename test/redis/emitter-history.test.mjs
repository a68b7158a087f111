// Emitters that publish to channels with history: Redis numbers and keeps what they publish.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redis, Cluster } from 'ioredis';

import { until } from '../e2e/harness.mjs';
import { instance, ready } from './instance.mjs';
import { startRedis } from './redis.mjs';

const { Emitter } = await import('wsbroker/emitter');
const HISTORY = [{ channels: ['chat:*', 'news'], size: 50 }];

async function joined(t, redis, options = {}) {
  const server = await instance(t, redis, options, { history: HISTORY });
  await ready(server);
  return server;
}

const recover = (client, channel, since) => client.run((wsb, id, ...given) => wsb.recover(id, ...given), channel, since);

async function reader(server, channel) {
  const client = await server.connect();
  assert.equal((await recover(client, channel, 'now')).recovered, true);
  return client;
}

function client(t, redis, cluster) {
  const own = cluster ? new Cluster([{ host: '127.0.0.1', port: redis.port }]) : new Redis(redis.url);
  own.on('error', () => {});
  t.after(() => own.disconnect());
  return own;
}

function emitter(t, options) {
  const made = new Emitter({ history: HISTORY, ...options });
  t.after(() => made.close());
  return made;
}

for (const [what, cluster, own] of [
  ['one Redis', false, false], ['one Redis, with a client of one\'s own', false, true],
  ['a Cluster', true, false], ['a Cluster, with a client of one\'s own', true, true],
]) {
  test(`what an emitter publishes is numbered among the rest, and recovered (${what})`, async (t) => {
    const redis = await startRedis(t, { cluster });
    const nodes = { nodes: [{ host: '127.0.0.1', port: redis.port }] };
    const [one, two] = await Promise.all([1, 2].map(() => joined(t, redis, cluster ? { redis: nodes } : {})));
    const mine = emitter(t, { redis: own ? client(t, redis, cluster) : cluster ? nodes : redis.url });
    for (const channel of ['chat:1', 'chat:a}b{']) {
      const clients = [await reader(one, channel), await reader(two, channel)];
      const { epoch } = await one.main((wsb, kit, channel) => wsb.publish(channel, 'of an instance'), channel);
      const count = 100;
      const receipts = await Promise.all(Array.from({ length: count }, (_, i) => mine.publish(channel, i % 2 ? `${i}` : Buffer.from(`${i}`))));
      assert.deepEqual(receipts, Array.from({ length: count }, (_, i) => ({ offset: i + 2, epoch })), 'in the order of the calls');
      for (const one of clients) {
        assert.equal((await one.take(count + 1)).at(-1).toString(), `${count + 1} ${channel}\n${count - 1}`);
      }
      const back = await two.connect();
      assert.deepEqual(await recover(back, channel, { offset: count - 1, epoch }), { recovered: true, position: { offset: count + 1, epoch }, replayed: 2 });
      assert.deepEqual((await back.take(2)).map(String), [`${count} ${channel}\n${count - 2}`, `${count + 1} ${channel}\n${count - 1}`]);
      assert.deepEqual(await mine.publish(channel, 'once', { id: 'ada:1' }), { offset: count + 2, epoch });
      assert.deepEqual(await mine.publish(channel, 'once', { id: 'ada:1' }), { offset: count + 2, epoch, duplicate: true });
      const again = await one.main((wsb, kit, channel) => wsb.publish(channel, 'once', { id: 'ada:1' }), channel);
      assert.equal(again.duplicate, true, 'and for instances, too');
    }
    // A channel without history is as it was.
    const plain = await one.connect();
    await plain.run(async (wsb, id) => {
      wsb.subscribe(id, 'plain');
      await wsb.listening('plain');
    });
    assert.deepEqual(await mine.publish('plain', 'hi'), {});
    assert.equal(await plain.next(), 'hi');
    assert.equal((await one.main((wsb) => wsb.stats())).bus.unnumbered, 0);
  });
}

for (const own of [false, true]) {
  test(`an emitter's order survives a Redis that loses the script${own ? ', with a client of one\'s own' : ''}`, async (t) => {
    const redis = await startRedis(t);
    const server = await joined(t, redis);
    const reads = await reader(server, 'chat:1');
    const admin = client(t, redis);
    const mine = emitter(t, { redis: own ? client(t, redis) : redis.url });
    const rounds = 5;
    const count = 20;
    for (let round = 0; round < rounds; round++) {
      await admin.script('FLUSH');
      await Promise.all(Array.from({ length: count }, (_, i) => mine.publish('chat:1', `${round * count + i}`)));
    }
    assert.deepEqual(await reads.take(rounds * count), Array.from({ length: rounds * count }, (_, i) => `${i + 1} chat:1\n${i}`));
    // The script goes while messages are under way.
    const more = 400;
    const sent = [];
    for (let i = 0; i < more; i++) {
      sent.push(mine.publish('chat:1', `${rounds * count + i}`));
      if (i % 40 === 20) sent.push(admin.script('FLUSH'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(sent);
    assert.deepEqual(await reads.take(more), Array.from({ length: more }, (_, i) => `${rounds * count + i + 1} chat:1\n${rounds * count + i}`));
  });

  test(`an emitter says what became of a message that Redis did not answer${own ? ', with a client of one\'s own' : ''}`, async (t) => {
    const redis = await startRedis(t);
    const mine = emitter(t, { redis: own ? client(t, redis) : redis.url, timeout: 1000 });
    await mine.publish('chat:1', '1', { id: 'a' });
    redis.signal('SIGSTOP');
    const unknown = await mine.publish('chat:1', '2', { id: 'b' }).catch((error) => error);
    assert.deepEqual([unknown.code, unknown.stored], ['ERR_WSBROKER_BUS_LOST', 'unknown'], String(unknown));
    redis.signal('SIGCONT');
    const again = await until(() => mine.publish('chat:1', '2', { id: 'b' }).catch(() => undefined), 'Redis is back');
    assert.equal(again.offset, 2);
    const admin = client(t, redis);
    await admin.call('ACL', 'SETUSER', 'default', '-xadd');
    const refused = await mine.publish('chat:1', '3').catch((error) => error);
    assert.deepEqual([refused.code, refused.stored], ['ERR_WSBROKER_BUS_LOST', false], String(refused));
  });
}

test('with a client of one\'s own, nothing new overtakes what is sent again for want of the script', async (t) => {
  const run = [];
  const fake = {
    publish: async () => 1,
    evalsha: (sha, keys, ...rest) => new Promise((resolve, reject) => run.push({ how: 'evalsha', text: String(rest.at(-1).subarray(1)), resolve, reject })),
    eval: (script, keys, ...rest) => new Promise((resolve, reject) => run.push({ how: 'eval', text: String(rest.at(-1).subarray(1)), resolve, reject })),
  };
  const mine = emitter(t, { redis: fake });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const shown = () => run.map(({ how, text }) => `${how} ${text}`);
  const gone = () => Object.assign(new Error('NOSCRIPT No matching script.'), { name: 'ReplyError' });
  const publish = (text) => mine.publish('chat:1', text);
  const all = [publish('1'), publish('2')];
  await settled();
  run[0].reject(gone());
  await settled();
  all.push(publish('3'));
  await settled();
  run[1].reject(gone());
  await settled();
  assert.deepEqual(shown(), ['evalsha 1', 'evalsha 2', 'eval 1', 'eval 2'], 'the third waits');
  run[2].resolve(['e', '1', '0']);
  run[3].resolve(['e', '2', '0']);
  await settled();
  all.push(publish('4'));
  await settled();
  assert.deepEqual(shown().slice(4), ['evalsha 3', 'evalsha 4']);
  run[4].resolve(['e', '3', '0']);
  run[5].resolve(['e', '4', '1']);
  assert.deepEqual(await Promise.all(all), [1, 2, 3, 4].map((offset) => ({ offset, epoch: 'e', ...(offset === 4 && { duplicate: true }) })));
});

test('with a client of one\'s own, what another process let overtake is not sent again', async (t) => {
  const run = [];
  const ask = (how) => (script, keys, ...rest) =>
    new Promise((resolve, reject) => run.push({ how: `${how} ${rest.at(-1).subarray(1)}`, resolve, reject }));
  const mine = emitter(t, { redis: { publish: async () => 1, evalsha: ask('evalsha'), eval: ask('eval') } });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const gone = () => Object.assign(new Error('NOSCRIPT No matching script.'), { name: 'ReplyError' });
  const overtaken = assert.rejects(mine.publish('chat:1', 'a'), { code: 'ERR_WSBROKER_BUS_LOST', stored: false, message: /something newer of the channel/ });
  const rest = [['chat:2', 'b'], ['chat:1', 'c'], ['chat:2', 'd'], ['chat:1', 'e']].map(([channel, text]) => mine.publish(channel, text));
  await settled();
  // Another process loads the script before the third arrives, and it is gone again for the last two.
  for (const refused of [0, 1]) run[refused].reject(gone());
  await settled();
  assert.equal(run.length, 5, 'until the others are answered nobody knows what is to be sent again');
  run[2].resolve(['e', '1', '0']);
  for (const refused of [3, 4]) run[refused].reject(gone());
  await overtaken;
  assert.deepEqual(run.slice(5).map(({ how }) => how), ['eval b', 'eval d', 'eval e'], 'in the order of the calls');
  run.slice(5).forEach(({ resolve }, i) => resolve(['e', `${i + 2}`, '0']));
  assert.deepEqual((await Promise.all(rest)).map(({ offset }) => offset), [2, 1, 3, 4]);
});

test('an emitter knows where a channel was, and tells a Redis that has lost something', async (t) => {
  const redis = await startRedis(t);
  for (const own of [false, true]) {
    const mine = emitter(t, { redis: own ? client(t, redis) : redis.url });
    const channel = `chat:${own}`;
    let epoch;
    for (const text of ['1', '2', '3']) ({ epoch } = await mine.publish(channel, text));
    const admin = client(t, redis);
    const key = (await admin.keys('*head')).find((name) => name.includes(channel));
    // As a replica that was promoted before it had the last one.
    await admin.hset(key, 'offset', 2);
    const receipt = await mine.publish(channel, 'after');
    assert.equal(receipt.offset, 1);
    assert.notEqual(receipt.epoch, epoch);
  }
});

test('an emitter without the history is told of it, and what it publishes there is not delivered but counted', async (t) => {
  const redis = await startRedis(t);
  const server = await joined(t, redis);
  const reads = await reader(server, 'chat:1');
  const events = [];
  const mine = new Emitter({ redis: redis.url, onBus: (event) => events.push(event) });
  t.after(() => mine.close());
  assert.deepEqual(await mine.publish('chat:1', 'unnumbered'), {});
  await until(async () => (await server.main((wsb) => wsb.stats())).bus.unnumbered === 1, 'it is counted');
  await until(() => events.some(({ state, reason }) => state === 'warning' && /"history"/.test(reason)), 'the emitter is told');
  await server.main((wsb) => wsb.publish('chat:1', 'numbered'));
  assert.equal(await reads.next(), '1 chat:1\nnumbered');
});

test('an emitter names what is wrong with its history', async (t) => {
  const redis = 'redis://127.0.0.1:1';
  assert.throws(() => new Emitter({ redis, history: {} }), /Emitter: "history" must be an array of objects/);
  assert.throws(() => new Emitter({ redis, history: [{ channels: 'a*b' }] }), /"history\[0\]\.channels"/);
  const publish = async () => 1;
  assert.throws(() => new Emitter({ redis: { publish }, history: HISTORY }), /"redis" must be.*evalsha/);
  const prefixed = { publish, evalsha: publish, eval: publish, options: { keyPrefix: 'app:' } };
  assert.throws(() => new Emitter({ redis: prefixed, history: HISTORY }), /keyPrefix/);
  const mine = emitter(t, { redis });
  await assert.rejects(mine.publish('plain', 'x', { id: 'a' }), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE', message: /"id" must be.*"history"/ });
  await assert.rejects(mine.publish('chat:1', 'x', { id: '' }), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE', message: /1 to 128 bytes/ });
  await assert.rejects(mine.publish('chat:1', 'x', { id: 7 }), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE' });
  await assert.rejects(mine.publish('chat:1', 'x', { ids: 'a' }), { code: 'ERR_WSBROKER_UNKNOWN_OPTION' });
});
