// Several helpers of one identifier in one process (section C): a publish reaches everybody once, encrypted clients through their owner, and what a worker leaves when it ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from '../e2e/harness.mjs';
import { between, crowd, member, pool } from './native-kit.mjs';

const THREADS = 4;
const events = (messages) => messages.map(({ event }) => event);

test('what is sent from one worker reaches the clients of all workers, once each', async (t) => {
  const server = await pool(t);
  const peers = await crowd(server, THREADS, 2, (i) => ({ user: `u${i % 2}` }));
  for (const peer of peers) await peer.join('r');
  await peers[7].run((helper, { clientId }) => helper.leaveRoom({ clientId, room: 'r' }));
  for (const from of peers.filter(({ thread }, i) => peers.findIndex((peer) => peer.thread === thread) === i)) {
    const got = await between(from, peers, () => from.run((helper, context, ids) => {
      helper.sendToRoom({ room: 'r', event: 'room', data: 1 });
      helper.sendToUser({ userId: 'u1', event: 'user', data: 1 });
      helper.broadcast({ event: 'all', data: 1 });
      helper.sendToRoom({ room: 'r', event: 'some', data: 1, exclude: [ids[0], ids[3], ids[7], 'nobody'] });
      helper.broadcast({ event: 'others', data: 1, exclude: [ids[1]] });
      helper.sendToClient({ clientId: ids[2], event: 'one', data: 1 });
      helper.sendToRoom({ room: ids[4], event: 'by id', data: 1 });
      helper.send({ destination: ids[5], payload: { topic: 'to client', data: 1 } });
      helper.send({ destination: 'r', payload: { topic: 'to room', data: 1 } });
      helper.send({ payload: { topic: 'to all', data: 1 } });
    }, peers.map(({ id }) => id)));
    got.forEach((messages, i) => {
      const inRoom = i !== 7;
      assert.deepEqual(events(messages), [
        ...(inRoom ? ['room'] : []), ...(i % 2 === 1 ? ['user'] : []), 'all', ...(inRoom && i !== 0 && i !== 3 ? ['some'] : []), ...(i === 1 ? [] : ['others']),
        ...(i === 2 ? ['one'] : []), ...(i === 4 ? ['by id'] : []), ...(i === 5 ? ['to client'] : []), ...(inRoom ? ['to room'] : []), 'to all',
      ], `client ${i} of thread ${peers[i].thread}, from ${from.thread}`);
    });
  }
});

test('counts are of the instance, lists of the worker', async (t) => {
  const server = await pool(t);
  const peers = await crowd(server, THREADS, 2);
  for (const peer of peers.slice(0, 5)) await peer.join('r');
  for (const peer of peers.slice(0, 4)) {
    const counts = await peer.run((helper) => [
      helper.countClients(), helper.countRoom({ room: 'r' }), helper.getClients().size, helper.getClientsByRoom({ room: 'r' }).length,
    ]);
    const own = peers.slice(0, 5).filter(({ thread }) => thread === peer.thread).length;
    assert.deepEqual(counts, [8, 5, 2, own]);
  }
  const ids = await Promise.all(peers.map((peer) => peer.run((helper) => helper.getClients() && [...helper.getClients().keys()])));
  assert.equal(new Set(ids.flat()).size, 8);
});

test('rooms of a client of another worker are changed there', async (t) => {
  const server = await pool(t);
  const peers = await crowd(server, THREADS, 1);
  const [from, to] = peers;
  await from.run((helper, context, clientId) => helper.joinRoom({ clientId, room: 'r' }), to.id);
  await until(() => from.run((helper) => helper.countRoom({ room: 'r' }) === 1), 'the client to be in the room');
  assert.deepEqual(await to.run((helper, { clientId }) => helper.getClients({ id: clientId }).rooms.has('r')), true);
  assert.deepEqual(events((await between(from, [to], () => from.run((helper) => helper.sendToRoom({ room: 'r', event: 'x', data: 1 }))))[0]), ['x']);
  await from.run((helper, context, clientId) => helper.leaveRoom({ clientId, room: 'r' }), to.id);
  await until(() => from.run((helper) => helper.countRoom({ room: 'r' }) === 0), 'the client to have left');
  // A client that nobody has is nobody's.
  await from.run((helper) => {
    helper.joinRoom({ clientId: 'nobody', room: 'r' });
    helper.leaveRoom({ clientId: 'nobody', room: 'r' });
    helper.sendToClient({ clientId: 'nobody', event: 'x', data: 1 });
  });
});

