// wsbroker/client on sockets and a clock of the tests' own: every promise, in exact time.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ClientError, connect } from '../../lib/client.mjs';
import { inFakeWorld, settled } from './fake-world.mjs';

const URL_ = 'wss://example.org/socket';
const EPOCH = '0123456789abcdef';
const at = (offset, epoch = EPOCH) => ({ offset, epoch });
const frame = (offset, data = `m${offset}`, channel = 'a') => `${offset} ${channel}\n${data}`;
const subscribed = (position, more) => ({ type: 'subscribed', channel: 'a', recovered: true, replayed: 0, position, ...more });
const quiet = { onMessage() {} };

/** A client that the server has welcomed. */
async function welcomed(world, options) {
  const client = connect(URL_, options);
  await settled();
  await world.socket.welcome();
  world.socket.taken();
  return client;
}

/** Loses the connection, waits, and is welcomed again. Returns what is sent then. */
async function again(world, code, reason) {
  const { length } = world.sockets;
  await world.socket.end(code, reason);
  while (world.sockets.length === length) await world.pass(100);
  await world.socket.welcome();
  const [hello, ...sent] = world.socket.taken();
  assert.equal(hello.type, 'hello');
  return sent;
}

/** A subscription that writes down what happens. */
function listen(client, options = {}) {
  const seen = [];
  const note = (name) => (detail) => void seen.push([name, detail]);
  const subscription = client.subscribe('a', {
    onMessage: ({ offset, data }) => void seen.push(`${offset} ${data}`),
    onLost: note('lost'),
    onEnd: note('end'),
    ...options,
  });
  return { subscription, seen, take: () => seen.splice(0) };
}

const failure = (reason, message = /./) => (error) => {
  assert.ok(error instanceof ClientError, `${error}`);
  assert.deepEqual([error.name, error.reason], ['ClientError', reason]);
  assert.match(error.message, message);
  return true;
};

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

