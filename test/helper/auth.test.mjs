// Section 6: from `authenticate` to `connected`.
import assert from 'node:assert/strict';

import { deferred, onFakes, rule, spy, turns, world } from './world.mjs';

const error = (message) => ({ event: 'error', data: { message } });

rule('authenticate twice is answered and changes nothing', async (t) => {
  const verdict = deferred();
  const asked = spy(() => verdict.promise);
  const w = await world(t, { authenticateFn: asked });
  const client = await w.connect();
  client.send({ event: 'authenticate' });
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(client.take(), [error('Already authenticated')]);
  verdict.resolve({ userId: 'u' });
  await w.idle();
  client.take();
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(client.take(), [error('Already authenticated')]);
  assert.equal(asked.calls.length, 1);
  assert.equal(client.entry.state, 'authenticated');
});

onFakes('authenticateFn is called a microtask later, in state authenticating', async (t) => {
  const asked = spy(() => null);
  const w = await world(t, { authenticateFn: asked });
  const client = await w.connect();
  const { authTimer } = client.entry;
  client.send({ event: 'authenticate', data: { a: 1 } });
  assert.equal(client.entry.state, 'authenticating');
  assert.notEqual(client.entry.authTimer, authTimer, 'the timer is another');
  assert.equal(asked.calls.length, 0);
  await null;
  assert.deepEqual(asked.calls, [[{ a: 1 }]]);
});

rule('authenticateFn gets the data as it came, {} where there is none', async (t) => {
  const asked = spy(() => ({}));
  const w = await world(t, { authenticateFn: asked });
  for (const [data, given] of [[undefined, {}], [null, {}], [0, 0], ['', ''], [false, false], ['text', 'text'], [[1], [1]], [{ a: 1 }, { a: 1 }]]) {
    const client = await w.connect();
    client.send({ event: 'authenticate', data });
    await w.idle();
    assert.deepEqual(asked.calls.pop(), [given]);
  }
});

onFakes('a falsy result fails, and the state waits for the close event', async (t) => {
  for (const result of [null, false, undefined, 0, '']) {
    const w = await world(t, { authenticateFn: async () => result });
    const client = await w.connect();
    client.socket.endsAtOnce = false;
    const { entry } = client;
    client.send({ event: 'authenticate' });
    await w.idle();
    assert.deepEqual(client.take(), [error('Authentication failed')]);
    assert.deepEqual(client.ended, { code: 4003, reason: 'Authentication failed' });
    assert.equal(entry.state, 'authenticating');
    assert.equal(client.entry, entry, 'cleanup waits for the close event');
    client.socket.end();
    assert.equal(entry.state, 'disconnected');
    assert.equal(client.entry, undefined);
  }
});

onFakes('a rejection fails, and so do a throw and a missing function', async (t) => {
  for (const authenticateFn of [async () => { throw new Error('no'); }, () => { throw new Error('no'); }, undefined, 'nothing', () => Object.defineProperty({}, 'userId', { get: () => { throw new Error('no'); } })]) {
    const w = await world(t, { authenticateFn });
    const client = await w.connect();
    client.socket.endsAtOnce = false;
    client.send({ event: 'authenticate' });
    await w.idle();
    assert.deepEqual(client.take(), [error('Authentication error')]);
    assert.deepEqual(client.ended, { code: 4003, reason: 'Authentication failed' });
    assert.equal(client.entry.state, 'authenticating');
    assert.equal(w.log.matching(/^error: /).length, 1);
  }
});

rule('anything truthy is a success', async (t) => {
  for (const result of [true, {}, 'text', 1, []]) {
    const w = await world(t, { authenticateFn: () => result });
    const client = await w.connect();
    client.send({ event: 'authenticate' });
    await w.idle();
    const [{ event, data }] = client.take();
    assert.equal(event, 'connected');
    assert.deepEqual(Object.keys(data), ['id', 'time']);
    assert.ok(!('userId' in client.entry) && !('metadata' in client.entry) && !('authTimer' in client.entry));
  }
});

onFakes('an answer for an entry that has gone is nobody\'s, also where the id has come again', async (t) => {
  for (const settle of [({ resolve }) => resolve({ userId: 'u' }), ({ resolve }) => resolve(null), ({ reject }) => reject(new Error('late'))]) {
    const verdict = deferred();
    const connected = spy();
    const w = await world(t, { authenticateFn: () => verdict.promise, clientConnectedFn: connected });
    const client = await w.connect({ id: 'one' });
    client.send({ event: 'authenticate' });
    await w.idle();
    client.close();
    const again = await w.connect({ id: 'one' });
    const lines = w.log.lines.length;
    settle(verdict);
    await w.idle();
    assert.equal(again.entry.state, 'unauthorized');
    assert.deepEqual([client.take(), again.take(), again.ended], [[], [], undefined]);
    assert.equal(connected.calls.length, 0);
    assert.equal(w.log.lines.length, lines, 'silently');
    assert.deepEqual(w.helper.getClientsByUser({ userId: 'u' }), []);
  }
});