/** Sources of options, evaluated in each worker. */
const ENCRYPTING = `{
  serverOptions: { backpressureLimit: 1 << 26 },
  maxPendingTransforms: Infinity,
  outboundTransformer: ({ event, data }) => (
    event === 'connected' || event === 'mark' ? null : { event: 'encrypted', data: { event, data, by: require('node:worker_threads').threadId } }
  ),
}`;

test('encrypted clients are reached through the transformer of their own worker, once each and in order', async (t) => {
  const server = await pool(t, { options: ENCRYPTING });
  const peers = await crowd(server, THREADS, 2, (i) => ({ user: `u${i}` }));
  for (const peer of peers) await peer.join('r');
  const encrypted = new Set([1, 2, 5]);
  for (const i of encrypted) await peers[i].run((helper, { clientId }) => helper.enableClientEncryption({ clientId }));
  const [from] = peers;
  assert.deepEqual(await from.run((helper) => [helper.countRoom({ room: 'r' }), helper.countClients()]), [8, 8]);
  const got = await between(from, peers, () => from.run((helper, context, ids) => {
    for (let i = 0; i < 20; i++) {
      helper.sendToRoom({ room: 'r', event: 'room', data: i });
      helper.broadcast({ event: 'all', data: i, exclude: [ids[2]] });
      helper.sendToUser({ userId: 'u5', event: 'user', data: i });
      helper.sendToClient({ clientId: ids[1], event: 'one', data: i });
    }
  }, peers.map(({ id }) => id)));
  got.forEach((messages, i) => {
    const expected = [];
    for (let n = 0; n < 20; n++) {
      expected.push(['room', n]);
      if (i !== 2) expected.push(['all', n]);
      if (i === 5) expected.push(['user', n]);
      if (i === 1) expected.push(['one', n]);
    }
    const seen = messages.map((message) => {
      if (!encrypted.has(i)) return [message.event, message.data];
      assert.equal(message.event, 'encrypted');
      assert.equal(message.data.by, peers[i].thread, 'by its owner');
      return [message.data.event, message.data.data];
    });
    assert.deepEqual(seen, expected, `client ${i}`);
  });
});

/** Each message of an encrypted client takes its owner a while. */
const LABOURING = `{
  outboundTransformer: ({ event, data }) => {
    const end = performance.now() + 0.05;
    while (performance.now() < end);
    return event === 'connected' ? null : { event, data };
  },
}`;

test('a flood from another worker does not keep what a helper has of its own clients waiting', async (t) => {
  const server = await pool(t, { threads: 2, options: LABOURING });
  const peers = await crowd(server, 2, 2);
  const [from] = peers;
  const [held, other] = peers.filter(({ thread }) => thread !== from.thread);
  await held.join('r');
  await held.run((helper, { clientId }) => helper.enableClientEncryption({ clientId }));
  await from.run((helper) => {
    const more = () => {
      for (let i = 0; i < 500; i++) helper.sendToRoom({ room: 'r', event: 'flood', data: 1 });
      if (!globalThis.enough) setImmediate(more);
    };
    more();
  });
  await until(() => from.run((helper) => helper.getStats().framesDropped > 0), 'more to be sent than the owner can do');
  for (let i = 0; i < 20; i++) {
    other.say('echo', i);
    assert.deepEqual(await other.next(), { event: 'echo', data: i });
  }
  await from.run(() => void (globalThis.enough = true));
});

test('what waits at one owner is bounded; beyond it is dropped and counted by the sender', async (t) => {
  const server = await pool(t, { threads: 2, options: ENCRYPTING });
  const [from, to] = await crowd(server, 2, 1);
  await to.run((helper, { clientId }) => helper.enableClientEncryption({ clientId }));
  // Its thread stands still until the other has sent far more than may wait.
  const busy = to.run((helper, { kit }) => {
    const fs = require('node:fs');
    kit.tell('standing');
    const wait = new Int32Array(new SharedArrayBuffer(4));
    while (!fs.existsSync('go on')) Atomics.wait(wait, 0, 0, 5);
  });
  await server.told.next('standing');
  const dropped = await from.run((helper, context, clientId) => {
    const data = 'x'.repeat(1 << 20);
    for (let i = 0; i < 20; i++) helper.sendToClient({ clientId, event: 'x', data });
    return helper.getStats().framesDropped;
  }, to.id);
  server.file('go on', '');
  await busy;
  assert.ok(dropped >= 4 && dropped <= 6, `${dropped} of 20 MiB, where 16 may wait`);
  await to.client.take(20 - dropped);
});