describe('a channel', () => {
  test('gets its messages once, in order, as text and as bytes', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const messages = [];
    client.subscribe('a', { onMessage: (message) => messages.push(message) });
    await settled();
    assert.deepEqual(world.socket.taken(), [{ type: 'subscribe', channels: [{ channel: 'a' }] }]);
    const bytes = new Uint8Array([...new TextEncoder().encode('7 a\n'), 0, 255, 10]).buffer;
    await world.socket.say(
      frame(4), // before `subscribed`: it is nobody's
      subscribed(at(5)),
      frame(6, 'one\ntwo'),
      frame(6),
      frame(3),
      bytes,
      frame(9, ''), // 8 excludes this client
      frame(10, 'x', 'b'),
    );
    assert.deepEqual(messages, [
      { channel: 'a', offset: 6, data: 'one\ntwo' },
      { channel: 'a', offset: 7, data: new Uint8Array([0, 255, 10]) },
      { channel: 'a', offset: 9, data: '' },
    ]);
    client.close();
  }));

  test('names that a frame encodes are decoded', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const name = '100%\n\u0007é 1\u007f';
    const seen = [];
    client.subscribe(name, { onMessage: ({ channel, data }) => seen.push([channel, data]) });
    await settled();
    assert.equal(world.socket.taken()[0].channels[0].channel, name);
    await world.socket.say(subscribed(at(0), { channel: name }), frame(1, 'x', '100%25%0A%07é 1%7F'));
    const line = new TextEncoder().encode('2 100%25%0a%07é 1%7f\ny');
    await world.socket.say(line.buffer);
    assert.deepEqual(seen, [[name, 'x'], [name, new Uint8Array([121])]]);
    client.close();
  }));

  test('goes on after a reconnect from where it was', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const { subscription, take } = listen(client);
    assert.equal(subscription.position, undefined);
    await settled();
    await world.socket.say(subscribed(at(5)));
    assert.deepEqual(subscription.position, at(5));
    await world.socket.say(frame(6), frame(7));
    assert.deepEqual(subscription.position, at(7));
    assert.equal(JSON.stringify(subscription.position), `{"offset":7,"epoch":"${EPOCH}"}`);
    const sent = await again(world);
    assert.deepEqual(sent, [{ type: 'subscribe', channels: [{ channel: 'a', since: at(7) }] }]);
    await world.socket.say(frame(9), subscribed(at(7)), frame(8));
    assert.deepEqual(take(), ['6 m6', '7 m7', '8 m8'], 'nothing of a channel before the server has subscribed it');
    client.close();
  }));

  test('a position that was kept is where it begins, without reading a state', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    let states = 0;
    const { subscription, take } = listen(client, { since: at(3), getState: () => void states++ });
    await settled();
    assert.deepEqual(world.socket.taken()[0].channels, [{ channel: 'a', since: at(3) }]);
    await world.socket.say(subscribed(at(3)), frame(4));
    assert.deepEqual([take(), states, subscription.position], [['4 m4'], 0, at(4)]);
    client.close();
  }));

  test('without a position it begins with the state, and messages wait for that', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    let finish;
    const asked = [];
    const getState = ({ channel, position, signal }) => {
      asked.push([channel, position, signal.aborted]);
      return new Promise((resolve) => (finish = resolve));
    };
    const { subscription, take } = listen(client, { getState });
    await settled();
    await world.socket.say(subscribed(at(5)), frame(6), frame(7));
    assert.deepEqual(asked, [['a', at(5), false]]);
    assert.deepEqual([take(), subscription.position], [[], undefined]);
    finish();
    await settled();
    assert.deepEqual([take(), subscription.position], [['6 m6', '7 m7'], at(7)]);
    await world.socket.say(frame(8));
    assert.deepEqual(take(), ['8 m8']);
    client.close();
  }));

  for (const how of ['recovered: false', 'lost']) {
    test(`${how}: it says so, reads the state, and goes on behind the new position`, inFakeWorld(async (world) => {
      const client = await welcomed(world);
      const order = [];
      const { subscription, take } = listen(client, {
        onLost: (lost) => order.push(['lost', lost]),
        getState: ({ position }) => void order.push(['state', position]),
      });
      await settled();
      await world.socket.say(subscribed(at(5)), frame(6));
      assert.deepEqual(order.splice(0), [['state', at(5)]]);
      const next = at(40, 'another');
      if (how === 'lost') await world.socket.say({ type: 'lost', channel: 'a', position: next }, frame(41));
      else {
        await again(world);
        await world.socket.say(subscribed(next, { recovered: false }), frame(41));
      }
      assert.deepEqual(order, [['lost', { channel: 'a', position: next }], ['state', next]]);
      assert.deepEqual([take(), subscription.position], [['6 m6', '41 m41'], at(41, 'another')]);
      client.close();
    }));
  }

  test('a server that recovers from elsewhere than asked has lost something', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const { take } = listen(client);
    await settled();
    await world.socket.say(subscribed(at(5)));
    await again(world);
    await world.socket.say(subscribed(at(9)), frame(10));
    assert.deepEqual(take(), [['lost', { channel: 'a', position: at(9) }], '10 m10']);
    // A server whose channel has shrunk.
    await again(world);
    await world.socket.say(subscribed(at(3), { recovered: false }), frame(4));
    assert.deepEqual(take(), [['lost', { channel: 'a', position: at(3) }], '4 m4']);
    client.close();
  }));

  test('a state that is overtaken is aborted, and never comes after a newer one', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const running = [];
    const getState = ({ position, signal }) => new Promise((resolve, reject) => running.push({ position, signal, resolve, reject }));
    const { take } = listen(client, { getState });
    await settled();
    await world.socket.say(subscribed(at(5)), frame(6));
    await world.socket.say({ type: 'lost', channel: 'a', position: at(20) }, frame(21));
    assert.deepEqual(running.map(({ position, signal }) => [position.offset, signal.aborted]), [[5, true]], 'not two at a time');
    running[0].reject(running[0].signal.reason);
    await settled();
    assert.deepEqual(running.map(({ position, signal }) => [position.offset, signal.aborted]), [[5, true], [20, false]]);
    await world.socket.say({ type: 'lost', channel: 'a', position: at(30) }, frame(31));
    running[1].resolve('a state that nobody waits for');
    await settled();
    assert.equal(running.at(-1).position.offset, 30);
    assert.deepEqual(take().filter((one) => typeof one === 'string'), []);
    running.at(-1).resolve();
    await settled();
    assert.deepEqual(take(), ['31 m31']);
    assert.deepEqual(world.reported, [], 'an aborted state is no error');
    client.close();
  }));

  test('a state that fails is told and read again, with the waits of the backoff', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const errors = [];
    client.on('error', (error) => errors.push(error.message));
    let calls = 0;
    const { take } = listen(client, {
      getState: () => {
        if (++calls < 3) throw new Error(`failed ${calls}`);
      },
    });
    await settled();
    await world.socket.say(subscribed(at(5)), frame(6));
    await world.pass(499);
    assert.deepEqual([calls, take()], [1, []]);
    await world.pass(1);
    assert.equal(calls, 2);
    // A lost connection does not hold the state up.
    await again(world);
    await world.pass(1000);
    assert.deepEqual([calls, errors, take()], [3, ['failed 1', 'failed 2'], ['6 m6']]);
    client.close();
  }));

  test('a loss ends the wait for a state that failed', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    client.on('error', () => {});
    const states = [];
    const { take } = listen(client, {
      onLost: undefined,
      getState: ({ position }) => {
        states.push(position.offset);
        if (states.length === 1) throw new Error('failed');
      },
    });
    await settled();
    await world.socket.say(subscribed(at(5)), frame(6));
    await settled();
    await world.socket.say({ type: 'lost', channel: 'a', position: at(8) }, frame(9));
    assert.deepEqual([states, take()], [[5, 8], ['9 m9']]);
    client.close();
    assert.equal(world.timers, 0);
  }));

  test('a reconnect while the state is read goes on behind what waits', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    let finish;
    const { take } = listen(client, { getState: () => new Promise((resolve) => (finish = resolve)) });
    await settled();
    await world.socket.say(subscribed(at(5)), frame(6), frame(7));
    assert.deepEqual((await again(world))[0].channels, [{ channel: 'a', since: at(7) }]);
    await world.socket.say(subscribed(at(7)), frame(8));
    finish();
    await settled();
    assert.deepEqual(take(), ['6 m6', '7 m7', '8 m8']);
    client.close();
  }));

  test('at most 10,000 messages wait for a state: then it is read anew', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const states = [];
    const { take } = listen(client, {
      getState: ({ position, signal }) => new Promise((resolve) => {
        states.push(position.offset);
        signal.onabort = resolve;
        if (states.length === 2) resolve();
      }),
    });
    await settled();
    await world.socket.say(subscribed(at(0)));
    await world.socket.say(...Array.from({ length: 10_000 }, (_, index) => frame(index + 1)));
    assert.deepEqual([states, take()], [[0], []]);
    await world.socket.say(frame(10_001), frame(10_002));
    assert.deepEqual([states, take()], [[0, 10_001], ['10002 m10002']]);
    client.close();
  }));

  test("'latest' brings the newest message, also after a reconnect, and never twice", inFakeWorld(async (world) => {
    const client = await welcomed(world);
    let states = 0;
    const { subscription, take } = listen(client, { since: 'latest', getState: () => void states++ });
    await settled();
    assert.deepEqual(world.socket.taken()[0].channels, [{ channel: 'a', since: 'latest' }]);
    await world.socket.say(subscribed(at(8)), frame(9));
    for (const position of [at(8), at(20), at(0, 'another')]) {
      assert.deepEqual((await again(world))[0].channels, [{ channel: 'a', since: 'latest' }]);
      await world.socket.say(subscribed(position), frame(position.offset + 1));
    }
    assert.deepEqual([take(), states, subscription.position], [['9 m9', '21 m21', '1 m1'], 0, at(1, 'another')]);
    client.close();
  }));

  test('what is subscribed in one go is asked for in messages of at most 100', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    for (let index = 0; index < 250; index++) client.subscribe(`c${index}`, quiet);
    await settled();
    const sizes = (messages) => messages.map(({ type, channels }) => [type, channels.length]);
    assert.deepEqual(sizes(world.socket.taken()), [['subscribe', 100], ['subscribe', 100], ['subscribe', 50]]);
    assert.deepEqual(sizes(await again(world)), [['subscribe', 100], ['subscribe', 100], ['subscribe', 50]]);
    client.close();
  }));

  test('messages with long names stay short, and at most 500 channels are asked for at a time', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const names = Array.from({ length: 600 }, (_, index) => `${index}`.padEnd(500, 'é'));
    for (const name of names) client.subscribe(name, quiet);
    await settled();
    const sent = world.socket.taken();
    for (const message of sent) assert.ok(new TextEncoder().encode(JSON.stringify(message)).length < 20_000);
    assert.deepEqual(sent.flatMap(({ channels }) => channels.map(({ channel }) => channel)), names.slice(0, 500));
    await world.socket.say(
      subscribed(at(0), { channel: names[0] }),
      { type: 'refused', channel: names[1], reason: 'unavailable' },
    );
    assert.deepEqual(world.socket.taken().flatMap(({ channels }) => channels.map(({ channel }) => channel)), names.slice(500, 502));
    assert.equal((await again(world)).flatMap(({ channels }) => channels).length, 500);
    client.close();
  }));

  test('one that is refused ends', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    for (const reason of ['forbidden', 'limit']) {
      const { take } = listen(client);
      await settled();
      await world.socket.say({ type: 'refused', channel: 'a', reason });
      assert.deepEqual(take(), [['end', reason]]);
    }
    world.socket.taken();
    assert.deepEqual(await again(world), [], 'it is not asked for again');
    const errors = [];
    client.on('error', (error) => errors.push(error.message));
    client.subscribe('a', quiet);
    await settled();
    await world.socket.say({ type: 'refused', channel: 'a', reason: 'forbidden' });
    assert.deepEqual(errors, ['a: forbidden'], 'without onEnd it is an error');
    client.close();
  }));

  test('one that is unavailable is asked for again, with the waits of the backoff', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const { take } = listen(client);
    await settled();
    world.socket.taken();
    for (const wait of [500, 1000]) {
      await world.socket.say({ type: 'refused', channel: 'a', reason: 'unavailable' });
      await world.pass(wait - 1);
      assert.deepEqual(world.socket.taken(), []);
      await world.pass(1);
      assert.deepEqual(world.socket.taken(), [{ type: 'subscribe', channels: [{ channel: 'a' }] }]);
    }
    await world.socket.say(subscribed(at(1)), frame(2));
    assert.deepEqual(take(), ['2 m2']);
    // That it is there now ends the doubling.
    await again(world);
    await world.socket.say({ type: 'refused', channel: 'a', reason: 'unavailable' });
    await world.pass(500);
    assert.equal(world.socket.taken().length, 1);
    client.close();
  }));

  test('a reconnect asks once for what was unavailable', inFakeWorld(async (world) => {
    const client = await welcomed(world, { backoff: { min: 2000 } });
    listen(client);
    await settled();
    await world.socket.say({ type: 'refused', channel: 'a', reason: 'unavailable' });
    world.random = 0.5;
    await world.socket.end();
    await world.pass(1000);
    await world.socket.welcome();
    await world.pass(20_000);
    assert.deepEqual(world.socket.taken().map(({ type }) => type), ['hello', 'subscribe']);
    client.close();
  }));

  test('one that the server thinks it has already is left and asked for again', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    listen(client);
    await settled();
    world.socket.taken();
    await world.socket.say({ type: 'refused', channel: 'a', reason: 'subscribed' });
    assert.deepEqual(world.socket.taken(), [{ type: 'unsubscribe', channels: ['a'] }]);
    await world.socket.say({ type: 'unsubscribed', channel: 'a' });
    assert.deepEqual(world.socket.taken(), [{ type: 'subscribe', channels: [{ channel: 'a' }] }]);
    client.close();
  }));

  test('one that the server takes away ends', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const { subscription, take } = listen(client);
    await settled();
    await world.socket.say(subscribed(at(1)), frame(2), { type: 'unsubscribed', channel: 'a', reason: 'forbidden' }, frame(3));
    assert.deepEqual(take(), ['2 m2', ['end', 'forbidden']]);
    subscription.unsubscribe();
    world.socket.taken();
    assert.deepEqual(await again(world), []);
    client.close();
  }));

  test('after unsubscribe there is no message, not even one that waited', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    let finish;
    const { take } = listen(client, { getState: ({ signal }) => new Promise((resolve) => (finish = () => resolve(signal))) });
    await settled();
    await world.socket.say(subscribed(at(1)), frame(2));
    world.socket.taken();
    client.unsubscribe('a');
    client.unsubscribe('a');
    client.unsubscribe('never');
    finish();
    await settled();
    await world.socket.say(frame(3));
    assert.deepEqual([take(), world.socket.taken()], [[], [{ type: 'unsubscribe', channels: ['a'] }]]);
    client.close();
  }));

  test('a handler that unsubscribes gets none of those that wait', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const seen = [];
    let finish;
    const subscription = client.subscribe('a', {
      getState: () => new Promise((resolve) => (finish = resolve)),
      onMessage: ({ offset }) => {
        seen.push(offset);
        subscription.unsubscribe();
      },
    });
    await settled();
    await world.socket.say(subscribed(at(1)), frame(2), frame(3));
    finish();
    await settled();
    assert.deepEqual(seen, [2]);
    client.close();
  }));

  test('what is left and taken again waits for the answer, and takes nothing of before', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const first = listen(client);
    await settled();
    first.subscription.unsubscribe();
    const second = listen(client);
    first.subscription.unsubscribe();
    await settled();
    assert.deepEqual(world.socket.taken().map(({ type }) => type), ['subscribe', 'unsubscribe']);
    await world.socket.say(
      subscribed(at(1)),
      frame(2),
      { type: 'lost', channel: 'a', position: at(3) },
      { type: 'unsubscribed', channel: 'a', reason: 'forbidden' },
    );
    assert.deepEqual(world.socket.taken(), [], 'a reason is no answer');
    await world.socket.say({ type: 'unsubscribed', channel: 'a' });
    assert.deepEqual(world.socket.taken(), [{ type: 'subscribe', channels: [{ channel: 'a' }] }]);
    await world.socket.say(subscribed(at(5)), frame(6));
    assert.deepEqual([first.take(), second.take()], [[], ['6 m6']]);
    client.close();
  }));

  test('what is left when the connection is lost needs no answer', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    listen(client).subscription.unsubscribe();
    const first = listen(client).subscription;
    await settled();
    first.unsubscribe();
    listen(client);
    assert.deepEqual((await again(world)).map(({ type }) => type), ['subscribe']);
    client.close();
  }));

  test('what was never asked for is not left', inFakeWorld(async (world) => {
    const client = connect(URL_);
    client.subscribe('a', quiet).unsubscribe();
    await settled();
    await world.socket.welcome();
    assert.deepEqual(world.socket.taken().map(({ type }) => type), ['hello']);
    client.close();
  }));

  test('one channel has one subscription', inFakeWorld(async () => {
    const client = connect(URL_);
    client.subscribe('a', quiet);
    assert.throws(() => client.subscribe('a', quiet), failure('error', /"?a"? is in use/));
    client.close();
  }));
});

