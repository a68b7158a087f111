// wsbroker/client on sockets and a clock of the tests' own: publishing, requests, events and arguments.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { connect } from '../../lib/client.mjs';
import { again, at, failure, frame, quiet, subscribed, URL_, welcomed } from './client-kit.mjs';
import { inFakeWorld, settled } from './fake-world.mjs';

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
