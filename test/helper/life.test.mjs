// Sections 9 and 13: silence, disconnects, the end.
import assert from 'node:assert/strict';

import { FakeRedis } from './fakes.mjs';
import { deferred, onFakes, rule, spy, turns, world } from './world.mjs';

const clock = (t) => t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 });

onFakes('every heartbeatInterval the silent are closed, without an error event, and again while they stay', async (t) => {
  clock(t);
  for (const [options, interval, silence] of [[{}, 30_000, 90_000], [{ heartbeatInterval: 10, heartbeatTimeout: 25 }, 10, 25]]) {
    const w = await world(t, options);
    const [silent, lively] = [await w.member(), await w.member()];
    silent.socket.endsAtOnce = false;
    const closes = () => silent.socket.calls.filter(([name]) => name === 'close');
    const sweeps = Math.floor(silence / interval) + 1;
    for (let i = 0; i < sweeps; i++) {
      assert.deepEqual(closes(), []);
      lively.send({ event: 'heartbeat' });
      t.mock.timers.tick(interval);
    }
    assert.deepEqual(closes(), [['close', 4002, 'Heartbeat timeout']]);
    assert.deepEqual(silent.take(), []);
    assert.equal(lively.ended, undefined);
    lively.send({ event: 'heartbeat' });
    t.mock.timers.tick(interval);
    assert.equal(closes().length, 2);
    assert.equal(lively.take().length, 0, 'the server sends no heartbeat');
  }
});

onFakes('silence of exactly heartbeatTimeout is not too long', async (t) => {
  clock(t);
  const w = await world(t, { heartbeatInterval: 100, heartbeatTimeout: 100 });
  const client = await w.member();
  t.mock.timers.tick(100);
  assert.equal(client.ended, undefined);
  t.mock.timers.tick(100);
  assert.deepEqual(client.ended, { code: 4002, reason: 'Heartbeat timeout' });
});

onFakes('a socket that fails to close does not keep the sweep from the others', async (t) => {
  clock(t);
  const w = await world(t, { heartbeatInterval: 100, heartbeatTimeout: 50 });
  const [bad, good] = [await w.member(), await w.member()];
  bad.entry.socket.close = () => {
    throw new Error('gone');
  };
  t.mock.timers.tick(100);
  assert.equal(good.ended?.code, 4002);
});

onFakes('the sweep looks at clients that are authenticated only, and needs configure', async (t) => {
  clock(t);
  const w = await world(t, { configured: false, heartbeatInterval: 100, heartbeatTimeout: 50, authTimeout: 1e6 });
  const [one, two] = [await w.member(), await w.connect()];
  t.mock.timers.tick(1000);
  assert.equal(one.ended, undefined);
  await w.helper.configure();
  t.mock.timers.tick(100);
  assert.deepEqual([one.ended?.code, two.ended], [4002, undefined]);
});

onFakes('a disconnect takes its steps in order, once', async (t) => {
  const seen = [];
  let entry;
  const w = await world(t, {
    clientDisconnectedFn: (opts) => seen.push([opts, entry.state, 'authTimer' in entry, w.helper.getClients({ id: opts.clientId }), w.helper.getClientsByUser({ userId: 'u' }), w.helper.getClientsByRoom({ room: 'r' })]),
  });
  const client = await w.member({ user: 'u' }, { id: 'one' });
  w.helper.joinRoom({ clientId: 'one', room: 'r' });
  entry = client.entry;
  w.helper.onClientDisconnect({ clientId: 'one' });
  assert.deepEqual(seen, [[{ clientId: 'one', userId: 'u' }, 'disconnected', false, undefined, [], []]]);
  assert.ok(!client.socket.calls.some(([name]) => name === 'close'), 'the socket is not closed');
  w.helper.onClientDisconnect({ clientId: 'one' });
  client.close();
  assert.equal(seen.length, 1);
  assert.equal(w.helper.countRoom({ room: 'r' }), 0);
});

rule('clientDisconnectedFn is told also of those that never authenticated, and may fail', async (t) => {
  for (const failing of [() => { throw new Error('no'); }, async () => { throw new Error('no'); }]) {
    const told = spy(failing);
    const w = await world(t, { clientDisconnectedFn: told });
    const client = await w.connect();
    client.close();
    await w.idle();
    assert.deepEqual(told.calls, [[{ clientId: client.id, userId: undefined }]]);
    assert.equal(w.log.matching(/^error: clientDisconnectedFn failed/).length, 1);
  }
});