describe('publish', () => {
  const published = (id, offset = 1, duplicate = false) => ({ type: 'published', id, position: at(offset), duplicate });

  test('resolves with the position, and takes text and bytes', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const bytes = new Uint8Array([0, 1, 250, 251, 252, 2]);
    const calls = [
      client.publish('a', 'é', { id: 'mine' }),
      client.publish('a', bytes.subarray(2, 5)),
      client.publish('a', bytes.buffer),
      client.publish('a', new DataView(bytes.buffer, 5)),
      client.publish('a', ''),
    ];
    await settled();
    const sent = world.socket.taken();
    assert.deepEqual(sent[0], { type: 'publish', id: 'mine', channel: 'a', data: 'é' });
    assert.deepEqual(sent.slice(1).map(({ base64, data }) => base64 ?? data), ['+vv8', 'AAH6+/wC', 'Ag==', '']);
    for (const { id } of sent.slice(1)) assert.match(id, /^[0-9a-f]{32}$/);
    for (const [index, { id }] of sent.entries()) await world.socket.say(published(id, index + 1, index === 0));
    assert.deepEqual((await Promise.all(calls)).map(({ position, duplicate }) => [position, duplicate]), [
      [at(1), true], [at(2), false], [at(3), false], [at(4), false], [at(5), false],
    ]);
    client.close();
  }));

  test('waits for a connection, and is sent again after a lost one, with its id and in order', inFakeWorld(async (world) => {
    const client = connect(URL_);
    const calls = [client.publish('a', '1'), client.publish('a', '2')];
    await settled();
    await world.socket.welcome();
    const [, ...first] = world.socket.taken();
    await world.socket.say(published(first[0].id));
    calls.push(client.publish('a', '3'));
    await settled();
    const [third] = world.socket.taken();
    assert.deepEqual(await again(world), [first[1], third]);
    assert.deepEqual(await again(world), [first[1], third]);
    await world.socket.say(published(first[1].id, 2, true), published(third.id, 3));
    assert.deepEqual((await Promise.all(calls)).map(({ duplicate }) => duplicate), [false, true, false]);
    assert.deepEqual(await again(world), []);
    client.close();
  }));

  test('is not sent again when the server may have forgotten the id', inFakeWorld(async (world) => {
    const client = connect(URL_, { backoff: { min: 240_000, max: 300_000 } });
    await settled();
    await world.socket.welcome();
    const late = client.publish('a', 'x');
    await settled();
    await world.socket.end();
    const early = client.publish('a', 'y');
    await world.pass(240_001);
    await Promise.all([assert.rejects(late, failure('unknown')), world.socket.welcome()]);
    assert.deepEqual(world.socket.taken().map(({ type, data }) => data ?? type), ['hello', 'y'], 'one that was never sent is sent');
    client.close();
    await assert.rejects(early, failure('unknown'));
  }));

  test('at most 64 are on their way, and 1,000 wait', inFakeWorld(async (world) => {
    const client = connect(URL_);
    const calls = Array.from({ length: 999 }, (_, index) => client.publish('a', `${index}`));
    calls.push(client.request('q', { timeout: 1e9 }));
    for (const call of calls) call.catch(() => {});
    await assert.rejects(client.publish('a', 'x'), failure('limit'));
    await settled();
    await world.socket.welcome();
    const [, ...sent] = world.socket.taken();
    assert.deepEqual(sent.map(({ data }) => data), Array.from({ length: 64 }, (_, index) => `${index}`));
    await world.socket.say(published(sent[5].id), published(sent[3].id));
    assert.deepEqual(world.socket.taken().map(({ data }) => data), ['64', '65']);
    assert.equal((await again(world)).length, 64);
    client.close();
    assert.ok((await Promise.allSettled(calls)).slice(70).every(({ reason }) => reason.reason === 'closed'));
  }));

  test('rejects as the server says', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    for (const reason of ['forbidden', 'unavailable', 'unknown', 'limit', 'error']) {
      const call = client.publish('a', 'x', { id: reason });
      await settled();
      await Promise.all([
        assert.rejects(call, failure(reason, reason === 'error' ? /too loud/ : new RegExp(reason))),
        world.socket.say({ type: 'failed', id: reason, reason, ...(reason === 'error' && { message: 'too loud' }) }),
      ]);
    }
    await world.socket.say({ type: 'failed', id: 'nobody', reason: 'limit' }, published('nobody'));
    world.socket.taken();
    assert.deepEqual(await again(world), []);
    client.close();
  }));

  test('what made the server close the connection is not sent again', inFakeWorld(async (world) => {
    for (const code of [1009, 4400]) {
      const client = await welcomed(world);
      const call = client.publish('a', 'too much');
      await settled();
      const [sent] = await Promise.all([again(world, code, 'bad'), assert.rejects(call, failure('unknown'))]);
      assert.deepEqual(sent, []);
      client.close();
    }
  }));

  test('an id that waits for its answer is in use', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const first = client.publish('a', 'x', { id: 'i' });
    await settled();
    await assert.rejects(client.publish('a', 'y', { id: 'i' }), failure('error', /i is in use/));
    await world.socket.say(published('i'));
    await first;
    client.close();
  }));

  test('a timeout tells whether it may have been done', inFakeWorld(async (world) => {
    const client = connect(URL_);
    await settled();
    const unsent = client.publish('a', 'x', { timeout: 100 });
    await Promise.all([assert.rejects(unsent, failure('timeout', /100 ms/)), world.pass(100)]);
    await world.socket.welcome();
    assert.equal(world.socket.taken().length, 1, 'only the hello');
    const sent = client.publish('a', 'x', { timeout: 100 });
    await Promise.all([assert.rejects(sent, failure('unknown')), world.pass(100)]);
    client.close();
    assert.equal(world.timers, 0);
  }));
});