onFakes('a success takes its steps in order', async (t) => {
  const steps = [];
  const note = (step) => steps.push(step);
  let w;
  const handshakeFn = ({ clientId, userId, data }) => {
    const entry = w.helper.getClients({ id: clientId });
    note(['handshake', userId, data, entry.state, entry.metadata, 'authTimer' in entry, w.helper.getClientsByUser({ userId }).length]);
    return { serverPublicKey: 'k', salt: 's' };
  };
  w = await world(t, {
    defaultRooms: ['d1', 'd2'],
    requireEncryption: true,
    authenticateFn: (data) => (note(['authenticate', data]), { userId: 7, metadata: { m: 1 } }),
    handshakeFn,
    outboundTransformer: ({ client, event }) => {
      note(['transformer', event, [...client.rooms], 'authTimer' in client, w.helper.getClientsByUser({ userId: 7 }).length]);
      return null;
    },
    clientConnectedFn: (opts) => note(['connected', opts]),
  });
  const client = await w.connect({ id: 'one' });
  client.send({ event: 'authenticate', data: { t: 1 } });
  await w.idle();
  assert.deepEqual(steps, [
    ['authenticate', { t: 1 }],
    ['handshake', 7, { t: 1 }, 'authenticated', { m: 1 }, true, 0],
    ['transformer', 'connected', ['one', 'd1', 'd2'], false, 1],
    ['connected', { clientId: 'one', userId: 7, metadata: { m: 1 } }],
  ]);
  assert.deepEqual(client.socket.calls.filter(([name]) => name !== 'send'), [
    ['subscribe', 'one'], ['unsubscribe', 'ws:internal:broadcast'], ['unsubscribe', 'one'],
  ], 'encrypted: nothing is subscribed');
});

onFakes('in clear: broadcast, the own id again, the default rooms, then connected, then clientConnectedFn', async (t) => {
  let calls;
  const w = await world(t, { clientConnectedFn: ({ clientId }) => (calls = [...w.helper.getClients({ id: clientId }).socket.calls]) });
  const client = await w.member({ user: 'u' }, { id: 'one' });
  assert.deepEqual(calls.slice(0, -1), [['subscribe', 'one'], ['subscribe', 'ws:internal:broadcast'], ['subscribe', 'one'], ['subscribe', 'ws-default'], ['subscribe', 'ws-notification']]);
  assert.equal(calls.at(-1)[0], 'send');
  assert.deepEqual([...client.entry.rooms], ['one', 'ws-default', 'ws-notification']);
});

