// Sections 4 (connecting), 5 and G: what clients send.
import assert from 'node:assert/strict';

import { FakeSocket } from './fakes.mjs';
import { deferred, onFakes, rule, spy, turns, world } from './world.mjs';

const error = (message) => ({ event: 'error', data: { message } });
const UNANSWERED = [];

rule('a new client is unauthorized, and hears its own id only', async (t) => {
  const w = await world(t);
  const before = Date.now();
  const { entry, id, socket } = await w.connect();
  const { authTimer, connectedAt, ...rest } = entry;
  assert.deepEqual(rest, { id, socket, state: 'unauthorized', rooms: new Set(), backpressured: false, encrypted: false, lastActivity: connectedAt });
  assert.ok(connectedAt >= before && connectedAt <= Date.now());
  assert.notEqual(authTimer, undefined);
  assert.ok(socket.isSubscribed(id));
  if (w.native) return;
  assert.deepEqual(socket.topics, [id]);
  assert.deepEqual(socket.calls, [['subscribe', id]]);
});

onFakes('an id that is known keeps its entry; another socket with it is refused, and its events are ignored', async (t) => {
  const handled = spy();
  const w = await world(t, { messageHandler: handled });
  const client = await w.member({}, { id: 'one' });
  const { entry } = client;
  w.handler.open(client.socket);
  client.send({ event: 'still' });
  assert.equal(handled.calls.length, 1, 'the same socket again changes nothing');
  const other = w.socket({ clientId: 'one' });
  w.handler.open(other);
  assert.deepEqual(other.calls, [], 'not even closed: that is for the native transport');
  entry.backpressured = true;
  const { lastActivity } = entry;
  entry.lastActivity = 5;
  w.handler.message(other, '{"event":"any"}');
  w.handler.drain(other);
  w.handler.close(other, 1000, '');
  assert.deepEqual([entry.lastActivity, entry.backpressured, handled.calls.length], [5, true, 1]);
  assert.equal(w.helper.getClients({ id: 'one' }), entry);
  assert.ok(lastActivity > 5);
  client.close();
  w.handler.open(other);
  other.handler.message(other, '{"event":"heartbeat"}');
  assert.notEqual(w.helper.getClients({ id: 'one' }), undefined, 'it may come when the other has gone');
  other.end();
  assert.equal(w.helper.getClients({ id: 'one' }), undefined);
});

onFakes('events count for the id that they carry, whatever socket they come from', async (t) => {
  const handled = spy();
  const w = await world(t, { messageHandler: handled });
  const client = await w.member();
  w.handler.message({ data: { clientId: client.id } }, '{"event":"x"}');
  assert.equal(handled.calls.length, 1);
  client.entry.backpressured = true;
  w.handler.drain({ data: { clientId: client.id } });
  assert.equal(client.entry.backpressured, false);
  w.handler.close({ data: { clientId: client.id } }, 1000, '');
  assert.equal(client.entry, undefined);
});

onFakes('a socket without an id is closed, and its other events are ignored', async (t) => {
  const w = await world(t);
  for (const data of [undefined, null, {}, { clientId: '' }]) {
    const socket = new FakeSocket(w.server, w.handler, data);
    w.handler.open(socket);
    assert.deepEqual(socket.calls, [['close', 1008, 'Missing client id']]);
    w.handler.message(socket, '{}');
    w.handler.drain(socket);
  }
  assert.equal(w.helper.countClients(), 0);
});

onFakes('a socket that fails to subscribe is a client all the same', async (t) => {
  const w = await world(t);
  const socket = w.socket({ clientId: 'x' });
  socket.subscribe = () => {
    throw new Error('closing');
  };
  w.handler.open(socket);
  assert.equal(w.helper.countClients(), 1);
});

onFakes('of unknown clients nothing is looked at', async (t) => {
  const w = await world(t, { messageHandler: spy() });
  w.helper.onClientMessage({ clientId: 'nobody', raw: 'no json' });
  w.handler.message({ data: { clientId: 'nobody' } }, 'no json');
  w.handler.drain({ data: { clientId: 'nobody' } });
  w.helper.onClientDisconnect({ clientId: 'nobody' });
});