describe('request', () => {
  test('resolves with the answer', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const calls = [client.request({ a: [1] }), client.request(undefined)];
    await settled();
    assert.deepEqual(world.socket.taken(), [{ type: 'request', id: 1, data: { a: [1] } }, { type: 'request', id: 2, data: null }]);
    await world.socket.say({ type: 'response', id: 2, data: null }, { type: 'response', id: 1, data: { b: 2 } });
    assert.deepEqual(await Promise.all(calls), [{ b: 2 }, null]);
    client.close();
    assert.equal(world.timers, 0);
  }));

  test('one that was sent is never sent again, and rejects as unknown', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const call = client.request('pay');
    await settled();
    const [sent] = await Promise.all([again(world), assert.rejects(call, failure('unknown'))]);
    assert.deepEqual(sent, []);
    client.close();
  }));

  test('one that was not sent waits for the connection', inFakeWorld(async (world) => {
    const client = connect(URL_);
    const call = client.request('q');
    await settled();
    await world.socket.end();
    await world.pass(500);
    await world.socket.welcome();
    assert.deepEqual(world.socket.taken()[1], { type: 'request', id: 1, data: 'q' });
    const answer = { type: 'failed', id: 1, reason: 'error', message: 'no such thing' };
    await Promise.all([assert.rejects(call, failure('error', /no such thing/)), world.socket.say(answer)]);
    client.close();
  }));

  test('gives up after 30 s, or the time that is asked for', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const slow = client.request('q');
    const quick = client.request('q', { timeout: 10 });
    let settledSlow = false;
    slow.catch(() => (settledSlow = true));
    await Promise.all([assert.rejects(quick, failure('unknown')), world.pass(10)]);
    await world.pass(29_989);
    assert.equal(settledSlow, false);
    await Promise.all([assert.rejects(slow, failure('unknown')), world.pass(1)]);
    client.close();
  }));
});

