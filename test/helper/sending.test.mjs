// Sections 10 and 11: sending on this instance, and `send`.
import assert from 'node:assert/strict';

import { deferred, onFakes, rule, spy, turns, world } from './world.mjs';

const publishes = (w) => w.server.publishes.splice(0);
const sends = (client) => client.socket.calls.filter(([name]) => name === 'send').map(([, ...args]) => args);

rule('a frame is event and data in that order; undefined data vanish, null stay', async (t) => {
  const w = await world(t);
  const client = await w.connect();
  for (const [data, text] of [[{ b: 1, a: [null] }, '{"event":"e","data":{"b":1,"a":[null]}}'], [undefined, '{"event":"e"}'], [null, '{"event":"e","data":null}'], [0, '{"event":"e","data":0}'], ['ü', '{"event":"e","data":"ü"}']]) {
    w.helper.sendToClient({ data, event: 'e', clientId: client.id });
    await w.idle();
    assert.deepEqual(client.takeTexts(), [text]);
  }
});

rule('sendToClient reaches a client in any state, and nobody else', async (t) => {
  const verdict = deferred();
  const w = await world(t, { authenticateFn: () => verdict.promise });
  const [client, other] = [await w.connect(), await w.connect()];
  const one = async (event) => {
    w.helper.sendToClient({ clientId: client.id, event, data: 1 });
    await w.idle();
    assert.deepEqual(client.take().map((message) => message.event), [event]);
  };
  await one('unauthorized');
  client.send({ event: 'authenticate' });
  await one('authenticating');
  verdict.resolve({});
  await w.idle();
  client.take();
  await one('authenticated');
  assert.deepEqual(other.take(), []);
  w.helper.sendToClient({ clientId: 'nobody', event: 'x', data: 1 });
  if (!w.native) assert.equal(sends(client)[0].length, 1, 'send is called with the text alone');
});

onFakes('what send answers is noted: dropped, queued over the limit, thrown', async (t) => {
  const w = await world(t);
  const client = await w.member();
  const send = () => w.helper.sendToClient({ clientId: client.id, event: 'x', data: 1 });
  client.socket.answer = -1;
  send();
  assert.equal(client.entry.backpressured, true);
  assert.equal(client.take().length, 1, 'it is queued');
  send();
  assert.equal(client.take().length, 1, 'the flag gates nothing');
  w.handler.drain(client.socket);
  assert.equal(client.entry.backpressured, false);
  client.socket.answer = 0;
  send();
  assert.deepEqual([w.helper.getStats().framesDropped, client.entry.backpressured], [1, false]);
  assert.equal(w.log.matching(/^warn: 1 message.* dropped/).length, 1);
  client.socket.answer = new Error('closing');
  send();
  assert.equal(w.helper.getStats().framesDropped, 1);
  assert.equal(w.log.matching(/^error: send failed/).length, 1);
});

onFakes('drops are logged at once, then at most once a second, with their number', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1e6 });
  const w = await world(t);
  const client = await w.member();
  client.socket.answer = 0;
  const lines = () => w.log.matching(/dropped/).map((line) => /(\d+) message/.exec(line)[1]);
  for (let i = 0; i < 50; i++) w.helper.sendToClient({ clientId: client.id, event: 'x', data: 1 });
  assert.deepEqual(lines(), ['1']);
  t.mock.timers.tick(1000);
  w.helper.sendToClient({ clientId: client.id, event: 'x', data: 1 });
  assert.deepEqual(lines(), ['1', '50']);
  assert.equal(w.helper.getStats().framesDropped, 51);
});