rule('a client whose entry the application changed is forgotten all the same', async (t) => {
  const w = await world(t);
  const client = await w.member({ user: 'u' });
  client.entry.userId = 'other';
  client.close();
  await w.idle();
  assert.deepEqual(w.helper.getClientsByUser({ userId: 'u' }), []);
});

onFakes('drain clears the flag', async (t) => {
  const w = await world(t);
  const client = await w.member();
  client.entry.backpressured = true;
  w.handler.drain(client.socket);
  assert.equal(client.entry.backpressured, false);
});

onFakes('shutdown takes its steps in order', async (t) => {
  const steps = [];
  let w;
  const redis = new FakeRedis((one, number) => {
    one.does.quit = () => {
      steps.push(`quit ${number}`);
      return Promise.resolve();
    };
  });
  w = await world(t, { redis, clientDisconnectedFn: ({ clientId }) => void steps.push(`gone ${clientId}`), busStateFn: (state) => steps.push(state) });
  const [one, two, three] = [await w.member({ user: 'u' }, { id: 'one' }), await w.member({}, { id: 'two' }), await w.connect({ id: 'three' })];
  two.socket.close = () => {
    throw new Error('gone');
  };
  three.socket.endsAtOnce = false;
  steps.length = 0;
  const entries = [one.entry, two.entry, three.entry];
  const ending = w.helper.shutdown();
  assert.equal(w.helper.shutdown(), ending);
  assert.equal(w.helper.getClients().size, 0);
  assert.deepEqual(entries.map(({ state }) => state), ['disconnected', 'disconnected', 'disconnected']);
  assert.deepEqual([one.ended, three.ended].map(({ code, reason }) => [code, reason]), [[1001, 'Server shutting down'], [1001, 'Server shutting down']]);
  await ending;
  assert.deepEqual(steps, ['gone one', 'gone two', 'gone three', 'quit 0', 'quit 1'], 'each once, both clients of Redis, and no bus state');
  assert.deepEqual([w.helper.getClientsByUser({ userId: 'u' }), w.helper.getClientsByRoom({ room: 'ws-default' })], [[], []]);
  redis.subscriber.is('end');
  redis.publisher.is('close');
  assert.equal(steps.length, 5);
});

rule('shutdown does not wait for functions of the application, which may call it', async (t) => {
  let w;
  let again;
  w = await world(t, { clientDisconnectedFn: () => {
    again = w.helper.shutdown();
    return new Promise(() => {});
  } });
  await w.member();
  const ending = w.helper.shutdown();
  assert.equal(again, ending);
  await ending;
});

onFakes('after shutdown a socket that comes is closed, and nothing is sent to Redis', async (t) => {
  const w = await world(t);
  await w.helper.shutdown();
  const socket = w.socket({ clientId: 'late' });
  w.handler.open(socket);
  assert.deepEqual(socket.calls, [['close', 1001, 'Server shutting down']]);
  assert.equal(w.helper.countClients(), 0);
  const called = deferred();
  w.helper.send({ payload: { topic: 'x', data: 1 }, cb: called.resolve });
  await called.promise;
  assert.deepEqual(w.redis.published, []);
  assert.deepEqual([w.helper.getStats().busFailed, w.helper.getStats().busRefused], [0, 0]);
  w.remote({ serverId: 'emitter', type: 'broadcast', event: 'x', data: 1 });
});

onFakes('a Redis that does not quit is disconnected after 5 s, one that fails at once; failures are logged', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  for (const [quit, waits] of [[() => new Promise(() => {}), true], [() => Promise.reject(new Error('no')), false], [() => { throw new Error('no'); }, false]]) {
    const redis = new FakeRedis((one) => (one.does.quit = quit));
    const w = await world(t, { redis });
    let ended = false;
    const ending = w.helper.shutdown().then(() => (ended = true));
    await turns();
    if (waits) {
      t.mock.timers.tick(4999);
      await turns();
      assert.equal(ended, false);
      t.mock.timers.tick(1);
    }
    await ending;
    for (const one of redis.duplicates) assert.deepEqual(one.calls.at(-1), ['disconnect']);
    assert.equal(w.log.matching(/^warn: the .* did not quit/).length, 2);
    assert.ok(!redis.calls.some(([name]) => name !== 'duplicate'), 'the parent is left alone');
  }
});

onFakes('shutdown works without configure, and a late error of a client of Redis has a handler', async (t) => {
  const w = await world(t, { configured: false });
  await w.helper.shutdown();
  for (const one of w.redis.duplicates) {
    assert.deepEqual(one.calls, [['quit']]);
    one.emit('error', new Error('late'));
  }
});