describe('what comes from the server and from the program', () => {
  test('messages of the application are events', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const seen = [];
    client.on('message', (data) => seen.push(data));
    await world.socket.say({ type: 'message', data: { a: 1 } }, { type: 'message', data: null });
    assert.deepEqual(seen, [{ a: 1 }, null]);
    client.close();
  }));

  test('what is not of the protocol is reported and ignored, a type that is not known only ignored', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const errors = [];
    client.on('error', ({ message }) => errors.push(message));
    await world.socket.say({ type: 'from the future' }, { type: 'constructor' }, { type: '__proto__' }, { type: 'pong' });
    assert.deepEqual(errors, []);
    const strange = ['hello', '', '{"a":1}', '{', '7', '12 apples', 'x a\ny', '1 %ff\nx', new ArrayBuffer(0), new Uint8Array([255, 10, 1]).buffer];
    await world.socket.say(...strange);
    assert.equal(errors.length, strange.length);
    for (const message of errors) assert.match(message, /not of wsbroker.v1: use sendMessage/);
    assert.equal(client.state, 'open');
    client.close();
  }));

  test('a function of the program that throws disturbs nothing', inFakeWorld(async (world) => {
    const client = await welcomed(world);
    const boom = (name) => () => {
      throw new Error(name);
    };
    const errors = [];
    const off = client.on('error', ({ message }) => errors.push(message));
    client.on('message', boom('message'));
    client.on('state', boom('state'));
    client.subscribe('a', { onMessage: boom('onMessage'), onLost: boom('onLost'), onEnd: boom('onEnd') });
    await settled();
    await world.socket.say(
      { type: 'message', data: 1 },
      subscribed(at(1)),
      frame(2),
      { type: 'lost', channel: 'a', position: at(5) },
      frame(6),
      { type: 'unsubscribed', channel: 'a', reason: 'forbidden' },
    );
    assert.deepEqual(errors, ['message', 'onMessage', 'onLost', 'onMessage', 'onEnd']);
    assert.equal(client.state, 'open');
    off();
    await world.socket.say({ type: 'message', data: 1 });
    assert.deepEqual(world.reported.map(({ message }) => message), ['message'], 'without a listener it is reported');
    client.on('error', boom('error'));
    await world.socket.say({ type: 'message', data: 1 });
    assert.deepEqual(world.reported.map(({ message }) => message), ['message', 'error']);
    client.close();
  }));

  test('where there is no reportError, errors are printed', inFakeWorld(async (world, put) => {
    put('reportError', undefined);
    const printed = [];
    console.error = (error) => printed.push(error.message);
    const client = await welcomed(world);
    await world.socket.say('hello');
    assert.equal(printed.length, 1);
    client.close();
  }));
});