test('a worker that ends takes its clients with it: 1012, and another worker hears of each once', async (t) => {
  const server = await pool(t);
  const peers = await crowd(server, THREADS, 2, (i) => ({ user: i === 0 ? undefined : `u${i}` }));
  for (const peer of peers) await peer.join('r');
  const [victim] = peers;
  const gone = peers.filter(({ thread }) => thread === victim.thread);
  const rest = peers.filter(({ thread }) => thread !== victim.thread);
  server.told.skip('configured');
  victim.say('run', { n: -1, source: '() => process.exit(1)', args: [] });
  for (const peer of gone) assert.deepEqual(await peer.end(), { code: 1012, reason: 'Worker ended' });
  assert.deepEqual(await rest[0].run((helper) => [helper.countClients(), helper.countRoom({ room: 'r' })]), [6, 6]);
  const got = await between(rest[0], rest, () => rest[0].run((helper) => helper.broadcast({ event: 'still', data: 1 })));
  for (const messages of got) assert.deepEqual(events(messages), ['still']);
  await until(() => server.told.of('disconnected').length >= gone.length, 'somebody to hear of each');
  // Its place is taken by another, which joins the instance and gets connections.
  await server.told.next('configured');
  const again = [await member(server), await member(server)];
  assert.equal(new Set(again.map(({ thread }) => thread)).size, 1);
  assert.ok(!peers.some(({ thread }) => thread === again[0].thread));
  const both = await between(again[0], [...rest, ...again], () => again[0].run((helper) => helper.broadcast({ event: 'all', data: 1 })));
  for (const messages of both) assert.deepEqual(events(messages), ['all']);
  const told = server.told.of('disconnected');
  assert.deepEqual(told.map(({ clientId }) => clientId).sort(), gone.map(({ id }) => id).sort(), 'each once');
  for (const { clientId, userId, thread } of told) {
    const i = peers.findIndex(({ id }) => id === clientId);
    assert.equal(userId, i === 0 ? undefined : `u${i}`);
    assert.ok(rest.some((peer) => peer.thread === thread), 'by one that was there');
  }
});

test('of clients whose worker was the last of its instance nobody is told, and onWorker says how many they were', async (t) => {
  const server = await pool(t, { threads: 1, begin: false });
  await server.main((wsb, kit, options) => kit.start({
    ...options,
    onWorker: ({ type, workerId, untoldClients = 0 }) => kit.tell('worker', { event: type, workerId, untoldClients }),
  }), server.defaults).then((at) => (server.at = at));
  for (const count of [3, 0]) {
    const peers = await crowd(server, 1, Math.max(count, 1));
    const [victim] = peers;
    server.told.skip('configured');
    // With 0 it has had one client, and knows that it has gone.
    const source = count === 0 ? '(helper, { clientId }) => { helper.onClientDisconnect({ clientId }); process.exit(1); }' : '() => process.exit(1)';
    victim.say('run', { n: -1, source, args: [] });
    for (const peer of peers) assert.deepEqual(await peer.end(), { code: 1012, reason: 'Worker ended' });
    const died = await server.told.next('worker', ({ event }) => event === 'died');
    assert.deepEqual([died.workerId, died.untoldClients], [victim.thread, count]);
    await server.told.next('configured');
  }
  assert.equal(server.told.of('disconnected').length, 1, 'the one that follows is another instance, and is told of nobody');
});

test('a worker that is told of the clients of another and ends hands on what it has not begun', async (t) => {
  const server = await pool(t, { threads: 3, options: `{
    clientDisconnectedFn: ({ clientId }) => {
      const { threadId } = require('node:worker_threads');
      kit.tell('disconnected', { clientId, thread: threadId });
      if (globalThis.ends) process.exit(1);
    },
  }` });
  const peers = await crowd(server, 3, 4);
  const threads = [...new Set(peers.map(({ thread }) => thread))];
  const of = (thread) => peers.filter((peer) => peer.thread === thread);
  const [first, second, third] = threads.map((thread) => of(thread)[0]);
  await second.run(() => void (globalThis.ends = true));
  // The third is told of them, too, and has no time yet: the second takes the first of them, and ends of it.
  const busy = third.run((helper, { kit }) => {
    const fs = require('node:fs');
    const wait = new Int32Array(new SharedArrayBuffer(4));
    kit.tell('standing');
    while (!fs.existsSync('go on')) Atomics.wait(wait, 0, 0, 5);
  });
  await server.told.next('standing');
  first.say('run', { n: -1, source: '() => process.exit(1)', args: [] });
  for (const peer of [...of(first.thread), ...of(second.thread)]) assert.deepEqual(await peer.end(), { code: 1012, reason: 'Worker ended' });
  server.file('go on', '');
  await busy;
  await until(() => server.told.of('disconnected').length >= 8, 'all to be told');
  await third.settle();
  const told = server.told.of('disconnected');
  const expected = [...of(first.thread), ...of(second.thread)].map(({ id }) => id);
  assert.deepEqual(told.map(({ clientId }) => clientId).sort(), expected.sort(), 'each once');
  assert.equal(told.filter(({ thread }) => thread === second.thread).length, 1);
});

