// Channels with history where Redis itself changes: its script is gone, a primary is, or what the primary had.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';

import { until } from '../e2e/harness.mjs';
import { instance, ready } from './instance.mjs';
import { startRedis, startSentinel } from './redis.mjs';

const HISTORY = [{ channels: ['chat:*', 'news'], size: 200 }];
/** Elections and what leads to them take seconds. */
const LONG = 60_000;

async function instances(t, redis, count) {
  const servers = await Promise.all(Array.from({ length: count }, () => instance(t, {}, { redis }, { history: HISTORY })));
  await Promise.all(servers.map(ready));
  return servers;
}

const publish = (server, channel, data, more) => server.main((wsb, kit, ...given) => wsb.publish(...given), channel, data, more ?? {});
const recover = (client, channel, since) => client.run((wsb, id, ...given) => wsb.recover(id, ...given), channel, since);
/** Until Redis has it: with the same id it is stored once. */
const publishAnyway = (server, channel, data, id) => until(() => publish(server, channel, data, { id }).catch(() => undefined), `"${data}" is stored`, LONG);

async function reader(server, channel) {
  const client = await server.connect();
  assert.equal((await recover(client, channel, 'now')).recovered, true);
  return client;
}

function admin(t, { port }) {
  const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => null });
  client.on('error', () => {});
  t.after(() => client.disconnect());
  return client;
}

/** The replica has all that its primary has. WAIT would count what its own connection has written. */
async function caughtUp(replica, primary) {
  const offset = async (one, name) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await one.info('replication'))?.[1]);
  const told = await offset(primary, 'master_repl_offset');
  await until(async () => (await offset(replica, 'slave_repl_offset')) >= told, 'the replica has everything', LONG);
}
const inStep = (replica) => until(async () => (await replica.info('replication')).includes('master_link_status:up'), 'the replica is in step', LONG);

test('a Redis that loses the script gets it again, and nothing is lost or overtaken', async (t) => {
  const redis = await startRedis(t);
  const servers = await instances(t, redis.url, 2);
  const clients = await Promise.all(servers.map((server) => reader(server, 'chat:1')));
  const redisAdmin = admin(t, redis);
  const [rounds, count] = [5, 20];
  for (let round = 0; round < rounds; round++) {
    await redisAdmin.script('FLUSH');
    await Promise.all(servers.map((server, number) => server.main((wsb, kit, number, round, count) => Promise.all(
      Array.from({ length: count }, (_, i) => wsb.publish('chat:1', `${number} ${round * count + i}`)),
    ), number, round, count)));
  }
  const all = await Promise.all(clients.map((client) => client.take(2 * rounds * count)));
  assert.deepEqual(all[0], all[1]);
  const next = [0, 0];
  all[0].forEach((frame, at) => {
    const [, offset, number, i] = /^(\d+) chat:1\n(\d) (\d+)$/.exec(frame);
    assert.equal(Number(offset), at + 1);
    assert.equal(Number(i), next[number]++, 'in the order of its publisher');
  });
  await redisAdmin.script('FLUSH');
  const late = await servers[0].connect();
  assert.equal((await recover(late, 'chat:1', { offset: 0, epoch: '0123456789abcdef' })).recovered, false);
  for (const server of servers) assert.equal((await server.main((wsb) => wsb.stats())).bus.losses, 0);
});