rule('what is no JSON is answered, in any state; what has no event is not', async (t) => {
  const handled = spy();
  const w = await world(t, { messageHandler: handled });
  for (const client of [await w.connect(), await w.member()]) {
    for (const raw of ['', '{', 'undefined', "{'a':1}"]) {
      client.send(raw);
      await w.idle();
      assert.deepEqual(client.take(), [error('Invalid message format')]);
    }
    for (const raw of ['null', '1', 'true', '"text"', '[]', '[{"event":"x"}]', '{}', '{"event":""}', '{"event":0}', '{"event":null}', '{"data":1}']) {
      client.send(raw);
      await w.idle();
      assert.deepEqual(client.take(), UNANSWERED, raw);
    }
    assert.equal(client.ended, undefined);
  }
  assert.equal(handled.calls.length, 0);
});

rule('what a client sent is never logged', async (t) => {
  const w = await world(t);
  const client = await w.connect();
  client.send('{"event":"x", secret');
  client.send({ event: 'authenticate', data: { token: 'secret' } });
  await w.idle();
  client.send({ event: 'join', data: { rooms: ['a'], more: 'secret' } });
  client.send({ event: 'x', data: 'secret' });
  w.helper.sendToClient({ clientId: client.id, event: 'x', data: 'secret', doLog: true });
  w.remote('{"secret');
  assert.doesNotMatch(JSON.stringify(w.log.lines.map((line) => line.map(String))), /secret/);
});

rule('a heartbeat is consumed in every state', async (t) => {
  const verdict = deferred();
  const handled = spy();
  const w = await world(t, { authenticateFn: () => verdict.promise, messageHandler: handled });
  const client = await w.connect();
  client.send({ event: 'heartbeat' });
  client.send({ event: 'authenticate' });
  client.send({ event: 'heartbeat' });
  verdict.resolve({});
  await w.idle();
  assert.equal(client.take()[0].event, 'connected');
  client.send({ event: 'heartbeat', data: 1 });
  await w.idle();
  assert.deepEqual(client.take(), UNANSWERED);
  assert.equal(handled.calls.length, 0);
});

rule('before it is authenticated a client is told so, and stays', async (t) => {
  const handled = spy();
  const verdict = deferred();
  const w = await world(t, { authenticateFn: () => verdict.promise, messageHandler: handled, validateRoomFn: handled });
  const client = await w.connect();
  const tries = async () => {
    for (const event of ['join', 'leave', 'connected', 'any']) {
      client.send({ event, data: { rooms: ['a'] } });
      await w.idle();
      assert.deepEqual(client.takeTexts(), ['{"event":"error","data":{"message":"Not authenticated"}}'], event);
    }
  };
  await tries();
  client.send({ event: 'authenticate' });
  await tries();
  assert.equal(client.ended, undefined);
  assert.equal(handled.calls.length, 0);
});

rule('everything else goes to messageHandler at once and whole, whatever its name', async (t) => {
  const handled = spy();
  const w = await world(t, { messageHandler: handled });
  const [one, two] = [await w.member({ user: 'u' }), await w.member()];
  for (const event of ['connected', 'disconnect', 'error', 'encrypted', 'chat', 'Join']) {
    const message = { event, data: { a: [1] }, id: 'i', more: null };
    one.send(message);
    await w.idle();
    assert.deepEqual(handled.calls.pop(), [{ clientId: one.id, userId: 'u', message }]);
  }
  two.send({ event: 'x' });
  two.send({ event: 5 });
  await w.idle();
  assert.deepEqual(handled.calls, [[{ clientId: two.id, userId: undefined, message: { event: 'x' } }], [{ clientId: two.id, userId: undefined, message: { event: 5 } }]]);
  assert.deepEqual([one.take(), two.take()], [[], []]);
});

rule('without a messageHandler there is a debug line', async (t) => {
  const w = await world(t);
  const client = await w.member();
  client.send({ event: 'chat', data: 1 });
  await w.idle();
  assert.deepEqual(w.log.matching(/"chat"/), [`debug: no messageHandler for "chat" of client ${client.id}`]);
});

rule('a messageHandler that throws, rejects, or gives an odd thenable costs nobody anything', async (t) => {
  for (const failing of [
    () => { throw new Error('sync'); },
    async () => { throw new Error('async'); },
    () => ({ then: () => { throw new Error('then'); } }),
    () => Object.defineProperty({}, 'then', { get: () => { throw new Error('getter'); } }),
    () => ({ then: (_, reject) => reject(new Error('rejecting')) }),
  ]) {
    const w = await world(t, { messageHandler: failing });
    const client = await w.member();
    client.send({ event: 'x' });
    await w.idle();
    assert.equal(w.log.matching(/^error: messageHandler failed/).length, 1);
    assert.equal(client.ended, undefined);
  }
});