test('a worker that shuts its helper down closes its clients, and the others go on', async (t) => {
  const server = await pool(t, { threads: 2 });
  const [one, two] = await crowd(server, 2, 1);
  await one.run((helper) => void helper.shutdown());
  assert.deepEqual(await one.end(), { code: 1001, reason: 'Server shutting down' });
  assert.equal((await server.told.next('disconnected')).clientId, one.id);
  await until(() => two.run((helper) => helper.countClients() === 1), 'the client to be gone');
  for (let i = 0; i < 4; i++) assert.equal((await member(server)).thread, two.thread);
});

test('one helper takes the input from Redis, and hands it on when it ends', async (t) => {
  const server = await pool(t);
  const peers = await crowd(server, THREADS, 1);
  const asked = () => Promise.all(peers.map((peer) => peer.ended ? undefined : peer.run((helper, { redis }) => redis.subscriptions)));
  const all = await asked();
  const leaders = all.filter((subscriptions) => subscriptions.length > 0);
  assert.deepEqual(leaders, [['ws:broadcast', 'ws:room:*', 'ws:client:*', 'ws:user:*']]);
  const first = peers[all.findIndex((subscriptions) => subscriptions.length > 0)];
  const input = (peer, message) => peer.run((helper, { redis }, text) => {
    redis.subscriber.emit('message', 'ws:broadcast', text);
  }, JSON.stringify({ serverId: 'another', type: 'broadcast', event: message, data: 1 }));
  const got = await between(first, peers, () => input(first, 'from afar'));
  for (const messages of got) assert.deepEqual(events(messages), ['from afar']);

  const rest = peers.filter((peer) => peer !== first);
  server.told.skip('bus');
  await first.run((helper) => void helper.shutdown());
  await first.end();
  for (const { thread } of rest) {
    for (const state of ['lost', 'ready']) assert.equal((await server.told.next('bus', (event) => event.thread === thread)).state, state);
  }
  const now = await Promise.all(rest.map((peer) => peer.run((helper, { redis }) => redis.subscriptions.length)));
  assert.deepEqual(now.sort(), [0, 0, 4]);
  const next = rest[(await Promise.all(rest.map((peer) => peer.run((helper, { redis }) => redis.subscriptions.length)))).indexOf(4)];
  const more = await between(next, rest, () => input(next, 'again'));
  for (const messages of more) assert.deepEqual(events(messages), ['again']);
});

test('all helpers of an instance have one server id', async (t) => {
  const server = await pool(t);
  const peers = await crowd(server, THREADS, 1);
  const ids = await Promise.all(peers.map((peer) => peer.run((helper, { redis }) => {
    helper.send({ payload: { topic: 'x', data: 1 } });
    return redis.published.at(-1).message.serverId;
  })));
  assert.equal(new Set(ids).size, 1);
  assert.match(ids[0], /^[0-9a-f-]{36}$/);
});

test('when workers are reloaded their clients are told to come back, after the application has heard of each, and come to the new ones', async (t) => {
  const server = await pool(t, { threads: 2 });
  const peers = await crowd(server, 2, 2);
  const old = new Set(peers.map(({ thread }) => thread));
  const report = await server.main((wsb) => wsb.reloadWorkers());
  assert.deepEqual(report, { started: 2, stopped: 2, cut: 0, closed: 4 });
  for (const peer of peers) {
    const { code, reason } = await peer.end();
    assert.deepEqual([code, reason], [1012, 'Worker reloaded']);
    assert.equal(server.told.of('disconnected', ({ clientId }) => clientId === peer.id).length, 1);
  }
  const fresh = await crowd(server, 2, 1);
  for (const { thread } of fresh) assert.ok(!old.has(thread));
  const got = await between(fresh[0], fresh, () => fresh[0].run((helper) => helper.broadcast({ event: 'all', data: 1 })));
  assert.deepEqual(got.map(events), [['all'], ['all']]);
  assert.equal(await fresh[0].run((helper) => helper.countClients()), 2);
});
