// wsbroker/client on sockets and a clock of the tests' own: what a subscriber gets, and what it is told is lost.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { connect } from '../../lib/client.mjs';
import { again, at, EPOCH, failure, frame, listen, quiet, subscribed, URL_, welcomed } from './client-kit.mjs';
import { inFakeWorld, settled } from './fake-world.mjs';

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