rule('binary frames are text in UTF-8, from whatever view', async (t) => {
  const handled = spy();
  const w = await world(t, { messageHandler: handled });
  const client = await w.member();
  const bytes = Buffer.from('xx{"event":"ü→🙂"}').subarray(2);
  for (const frame of [bytes, new Uint8Array(bytes), new DataView(new Uint8Array(bytes).buffer), new Uint8Array(bytes).buffer]) {
    client.frame(frame);
    await w.idle();
    assert.deepEqual(handled.calls.pop()[0].message, { event: 'ü→🙂' });
  }
  client.frame(Buffer.from([0xff]));
  await w.idle();
  assert.deepEqual(client.take(), [error('Invalid message format')]);
});

rule('every frame of a known client is activity, valid or not; a direct call is not', async (t) => {
  const w = await world(t);
  const client = await w.member();
  for (const frame of ['{"event":"heartbeat"}', 'no json', 'null', '{"event":"x"}']) {
    client.entry.lastActivity = 1;
    client.frame(frame);
    await w.idle();
    assert.ok(client.entry.lastActivity > 1, frame);
  }
  client.entry.lastActivity = 1;
  w.helper.onClientMessage({ clientId: client.id, raw: '{"event":"heartbeat"}' });
  assert.equal(client.entry.lastActivity, 1);
});

rule('activity is noted before the message is routed', async (t) => {
  let seen;
  const w = await world(t, { messageHandler: ({ clientId }) => (seen = w.helper.getClients({ id: clientId }).lastActivity) });
  const client = await w.member();
  client.entry.lastActivity = 1;
  client.send({ event: 'x' });
  await w.idle();
  assert.ok(seen > 1);
});

rule('a frame over maxAuthPayloadLength closes before the client is finished, and not after', async (t) => {
  const sized = (bytes, letter = 'x') => `{"event":"heartbeat","data":"${letter.repeat((bytes - 31) / Buffer.byteLength(letter))}"}`;
  assert.equal(Buffer.byteLength(sized(32768)), 32768);
  for (const [options, limit] of [[{}, 32768], [{ maxAuthPayloadLength: 100 }, 100]]) {
    const w = await world(t, options);
    const client = await w.connect();
    client.frame(sized(limit));
    client.frame(Buffer.from(sized(limit)));
    await w.idle();
    assert.equal(client.ended, undefined, 'that many bytes pass');
    client.frame(sized(limit + 1));
    await w.idle();
    assert.deepEqual(client.ended, { code: 1009, reason: 'Received too big message' });
    const binary = await w.connect();
    binary.frame(Buffer.from(sized(limit + 1)));
    const wide = await w.connect();
    wide.frame(JSON.stringify({ event: 'x', data: '→'.repeat(limit / 2) }));
    await w.idle();
    assert.deepEqual([binary.ended?.code, wide.ended?.code], [1009, 1009], 'bytes are counted');
    const member = await w.member();
    member.frame(sized(limit + 1));
    await w.idle();
    assert.equal(member.ended, undefined);
    assert.deepEqual([client.take(), wide.take()], [UNANSWERED, UNANSWERED]);
  }
  const free = await world(t, { maxAuthPayloadLength: Infinity });
  const client = await free.connect();
  client.frame(sized(100_000));
  await free.idle();
  assert.equal(client.ended, undefined);
});