onFakes('connected is exact', async (t) => {
  const w = await world(t);
  for (const [data, pattern] of [
    [{ user: 'u', metadata: { secret: 1 } }, /^\{"event":"connected","data":\{"id":"a","userId":"u","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}\}$/],
    [{}, /^\{"event":"connected","data":\{"id":"a","time":"[^"]+"\}\}$/],
  ]) {
    const client = await w.connect({ id: 'a' });
    client.send({ event: 'authenticate', data });
    await w.idle();
    const texts = client.takeTexts();
    assert.equal(texts.length, 1);
    assert.match(texts[0], pattern);
    client.close();
  }
});

rule('a user id is indexed as text, if it is truthy', async (t) => {
  const w = await world(t);
  const client = await w.member({ user: 7 });
  assert.equal(client.entry.userId, 7, 'the entry has it as it came');
  await w.member({ user: 0 });
  await w.member({ user: '' });
  assert.equal(w.helper.getClientsByUser({ userId: '7' }).length, 1);
  assert.deepEqual([w.helper.getClientsByUser({ userId: '0' }), w.helper.getClientsByUser({ userId: '' })], [[], []]);
});

rule('a failing clientConnectedFn is logged only', async (t) => {
  for (const clientConnectedFn of [() => { throw new Error('no'); }, async () => { throw new Error('no'); }]) {
    const w = await world(t, { clientConnectedFn });
    const client = await w.member();
    await turns();
    assert.equal(client.entry.state, 'authenticated');
    assert.equal(client.ended, undefined);
    assert.equal(w.log.matching(/^error: clientConnectedFn failed/).length, 1);
  }
});

onFakes('a client that goes while connected is sent has no clientConnectedFn behind its clientDisconnectedFn', async (t) => {
  const told = [];
  const w = await world(t, { clientConnectedFn: () => told.push('connected'), clientDisconnectedFn: () => told.push('disconnected') });
  const client = await w.connect();
  client.socket.send = () => client.close();
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(told, ['disconnected']);
});

rule('a user id that cannot be sent does not end the process', async (t) => {
  const w = await world(t, { authenticateFn: () => ({ userId: 7n }) });
  const client = await w.connect();
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.equal(client.entry.state, 'authenticated');
  assert.equal(w.log.matching(/connected to client .* cannot be sent/).length, 1);
});

onFakes('a client that does not authenticate in time is closed without an error event, and stays until the close event', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  for (const [options, ms] of [[{}, 5000], [{ authTimeout: 70 }, 70]]) {
    const w = await world(t, options);
    const client = await w.connect();
    client.socket.endsAtOnce = false;
    client.send({ event: 'heartbeat' });
    t.mock.timers.tick(ms - 1);
    assert.equal(client.ended, undefined);
    t.mock.timers.tick(1);
    assert.deepEqual(client.ended, { code: 4001, reason: 'Authentication timeout' });
    assert.deepEqual(client.take(), []);
    assert.notEqual(client.entry, undefined);
    client.socket.end();
    assert.equal(client.entry, undefined);
  }
});

onFakes('an authentication may take three times as long', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const w = await world(t, { authTimeout: 100, authenticateFn: () => new Promise(() => {}) });
  const client = await w.connect();
  t.mock.timers.tick(99);
  client.send({ event: 'authenticate' });
  t.mock.timers.tick(299);
  assert.equal(client.ended, undefined);
  t.mock.timers.tick(1);
  assert.deepEqual(client.ended, { code: 4001, reason: 'Authentication timeout' });
  assert.deepEqual(client.take(), []);
});

onFakes('neither timer touches a client that is finished, or that has gone', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const w = await world(t, { authTimeout: 100, heartbeatInterval: 1e9 });
  const client = await w.connect({ id: 'one' });
  client.send({ event: 'authenticate' });
  await turns();
  const gone = await w.connect({ id: 'two' });
  gone.close();
  const again = await w.connect({ id: 'two' });
  again.send({ event: 'authenticate' });
  await turns();
  t.mock.timers.tick(10_000);
  assert.deepEqual([client.ended, again.ended], [undefined, undefined]);
});

onFakes('an authTimeout longer than a timer can be is no short one', async (t) => {
  const delays = [];
  const real = setTimeout;
  t.mock.method(globalThis, 'setTimeout', (fn, ms, ...more) => (delays.push(ms), real(fn, ms, ...more)));
  const w = await world(t, { authTimeout: Infinity });
  await w.connect();
  assert.ok(delays.every((ms) => ms <= 2 ** 31 - 1));
});

rule('keys of a client that is not encrypted are not reported', async (t) => {
  let w;
  w = await world(t, { clientConnectedFn: () => undefined, authenticateFn: () => {
    for (const entry of w.helper.getClients().values()) Object.assign(entry, { serverPublicKey: 'k', salt: 's' });
    return {};
  } });
  const client = await w.connect();
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(Object.keys(client.take()[0].data), ['id', 'time']);
});

onFakes('the first timer is for those that are unauthorized', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const w = await world(t, { authTimeout: 100, heartbeatInterval: 1e9 });
  const client = await w.connect();
  client.entry.state = 'authenticating';
  t.mock.timers.tick(100);
  assert.equal(client.ended, undefined);
});

rule('a user id that has no text, and keys that cannot be read, are failed authentications', async (t) => {
  const odd = JSON.parse('{"toString":null,"valueOf":null}');
  const w = await world(t, { authenticateFn: ({ userId }) => ({ userId }) });
  const client = await w.connect();
  client.send({ event: 'authenticate', data: { userId: odd } });
  await w.idle();
  assert.deepEqual(client.take(), [error('Authentication error')]);
  assert.equal(client.ended.code, 4003);

  const handshakeFn = () => ({ get serverPublicKey() { throw new Error('no'); } });
  const other = await world(t, { requireEncryption: true, handshakeFn, outboundTransformer: () => null });
  const second = await other.connect();
  second.send({ event: 'authenticate' });
  await other.idle();
  assert.deepEqual(second.take(), [error('Authentication error')]);
  assert.equal(second.ended.code, 4003);
});