rule('data that cannot be serialised throw to the caller, before anybody has got anything', async (t) => {
  const w = await world(t, { outboundTransformer: ({ event }) => (event === 'x' ? { event: 'x', data: 'ok' } : null) });
  const plain = await w.member({ user: 'u' });
  const circle = {};
  circle.circle = circle;
  for (const data of [1n, circle]) {
    assert.throws(() => w.helper.sendToClient({ clientId: plain.id, event: 'x', data }), TypeError);
    assert.throws(() => w.helper.sendToUser({ userId: 'u', event: 'x', data }), TypeError);
    assert.throws(() => w.helper.sendToRoom({ room: 'ws-default', event: 'x', data }), TypeError);
    assert.throws(() => w.helper.broadcast({ event: 'x', data, exclude: ['x'] }), TypeError);
    assert.throws(() => w.helper.send({ payload: { topic: 'x', data } }), TypeError);
    w.helper.sendToClient({ clientId: 'nobody', event: 'x', data });
    // Natively there is one publish for all listeners, and its frame is made first.
    if (!w.native) w.helper.sendToUser({ userId: 'nobody', event: 'x', data });
  }
  const hidden = await w.member({ user: 'both' });
  w.helper.enableClientEncryption({ clientId: hidden.id });
  const behind = await w.member({ user: 'both' });
  assert.throws(() => w.helper.sendToUser({ userId: 'both', event: 'x', data: 1n }), TypeError);
  await w.idle();
  assert.deepEqual([plain.take(), hidden.take(), behind.take()], [[], [], []]);
  const simple = await world(t);
  assert.throws(() => simple.helper.broadcast({ event: 'x', data: 1n }), TypeError);
  assert.throws(() => simple.helper.sendToRoom({ room: 'nobody', event: 'x', data: 1n }), TypeError);
});

rule('doLog adds one debug line with event and id', async (t) => {
  const w = await world(t);
  const client = await w.member();
  const lines = w.log.lines.length;
  w.helper.sendToClient({ clientId: client.id, event: 'evt', data: 1 });
  assert.equal(w.log.lines.length, lines);
  w.helper.sendToClient({ clientId: client.id, event: 'evt', data: 1, doLog: true });
  assert.equal(w.log.lines.length, lines + 1);
  assert.match(w.log.lines.at(-1).join(' '), new RegExp(`^debug .*evt.*${client.id}`));
  w.helper.send({ destination: client.id, payload: { topic: 'evt', data: 1 }, doLog: true });
  assert.equal(w.log.lines.length, lines + 2);
});

onFakes('without exclude and transformer there is one publish of the server, also for an unknown room', async (t) => {
  const w = await world(t);
  const [a, b, c] = [await w.member(), await w.member(), await w.connect()];
  w.helper.joinRoom({ clientId: a.id, room: 'r' });
  publishes(w);
  a.socket.calls.length = 0;
  for (const exclude of [undefined, []]) {
    w.helper.sendToRoom({ room: 'r', event: 'e', data: 1, exclude });
    w.helper.sendToRoom({ room: 'unknown', event: 'e', data: 1, exclude });
    w.helper.broadcast({ event: 'e', data: 1, exclude });
    await w.idle();
    assert.deepEqual(publishes(w), ['r', 'unknown', 'ws:internal:broadcast'].map((topic) => [topic, '{"event":"e","data":1}']));
    assert.deepEqual([a, b, c].map((client) => client.take().length), [2, 1, 0], 'a client that is not authenticated hears no broadcast');
  }
  assert.deepEqual(a.socket.calls, []);
});

onFakes('with exclude every member that is not excluded is sent to', async (t) => {
  const w = await world(t);
  const [a, b, c, d] = [await w.member(), await w.member(), await w.member(), await w.connect()];
  for (const { id } of [a, b, d]) w.helper.joinRoom({ clientId: id, room: 'r' });
  publishes(w);
  w.helper.sendToRoom({ room: 'r', event: 'room', data: 1, exclude: [b.id, 'nobody'] });
  w.helper.broadcast({ event: 'all', data: 1, exclude: [a.id] });
  await w.idle();
  const events = (client) => client.take().map(({ event }) => event);
  assert.deepEqual([a, b, c, d].map(events), [['room'], ['all'], ['all'], ['room']]);
  assert.deepEqual(publishes(w), []);
  a.socket.answer = -1;
  w.helper.sendToRoom({ room: 'r', event: 'room', data: 1, exclude: [b.id] });
  assert.equal(a.entry.backpressured, true, 'as by sendToClient');
});

