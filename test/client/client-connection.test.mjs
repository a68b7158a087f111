// wsbroker/client on sockets and a clock of the tests' own: how it connects, waits and comes back, in exact time.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { connect } from '../../lib/client.mjs';
import { again, at, failure, frame, listen, quiet, subscribed, URL_, welcomed } from './client-kit.mjs';
import { inFakeWorld, settled } from './fake-world.mjs';

describe('the connection', () => {
  test('begins with a hello that has the token, and sends nothing else before the welcome', inFakeWorld(async (world) => {
    let tokens = 0;
    const client = connect(URL_, { token: async () => `t${++tokens}` });
    client.subscribe('a', quiet);
    const published = client.publish('a', 'x');
    assert.equal(client.state, 'connecting');
    await settled();
    assert.deepEqual([world.socket.url, world.socket.asked], [URL_, 'wsbroker.v1']);
    assert.deepEqual(world.socket.sent, []);
    await world.socket.open();
    const [{ client: id, ...hello }, ...more] = world.socket.taken();
    assert.deepEqual(hello, { type: 'hello', token: 't1' });
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.deepEqual(more, []);
    await world.socket.say({ type: 'welcome' });
    assert.equal(client.state, 'open');
    assert.deepEqual(world.socket.taken().map(({ type }) => type), ['subscribe', 'publish'], 'in the order of the calls');
    client.subscribe('b', quiet);
    const later = client.publish('b', 'x');
    await settled();
    assert.deepEqual(world.socket.taken().map(({ type }) => type), ['subscribe', 'publish']);

    // The secret is the same after a reconnect, and the token is a new one.
    await world.socket.end();
    await world.pass(500);
    await world.socket.open();
    assert.deepEqual(world.socket.taken(), [{ type: 'hello', token: 't2', client: id }]);
    client.close();
    await Promise.all([assert.rejects(published, failure('unknown')), assert.rejects(later, failure('unknown'))]);
  }));

  test('needs no token', inFakeWorld(async (world) => {
    const client = connect(URL_);
    await settled();
    await world.socket.open();
    assert.deepEqual(Object.keys(world.socket.sent[0]), ['type', 'client']);
    client.close();
  }));

  test('tells its states', inFakeWorld(async (world) => {
    const client = connect(URL_);
    const states = [];
    const off = client.on('state', (change) => states.push(change));
    await settled();
    await world.socket.welcome();
    await world.socket.end(1001, 'going away');
    await world.pass(500);
    client.close();
    client.close();
    assert.deepEqual(states, [
      { state: 'connecting' }, { state: 'open' },
      { state: 'waiting', retryAt: 1_700_000_000_500, code: 1001, reason: 'going away' },
      { state: 'connecting' }, { state: 'closed' },
    ]);
    off();
  }));

  test('a listener that was removed is not called', inFakeWorld(async (world) => {
    const client = connect(URL_);
    const states = [];
    client.on('state', ({ state }) => states.push(state))();
    await settled();
    assert.deepEqual(states, []);
    client.close();
    assert.equal(world.timers, 0);
  }));

  test('waits twice as long after each failure, up to a maximum', inFakeWorld(async (world) => {
    const client = connect(URL_, { backoff: { min: 100, max: 1000 } });
    await settled();
    for (const wait of [100, 200, 400, 800, 1000, 1000]) {
      const { length } = world.sockets;
      await world.socket.end();
      await world.pass(wait - 1);
      assert.equal(world.sockets.length, length, `not before ${wait} ms`);
      await world.pass(1);
      assert.equal(world.sockets.length, length + 1, `after ${wait} ms`);
    }
    client.close();
  }));

  test('the whole wait is random with a jitter of 1, half of it with 0.5, none with 0', inFakeWorld(async (world) => {
    for (const [jitter, random, wait] of [[1, 0.75, 250], [undefined, 0.75, 250], [0.5, 1, 500], [0, 0.75, 1000]]) {
      world.random = random;
      const client = connect(URL_, { backoff: { min: 1000, jitter } });
      await settled();
      const { length } = world.sockets;
      await world.socket.end();
      await world.pass(wait - 1);
      assert.equal(world.sockets.length, length);
      await world.pass(1);
      assert.equal(world.sockets.length, length + 1);
      client.close();
    }
  }));

  test('a connection of 10 s ends the doubling, a shorter one does not', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const waits = [];
    client.on('state', ({ retryAt }) => retryAt && waits.push(retryAt - Date.now()));
    for (const good of [0, 9_999, 10_000, 0]) {
      await world.pass(good);
      await world.socket.end();
      await world.pass(20_000);
      await world.socket.welcome();
    }
    assert.deepEqual(waits, [500, 1000, 500, 1000]);
    client.close();
  }));

  test('a server that names a time is waited for, and nothing shortens that', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    world.random = 0.5;
    await world.socket.end(1012, 'retry-after=30');
    await world.event('online');
    await world.pass(30_249);
    assert.equal(world.sockets.length, 1);
    await world.pass(1);
    assert.equal(world.sockets.length, 2);
    await world.socket.welcome();
    await world.socket.end(1013, 'busy retry-after=99999999999');
    await world.pass(3_600_249);
    assert.equal(world.sockets.length, 2, 'at most an hour');
    await world.pass(1);
    assert.equal(world.sockets.length, 3);
    await world.socket.welcome();
    // `drain` can be given any code.
    await world.socket.end(4001, 'retry-after=7');
    await world.pass(7_249);
    assert.equal(world.sockets.length, 3);
    await world.pass(1);
    assert.equal(world.sockets.length, 4);
    client.close();
  }));

  for (const event of ['online', 'visibilitychange']) {
    test(`${event} ends a wait`, inFakeWorld(async (world) => {
      const client = connect(URL_);
      await settled();
      for (let failures = 0; failures < 6; failures++) {
        await world.socket.end();
        await world.pass(20_000);
      }
      const { length } = world.sockets;
      await world.socket.end();
      await world.pass(1000);
      assert.equal(world.sockets.length, length);
      // Not at once: everybody's network may be back at the same moment.
      world.random = 0.5;
      await world.event(event);
      await world.pass(249);
      assert.equal(world.sockets.length, length);
      await world.pass(1);
      assert.equal(world.sockets.length, length + 1);
      client.close();
      assert.equal(world.page.get(event).size, 0, 'a closed client listens to nothing');
    }));

    test(`${event} asks at once whether the connection lives`, inFakeWorld(async (world) => {
      const client = await welcomed(world);
      await world.pass(20_000);
      await world.event(event);
      await world.event(event);
      assert.deepEqual(world.socket.taken(), [{ type: 'ping' }]);
      await world.pass(9_999);
      assert.equal(client.state, 'open');
      await world.pass(1);
      assert.equal(client.state, 'waiting');
      client.close();
    }));
  }

  test('a page that hides does not wake the client, the network does even then', inFakeWorld(async (world, put) => {
    put('document', { hidden: true });
    const client = await welcomed(world);
    await world.event('visibilitychange');
    assert.deepEqual(world.socket.taken(), []);
    await world.event('online');
    assert.deepEqual(world.socket.taken(), [{ type: 'ping' }]);
    await world.socket.say({ type: 'pong' });
    await world.pass(1);
    document.hidden = false;
    await world.event('visibilitychange');
    assert.deepEqual(world.socket.taken(), [{ type: 'ping' }]);
    client.close();
  }));

  test('pings after 25 s of silence, and any message is life', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    await world.pass(24_999);
    await world.socket.say({ type: 'pong' });
    await world.pass(24_999);
    assert.deepEqual(world.socket.taken(), []);
    await world.pass(1);
    assert.deepEqual(world.socket.taken(), [{ type: 'ping' }]);
    await world.pass(9_999);
    await world.socket.say({ type: 'message', data: 1 });
    await world.pass(25_000);
    assert.deepEqual(world.socket.taken(), [{ type: 'ping' }], 'asked again, after another silence');
    assert.equal(client.state, 'open');
    assert.equal(world.sockets.length, 1);
    client.close();
  }));

  test('a connection that leaves a ping unanswered for 10 s is dead, and given up', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const changes = [];
    client.on('state', ({ state, reason }) => changes.push([state, reason]));
    const { socket } = world;
    await world.pass(34_999);
    assert.equal(client.state, 'open');
    await world.pass(1);
    assert.deepEqual(changes, [['waiting', 'no pong']]);
    assert.notEqual(socket.closed, undefined);
    await world.pass(500);
    await world.socket.welcome();
    // What the dead one says later counts for nothing.
    await socket.say({ type: 'message', data: 'late' });
    await socket.end();
    assert.equal(client.state, 'open');
    client.close();
  }));

  test('an attempt has 20 s, the token included', inFakeWorld(async (world) => {
    let late;
    const client = connect(URL_, { token: () => (world.time === 0 ? new Promise((resolve) => (late = resolve)) : 't') });
    await world.pass(20_000);
    assert.equal(client.state, 'waiting');
    await world.pass(500);
    late('t');
    await settled();
    assert.equal(world.sockets.length, 1, 'of an attempt that is over nothing counts');
    await world.socket.open();
    await world.pass(20_000);
    assert.equal(client.state, 'waiting', 'a server that does not welcome');
    assert.notEqual(world.sockets[0].closed, undefined);
    client.close();
  }));

  test('a token that cannot be read is told, and tried again', inFakeWorld(async (world) => {
    const errors = [];
    const answers = [() => Promise.reject(new Error('no network')), () => 7, () => 't'];
    const client = connect(URL_, { token: () => answers.shift()() });
    client.on('error', (error) => errors.push(error.message));
    await world.pass(1_500);
    assert.deepEqual(errors, ['no network', 'token(): expected /^\\P{Cs}+$/u, got 7']);
    await world.socket.welcome();
    assert.equal(client.state, 'open');
    client.close();
  }));

  test('a server that does not speak the protocol gets no token', inFakeWorld(async (world) => {
    const client = connect(URL_, { token: () => 't' });
    await settled();
    await world.socket.open('');
    assert.deepEqual(world.socket.sent, []);
    assert.equal(client.state, 'waiting');
    client.close();
  }));

  test('close ends everything', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const { seen } = listen(client, { getState: () => new Promise(() => {}) });
    await settled();
    await world.socket.say(subscribed(at(1)));
    const sent = client.publish('a', 'x');
    const asked = client.request('x');
    await settled();
    const unsent = client.publish('a', 'y');
    client.close();
    assert.equal(client.state, 'closed');
    for (const [call, reason] of [[sent, 'unknown'], [asked, 'unknown'], [unsent, 'closed']]) await assert.rejects(call, failure(reason));
    assert.notEqual(world.socket.closed, undefined);
    await world.socket.say(frame(2));
    await world.event('online');
    await world.pass(100_000);
    assert.deepEqual([world.sockets.length, world.timers, seen], [1, 0, []]);
    assert.throws(() => client.subscribe('b', quiet), failure('closed'));
    await assert.rejects(client.publish('a', 'x'), failure('closed'));
    await assert.rejects(client.request('x'), failure('closed'));
  }));

  test('a client that is closed while it connects or waits does not come back', inFakeWorld(async (world) => {
    connect(URL_).close();
    await settled();
    assert.equal(world.sockets.length, 0);
    const early = connect(URL_, { token: async () => 't' });
    const unsent = early.publish('a', 'x');
    early.close();
    await assert.rejects(unsent, failure('closed'));
    const waiting = connect(URL_);
    await settled();
    waiting.on('state', ({ state }) => state === 'waiting' && waiting.close());
    await world.socket.end();
    await world.pass(100_000);
    assert.deepEqual([world.sockets.length, world.timers, waiting.state], [1, 0, 'closed']);
  }));
});