describe('arguments', () => {
  test('addresses', inFakeWorld(async (world, put) => {
    const opened = async (url) => {
      const client = connect(url);
      await settled();
      client.close();
      return world.socket.url;
    };
    assert.equal(await opened('http://a.example/x?y#z'), 'ws://a.example/x?y');
    assert.equal(await opened(new URL('https://a.example')), 'wss://a.example/');
    assert.equal(await opened('ws://a.example:81/'), 'ws://a.example:81/');
    assert.throws(() => connect('/socket'), { name: 'TypeError', message: 'url: expected a ws: or wss: URL, got "/socket"' });
    put('location', { href: 'https://page.example/room/' });
    assert.equal(await opened('/socket'), 'wss://page.example/socket');
    for (const url of ['ftp://a.example', 'ws://', undefined]) {
      put('location', undefined);
      assert.throws(() => connect(url), { name: 'TypeError', message: /^url: expected a ws: or wss: URL, got / });
    }
  }));

  test('wrong ones are named', inFakeWorld(async (world) => {
    const options = (value) => () => connect(URL_, value);
    const client = connect(URL_);
    const channel = (value) => () => client.subscribe('a', value);
    for (const [call, name, message] of [
      [options(7), 'TypeError', 'options: expected object, got 7'],
      [options({ tokens: 1 }), 'TypeError', 'option: expected token, backoff, got "tokens"'],
      [options({ token: 'abc' }), 'TypeError', 'token: expected function, got "abc"'],
      [options({ backoff: 5 }), 'TypeError', 'backoff: expected object, got 5'],
      [options({ backoff: { least: 5 } }), 'TypeError', 'option: expected min, max, jitter, got "least"'],
      [options({ backoff: { min: 0 } }), 'RangeError', 'min: expected 1 to 2147483647, got 0'],
      [options({ backoff: { min: '5' } }), 'TypeError', 'min: expected 1 to 2147483647, got "5"'],
      [options({ backoff: { min: 500, max: 400 } }), 'RangeError', 'max: expected 500 to 2147483647, got 400'],
      [options({ backoff: { jitter: 1.5 } }), 'RangeError', 'jitter: expected 0 to 1, got 1.5'],
      [options({ backoff: { jitter: NaN } }), 'RangeError', /^jitter: expected 0 to 1, got/],
      [() => client.subscribe('', quiet), 'TypeError', 'channel: expected /^\\P{Cs}+$/u, got ""'],
      [() => client.subscribe(7, quiet), 'TypeError', 'channel: expected /^\\P{Cs}+$/u, got 7'],
      [() => client.subscribe('a\ud800', quiet), 'TypeError', 'channel: expected /^\\P{Cs}+$/u, got "a\\ud800"'],
      [channel(), 'TypeError', 'onMessage: expected function, got undefined'],
      [channel({ ...quiet, onlost: quiet }), 'TypeError', 'option: expected onMessage, onLost, getState, onEnd, since, got "onlost"'],
      [channel({ ...quiet, getState: 'x' }), 'TypeError', 'getState: expected function, got "x"'],
      [channel({ ...quiet, since: 'then' }), 'TypeError', 'since: expected object, got "then"'],
      [() => client.on('state', undefined), 'TypeError', 'listener: expected function, got undefined'],
    ]) assert.throws(call, { name, message }, `${message}`);
    for (const [call, name, message] of [
      [client.publish('', 'x'), 'TypeError', 'channel: expected /^\\P{Cs}+$/u, got ""'],
      [client.publish('a', 7), 'TypeError', 'data: expected string or bytes, got 7'],
      [client.publish('a'), 'TypeError', 'data: expected string or bytes, got undefined'],
      [client.publish('a', 'x', { id: 'x'.repeat(65) }), 'TypeError', /^id: expected \/\^\[!-~\]\{1,64\}\$\/, got "xxx/],
      [client.publish('a', 'x', { id: 'a b' }), 'TypeError', /^id: /],
      [client.publish('a', 'x', { timeout: 0 }), 'RangeError', 'timeout: expected 1 to 2147483647, got 0'],
      [client.request('x', { timeout: '1' }), 'TypeError', 'timeout: expected 1 to 2147483647, got "1"'],
      [client.request('x', { id: 1 }), 'TypeError', 'option: expected timeout, got "id"'],
    ]) await assert.rejects(call, { name, message });
    client.close();
    assert.equal(world.timers, 0);
  }));
});