onFakes('with a transformer every member is sent to', async (t) => {
  const w = await world(t, { outboundTransformer: () => null });
  const [a, b, c] = [await w.member(), await w.member(), await w.connect()];
  w.helper.enableClientEncryption({ clientId: b.id });
  publishes(w);
  w.helper.sendToRoom({ room: 'ws-default', event: 'room', data: 1 });
  w.helper.broadcast({ event: 'all', data: 1 });
  w.helper.sendToRoom({ room: c.id, event: 'own', data: 1 });
  await w.idle();
  assert.deepEqual([a, b, c].map((client) => client.take().length), [2, 2, 0], 'an id is a room of clients that are authenticated');
  assert.deepEqual(publishes(w), []);
});

rule('sendToUser reaches every client of the user', async (t) => {
  const w = await world(t);
  const [a, b, c] = [await w.member({ user: 7 }), await w.member({ user: '7' }), await w.member({ user: 8 })];
  w.helper.sendToUser({ userId: 7, event: 'x', data: 1 });
  w.helper.sendToUser({ userId: '7', event: 'x', data: 1 });
  w.helper.sendToUser({ userId: 'nobody', event: 'x', data: 1 });
  await w.idle();
  assert.deepEqual([a, b, c].map((client) => client.take().length), [2, 2, 0]);
});

rule('a room that is a client\'s id reaches that client', async (t) => {
  const w = await world(t);
  const [a, b] = [await w.connect(), await w.member()];
  for (const { id } of [a, b]) w.helper.sendToRoom({ room: id, event: 'x', data: 1 });
  await w.idle();
  assert.deepEqual([a.take().length, b.take().length], [1, 1]);
});

onFakes('a publish never sets the flag, and a server that throws or is missing costs nobody anything', async (t) => {
  const w = await world(t);
  const client = await w.member();
  client.socket.answer = -1;
  w.helper.broadcast({ event: 'x', data: 1 });
  assert.equal(client.entry.backpressured, false);
  w.server.publish = () => {
    throw new Error('stopped');
  };
  w.helper.broadcast({ event: 'x', data: 1 });
  assert.equal(w.log.matching(/^error: publish failed/).length, 1);
  for (const options of [{ server: undefined }, { server: undefined, bind: '127.0.0.1:0' }, { server: {} }]) {
    const none = await world(t, { ...options, configured: false });
    const alone = await none.member({ user: 'u' });
    none.helper.broadcast({ event: 'x', data: 1 });
    none.helper.sendToRoom({ room: 'r', event: 'x', data: 1 });
    none.helper.sendToClient({ clientId: alone.id, event: 'y', data: 1 });
    assert.deepEqual(alone.take().map(({ event }) => event), ['y']);
  }
});

onFakes('a client that closes another while it is sent to', async (t) => {
  const w = await world(t);
  const [a, b, c] = [await w.member({ user: 'u' }), await w.member({ user: 'u' }), await w.member({ user: 'u' })];
  a.entry.socket.send = () => b.close();
  w.helper.sendToUser({ userId: 'u', event: 'x', data: 1 });
  await w.idle();
  assert.deepEqual([b.take().length, c.take().length], [0, 1]);
  assert.equal(w.helper.getStats().framesDropped, 0, 'to one that has gone nothing is sent');
});

// `send`

const envelopes = (w) => w.redis.published.map(([channel, text]) => [channel, text.replace(/"serverId":"[0-9a-f-]{36}"/, '"serverId":"S"')]);

rule('send does nothing without a topic or data, the callback included; null is sent', async (t) => {
  const w = await world(t);
  const client = await w.member();
  const cb = spy();
  for (const payload of [undefined, null, {}, { topic: '', data: 1 }, { data: 1 }, { topic: 'x' }, { topic: 'x', data: undefined }]) w.helper.send({ payload, cb });
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([cb.calls.length, client.take(), w.redis.published], [0, [], []]);
  for (const data of [null, 0, '', false]) {
    w.helper.send({ payload: { topic: 'x', data } });
    await w.idle();
    assert.deepEqual(client.take(), [{ event: 'x', data }]);
  }
});