test('a Cluster of several nodes keeps all channels, and goes on when a primary is gone', async (t) => {
  const nodes = await Promise.all(Array.from({ length: 4 }, () => startRedis(t, { args: [
    '--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--repl-diskless-sync-delay', '0',
  ] })));
  const admins = nodes.map((node) => admin(t, node));
  const [first, second, third, replica] = admins;
  // The three primaries, and a replica of the first.
  for (const [i, [from, to]] of [[0, 5460], [5461, 10922], [10923, 16383]].entries()) await admins[i].cluster('ADDSLOTSRANGE', from, to);
  for (const [i, one] of admins.entries()) await one.cluster('SET-CONFIG-EPOCH', i + 1);
  const port = async (one) => (await one.cluster('MYID'), one.options.port);
  for (const one of [second, third, replica]) {
    const bus = Number(await one.config('GET', 'cluster-port').then(([, value]) => value));
    await first.cluster('MEET', '127.0.0.1', await port(one), bus);
  }
  const settled = () => until(async () => {
    const infos = await Promise.all(admins.map((one) => one.cluster('INFO')));
    return infos.every((info) => info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:4'));
  }, 'the Cluster is there', LONG);
  await settled();
  const id = await first.cluster('MYID');
  await until(() => replica.cluster('REPLICATE', id).then(() => true, () => false), 'the replica knows its primary', LONG);
  await inStep(replica);
  await until(async () => (await third.cluster('NODES')).split('\n').some((line) => line.includes('slave') && line.includes(id)), 'the others know the replica', LONG);

  const redis = { nodes: nodes.slice(1, 3).map(({ port }) => ({ host: '127.0.0.1', port })) };
  const [one, two] = await instances(t, redis, 2);
  const channels = Array.from({ length: 12 }, (_, i) => `chat:${i}`);
  const slots = await Promise.all(channels.map((channel) => first.cluster('KEYSLOT', `wsbroker:${channel}`)));
  assert.ok(slots.some((slot) => slot <= 5460) && slots.some((slot) => slot > 5460), 'on several primaries');
  const clients = await Promise.all(channels.map((channel) => reader(two, channel)));
  const epochs = new Map();
  for (let i = 1; i <= 3; i++) {
    for (const channel of channels) {
      const { offset, epoch } = await publish(i % 2 ? one : two, channel, `${i}`);
      assert.equal(offset, i);
      epochs.set(channel, epoch);
    }
  }
  // The replica has everything. What it would not have is told: see below.
  await caughtUp(replica, first);
  await nodes[0].kill();
  await Promise.all([one, two].map((server) => server.told.next('bus', ({ event }) => event.state === 'lost', LONG)));
  for (const channel of channels) {
    const { offset, epoch } = await publishAnyway(one, channel, '4', 'four');
    assert.deepEqual([offset, epoch], [4, epochs.get(channel)], 'it goes on');
  }
  for (const [i, client] of clients.entries()) {
    const frames = [];
    while (frames.length < 4) frames.push(await client.next(LONG));
    assert.deepEqual(frames, [1, 2, 3, 4].map((n) => `${n} ${channels[i]}\n${n}`));
  }
  await until(async () => (await two.main((wsb) => wsb.stats())).bus.state === 'ready', 'the other is back', LONG);
  for (const channel of channels) {
    const back = await two.connect();
    assert.equal((await recover(back, channel, { offset: 2, epoch: epochs.get(channel) })).recovered, true);
    assert.deepEqual(await back.take(2), [3, 4].map((n) => `${n} ${channel}\n${n}`));
  }
  // One that has seen nothing of it reads what the new primary has.
  const [late] = await instances(t, redis, 1);
  for (const channel of channels) {
    const back = await late.connect();
    assert.equal((await recover(back, channel, { offset: 0, epoch: epochs.get(channel) })).recovered, true);
    assert.deepEqual(await back.take(4), [1, 2, 3, 4].map((n) => `${n} ${channel}\n${n}`));
  }
});

test('Sentinels that promote a replica which lacks acknowledged messages: a new epoch, and everybody is told', async (t) => {
  const primary = await startRedis(t, { args: ['--repl-diskless-sync-delay', '0'] });
  // What the replica gets passes here, and at some point no longer does.
  let open = true;
  const proxy = createServer((near) => {
    const far = connect(primary.port, '127.0.0.1');
    near.on('data', (data) => far.write(data));
    far.on('data', (data) => open && near.write(data));
    for (const [one, other] of [[near, far], [far, near]]) one.on('error', () => {}).on('close', () => other.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const replica = await startRedis(t, { args: ['--replicaof', '127.0.0.1', proxy.address().port] });
  const replicaAdmin = admin(t, replica);
  await inStep(replicaAdmin);
  const sentinel = await startSentinel(t, 'chat', primary);
  const sentinelAdmin = admin(t, sentinel);
  await until(async () => (await sentinelAdmin.call('SENTINEL', 'REPLICAS', 'chat')).length === 1, 'the Sentinel knows the replica', LONG);
  const [one, two] = await instances(t, { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'chat' }, 2);
  const clients = [await reader(one, 'chat:1'), await reader(two, 'chat:1')];
  const kept = [await reader(one, 'chat:kept'), await reader(two, 'chat:kept')];
  let epoch;
  for (const text of ['1', '2', '3']) ({ epoch } = await publish(one, 'chat:1', text));
  const before = await publish(one, 'chat:kept', '1');
  await caughtUp(replicaAdmin, admin(t, primary));
  open = false;
  for (const text of ['4', '5']) assert.equal((await publish(two, 'chat:1', text)).epoch, epoch);
  for (const client of clients) assert.deepEqual(await client.take(5), ['1', '2', '3', '4', '5'].map((n) => `${n} chat:1\n${n}`));
  await primary.kill();
  await Promise.all([one, two].map((server) => server.told.next('bus', ({ event }) => event.state === 'lost', LONG)));
  await Promise.all([one, two].map((server) => server.told.next('bus', ({ event }) => event.state === 'ready', LONG)));
  for (const client of clients) assert.deepEqual(await client.end(), { code: 4009, reason: 'history lost' });
  const receipt = await publishAnyway(two, 'chat:1', 'after', 'after');
  assert.equal(receipt.offset, 1);
  assert.notEqual(receipt.epoch, epoch);
  const back = await one.connect();
  assert.equal((await recover(back, 'chat:1', { offset: 5, epoch })).recovered, false);
  // Of this channel the replica had everything.
  assert.deepEqual(await publishAnyway(two, 'chat:kept', '2', 'two').then(({ offset, epoch }) => [offset, epoch]), [2, before.epoch]);
  for (const client of kept) assert.deepEqual(await client.take(2), ['1 chat:kept\n1', '2 chat:kept\n2']);
});

/** The commands that the guide gives for a user's rights. */
function rights() {
  const guide = readFileSync(fileURLToPath(new URL('../../docs/guide/cluster.md', import.meta.url)), 'utf8');
  const commands = [...guide.matchAll(/```text\n(ACL SETUSER wsbroker[^`]*)```/gu)].map(([, command]) => command.trim().split(/\s+/u));
  assert.equal(commands.length, 2, 'one for the bus, one for histories');
  const [, cluster] = /On a Redis Cluster also `([^`]*)`/u.exec(guide);
  const [, own] = /an emitter on a client of `ioredis` also `([^`]*)`/u.exec(guide);
  return { commands, cluster: cluster.split(' '), own: own.split(' ') };
}

for (const cluster of [false, true]) {
  test(`the rights that the guide names are enough for channels with history (${cluster ? 'a Cluster' : 'one Redis'})`, async (t) => {
    const redis = await startRedis(t, { cluster });
    const redisAdmin = admin(t, redis);
    const { commands, cluster: more, own } = rights();
    for (const command of commands) await redisAdmin.call(...command);
    if (cluster) await redisAdmin.call('ACL', 'SETUSER', 'wsbroker', ...more);
    const node = { host: '127.0.0.1', port: redis.port };
    const login = { username: 'wsbroker', password: 'password' };
    const [one, two] = await instances(t, { ...(cluster ? { nodes: [node] } : node), ...login }, 2);
    const client = await reader(two, 'chat:1');
    const { epoch } = await publish(one, 'chat:1', '1', { id: 'a' });
    assert.equal((await publish(two, 'chat:1', '1', { id: 'a' })).duplicate, true);
    for (const text of ['2', '3']) await publish(one, 'chat:1', text);
    assert.deepEqual(await client.take(3), ['1', '2', '3'].map((n) => `${n} chat:1\n${n}`));
    const back = await one.connect();
    assert.equal((await recover(back, 'chat:1', { offset: 1, epoch })).replayed, 2);
    assert.equal((await two.main((wsb) => wsb.history('news'))).position.offset, 0);
    assert.equal((await two.main((wsb) => wsb.position('chat:other'))).offset, 0);
    await one.main((wsb) => wsb.deleteHistory('chat:1', { before: 3 }));
    await one.main((wsb) => wsb.deleteHistory('chat:1'));
    assert.deepEqual(await client.end(), { code: 4009, reason: 'history lost' });
    await redisAdmin.script('FLUSH');
    await publish(one, 'chat:1', 'again');
    const refused = async () => (await redisAdmin.call('ACL', 'LOG')).map((entry) => String(entry));
    assert.deepEqual(await refused(), [], 'Redis has refused nothing');
    if (cluster) return;
    const { Emitter } = await import('wsbroker/emitter');
    await redisAdmin.call('ACL', 'SETUSER', 'wsbroker', ...own);
    const mine = new Redis({ ...node, ...login });
    t.after(() => mine.disconnect());
    const emitter = new Emitter({ redis: mine, history: HISTORY });
    await redisAdmin.script('FLUSH');
    assert.equal((await emitter.publish('chat:1', 'from elsewhere')).offset, 2);
    assert.deepEqual(await refused(), [], 'Redis has refused nothing');
    // And without one of them something is refused, so that the log would show it.
    await redisAdmin.call('ACL', 'SETUSER', 'wsbroker', '-xadd');
    await assert.rejects(publish(one, 'chat:1', 'no'), /not stored/u);
    assert.notDeepEqual(await refused(), []);
  });
}