onFakes('frames of any kind are counted until the client is finished; one too many closes unanswered', async (t) => {
  const verdict = deferred();
  for (const [options, limit] of [[{}, 128], [{ maxUnauthenticatedMessages: 4 }, 4]]) {
    const w = await world(t, { ...options, authenticateFn: () => verdict.promise });
    const client = await w.connect();
    const kinds = ['no json', '{"event":"heartbeat"}', '{"event":"authenticate"}', '{"event":"x"}'];
    for (let i = 0; i < limit; i++) client.frame(kinds[i % 4]);
    await w.idle();
    assert.equal(client.ended, undefined);
    client.take();
    client.socket.endsAtOnce = false;
    client.frame('no json');
    client.frame('no json');
    await w.idle();
    assert.deepEqual(client.ended, { code: 1008, reason: 'Too many messages' });
    assert.deepEqual(client.take(), UNANSWERED);
    client.socket.end();
  }
  const w = await world(t, { maxUnauthenticatedMessages: 2 });
  const member = await w.member();
  for (let i = 0; i < 300; i++) member.send({ event: 'heartbeat' });
  const direct = await w.connect();
  for (let i = 0; i < 300; i++) w.helper.onClientMessage({ clientId: direct.id, raw: '{"event":"heartbeat"}' });
  await turns();
  assert.deepEqual([member.ended, direct.ended], [undefined, undefined], 'neither those that are finished nor direct calls are limited');
  const free = await world(t, { maxUnauthenticatedMessages: Infinity });
  const client = await free.connect();
  for (let i = 0; i < 1000; i++) client.send({ event: 'heartbeat' });
  assert.equal(client.ended, undefined);
});

onFakes('failures that clients bring about do not fill the log: ten at once, then one a second', async (t) => {
  let now = 1_000_000;
  t.mock.method(Date, 'now', () => now);
  const fails = (name) => () => {
    throw new Error(name);
  };
  const w = await world(t, { messageHandler: fails('handler'), validateRoomFn: fails('rooms'), outboundTransformer: fails('transformer') });
  const client = await w.member({ user: 'u' });
  w.helper.enableClientEncryption({ clientId: client.id });
  const ways = [
    [/^error: messageHandler failed/, () => client.send({ event: 'x' })],
    [/^error: validateRoomFn failed/, () => client.send({ event: 'join', data: { rooms: ['r'] } })],
    [/^error: .* dropped: outboundTransformer failed/, () => w.helper.sendToClient({ clientId: client.id, event: 'x', data: 1 })],
  ];
  for (const [what, fail] of ways) {
    for (let i = 0; i < 1000; i++) fail();
    await turns();
    assert.equal(w.log.matching(what).length, 10, String(what));
    now += 999;
    fail();
    await turns();
    assert.equal(w.log.matching(what).length, 10);
    now += 1;
    for (let i = 0; i < 5; i++) fail();
    await turns();
    const lines = w.log.matching(what);
    assert.equal(lines.length, 11);
    assert.match(lines[10], /; 991 failure\(s\) before it were not logged$/);
    // A clock that is set back keeps nothing from being said.
    now -= 50_000;
    fail();
    await turns();
    assert.match(w.log.matching(what)[11], /; 4 failure\(s\) before it/);
  }
  assert.ok(w.log.lines.filter(([level]) => level === 'error').every((line) => line[2] instanceof Error), 'each with its error');
});

onFakes('failures to deliver what comes from Redis do not fill the log either', async (t) => {
  const w = await world(t);
  w.helper.sendToClient = () => {
    throw new Error('no');
  };
  for (let i = 0; i < 1000; i++) w.remote({ serverId: 's', type: 'client', target: 'c', event: 'e', data: 1 });
  const { length } = w.log.matching(/cannot be delivered/);
  assert.ok(length >= 10 && length < 100, `${length} lines`);
});

onFakes('of a client that was cut nothing is heard while its socket closes', async (t) => {
  for (const cut of [{ maxAuthPayloadLength: 100 }, { maxUnauthenticatedMessages: 0 }]) {
    const asked = spy(() => ({}));
    const w = await world(t, { authenticateFn: asked, ...cut });
    const client = await w.connect();
    client.socket.endsAtOnce = false;
    w.handler.message(client.socket, `"${'x'.repeat(200)}"`);
    assert.equal(client.ended.code, 'maxAuthPayloadLength' in cut ? 1009 : 1008);
    const { lastActivity } = client.entry;
    const later = t.mock.method(Date, 'now', () => lastActivity + 1000);
    // Bun has taken these before the close has gone out.
    for (const message of [{ event: 'heartbeat' }, { event: 'authenticate', data: {} }]) w.handler.message(client.socket, JSON.stringify(message));
    await turns();
    later.mock.restore();
    assert.equal(asked.calls.length, 0);
    assert.deepEqual([client.entry.state, client.entry.lastActivity], ['unauthorized', lastActivity]);
    assert.equal(client.socket.calls.filter(([what]) => what === 'close').length, 1, 'closed once');
    assert.deepEqual(client.take(), []);
  }
});