onFakes('send goes to everybody, to a client, to a room, or only to Redis, each with its envelope', async (t) => {
  const w = await world(t);
  const [a, b] = [await w.member({ user: 'u' }, { id: 'a' }), await w.member({}, { id: 'b' })];
  w.helper.joinRoom({ clientId: 'b', room: 'r' });
  const payload = { topic: 't', data: { d: 1 } };
  const seen = async (destination) => {
    w.helper.send({ destination, payload });
    const published = envelopes(w).at(-1);
    assert.equal(w.redis.published.length, ++count, 'before send returns');
    await w.idle();
    return [a.takeTexts(), b.takeTexts(), ...published];
  };
  let count = 0;
  const frame = ['{"event":"t","data":{"d":1}}'];
  for (const everybody of [undefined, '', null]) {
    assert.deepEqual(await seen(everybody), [frame, frame, 'ws:broadcast', '{"serverId":"S","type":"broadcast","event":"t","data":{"d":1}}']);
  }
  assert.deepEqual(await seen('a'), [frame, [], 'ws:client:a', '{"serverId":"S","type":"client","target":"a","event":"t","data":{"d":1}}']);
  assert.deepEqual(await seen('r'), [[], frame, 'ws:room:r', '{"serverId":"S","type":"room","target":"r","event":"t","data":{"d":1}}']);
  assert.deepEqual(await seen('u'), [[], [], 'ws:room:u', '{"serverId":"S","type":"room","target":"u","event":"t","data":{"d":1}}'], 'no users');
  w.helper.joinRoom({ clientId: 'b', room: 'a' });
  assert.equal((await seen('a'))[2], 'ws:client:a', 'a client wins over a room of that name');
  publishes(w);
  await seen('unknown');
  assert.deepEqual(publishes(w), [], 'a room without members here goes to Redis only');
});

onFakes('a client that is not authenticated is a destination, too', async (t) => {
  const w = await world(t);
  const client = await w.connect({ id: 'a' });
  w.helper.send({ destination: 'a', payload: { topic: 't', data: 1 } });
  await w.idle();
  assert.equal(client.take().length, 1);
  assert.equal(w.redis.published[0][0], 'ws:client:a');
});

onFakes('the callback runs from a zero timeout, whatever happened', async (t) => {
  const w = await world(t);
  await w.member();
  w.redis.publisher.does.publish = () => {
    throw new Error('no');
  };
  const order = [];
  const called = deferred();
  w.helper.send({ payload: { topic: 'x', data: 1 }, cb: () => (order.push('cb'), called.resolve()) });
  order.push('returned');
  await null;
  order.push('microtask');
  await called.promise;
  assert.deepEqual(order, ['returned', 'microtask', 'cb']);
  const again = deferred();
  assert.throws(() => w.helper.send({ payload: { topic: 'x', data: 1n }, cb: again.resolve }), TypeError);
  await again.promise;
  const failing = deferred();
  w.helper.send({ payload: { topic: 'x', data: 1 }, cb: () => {
    failing.resolve();
    throw new Error('cb');
  } });
  await failing.promise;
  await turns();
  assert.equal(w.log.matching(/^error: the callback of send failed/).length, 1);
});

onFakes('a publish that Redis refuses is caught, logged and counted', async (t) => {
  const w = await world(t);
  for (const [publish, count] of [[() => Promise.reject(new Error('OOM')), 1], [() => { throw new Error('sync'); }, 2], [() => 5, 2], [() => undefined, 2]]) {
    w.redis.publisher.does.publish = publish;
    w.helper.send({ payload: { topic: 'x', data: 1 } });
    await turns();
    assert.equal(w.helper.getStats().busFailed, count);
  }
  w.helper.send({ destination: 'elsewhere', payload: { topic: 'x', data: 1n } });
  assert.equal(w.helper.getStats().busFailed, 3, 'an envelope that cannot be made');
  assert.ok(w.log.matching(/^error: .*Redis failed/).length >= 1);
  assert.equal(w.helper.getStats().busRefused, 0);
});
