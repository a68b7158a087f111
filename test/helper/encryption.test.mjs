// Section 7 and the window of 10: what is encrypted, and in which order it arrives.
import assert from 'node:assert/strict';

import { deferred, onFakes, rule, spy, turns, world } from './world.mjs';

const error = (message) => ({ event: 'error', data: { message } });
const keys = { serverPublicKey: 'key', salt: 'salt' };
const clear = () => null;
/** As an application does it: everything but `connected` is wrapped. */
const wrap = ({ event, data }) => (event === 'connected' ? null : { event: 'encrypted', data: { was: event, data } });

/** A client that is encrypted. */
async function secret(w, data, where) {
  const client = await w.member(data, where);
  w.helper.enableClientEncryption({ clientId: client.id });
  return client;
}

rule('only with requireEncryption is there a handshake', async (t) => {
  const shaken = spy(() => keys);
  const w = await world(t, { handshakeFn: shaken });
  const client = await w.member();
  assert.equal(shaken.calls.length, 0);
  assert.equal(client.entry.encrypted, false);
});

rule('a handshake encrypts, stores the keys, and tells them in connected', async (t) => {
  const shaken = spy(async () => keys);
  const w = await world(t, { requireEncryption: true, handshakeFn: shaken, outboundTransformer: clear });
  const client = await w.connect();
  client.send({ event: 'authenticate', data: { user: 'u', more: 1 } });
  await w.idle();
  assert.deepEqual(shaken.calls, [[{ clientId: client.id, userId: 'u', data: { user: 'u', more: 1 } }]]);
  const { encrypted, serverPublicKey, salt } = client.entry;
  assert.deepEqual({ encrypted, serverPublicKey, salt }, { encrypted: true, ...keys });
  const [{ event, data }] = client.take();
  assert.equal(event, 'connected');
  assert.deepEqual(Object.keys(data), ['id', 'userId', 'time', 'serverPublicKey', 'salt']);
  assert.deepEqual([data.serverPublicKey, data.salt], ['key', 'salt']);
});

onFakes('the keys are stored once the client is encrypted', async (t) => {
  const w = await world(t, { requireEncryption: true, handshakeFn: () => keys, outboundTransformer: clear });
  const client = await w.connect();
  const { entry } = client;
  const seen = [];
  client.socket.unsubscribe = () => seen.push([entry.encrypted, entry.serverPublicKey, entry.salt]);
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(seen, [[true, undefined, undefined], [true, undefined, undefined]]);
  assert.equal(entry.serverPublicKey, 'key');
});

rule('handshake data are as those of authenticateFn', async (t) => {
  const shaken = spy(() => keys);
  const w = await world(t, { requireEncryption: true, handshakeFn: shaken, outboundTransformer: clear, authenticateFn: () => true });
  await w.member(null);
  const other = await w.connect();
  other.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(shaken.calls.map(([{ data }]) => data), [{}, {}]);
});

rule('without a handshakeFn the client is closed, without an error event', async (t) => {
  const w = await world(t, { requireEncryption: true });
  const client = await w.connect();
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(client.ended, { code: 4004, reason: 'Encryption required' });
  assert.deepEqual(client.take(), []);
});

onFakes('a falsy handshake is reported and closes with 4004, a rejection closes as in authentication', async (t) => {
  for (const [handshakeFn, text, ended] of [
    [() => null, 'Encryption handshake failed', { code: 4004, reason: 'Encryption required' }],
    [async () => false, 'Encryption handshake failed', { code: 4004, reason: 'Encryption required' }],
    [async () => { throw new Error('no'); }, 'Authentication error', { code: 4003, reason: 'Authentication failed' }],
    [() => { throw new Error('no'); }, 'Authentication error', { code: 4003, reason: 'Authentication failed' }],
  ]) {
    const connected = spy();
    const w = await world(t, { requireEncryption: true, handshakeFn, clientConnectedFn: connected });
    const client = await w.connect();
    client.socket.endsAtOnce = false;
    client.send({ event: 'authenticate', data: { user: 'u' } });
    await w.idle();
    assert.deepEqual(client.take(), [error(text)]);
    assert.deepEqual(client.ended, ended);
    assert.deepEqual([client.entry.state, client.entry.encrypted], ['authenticated', false]);
    assert.deepEqual(w.helper.getClientsByUser({ userId: 'u' }), []);
    assert.equal(connected.calls.length, 0);
  }
});

onFakes('a handshake that ends for an entry that has gone is nobody\'s', async (t) => {
  for (const settle of [({ resolve }) => resolve(keys), ({ resolve }) => resolve(null), ({ reject }) => reject(new Error('late'))]) {
    const shake = deferred();
    const w = await world(t, { requireEncryption: true, handshakeFn: () => shake.promise });
    const client = await w.connect({ id: 'one' });
    client.send({ event: 'authenticate' });
    await w.idle();
    client.close();
    const again = await w.connect({ id: 'one' });
    settle(shake);
    await w.idle();
    assert.deepEqual([again.entry.state, again.entry.encrypted, again.take(), again.ended], ['unauthorized', false, [], undefined]);
  }
});

onFakes('until the handshake is done the client reads as authenticated, and is not finished', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const shake = deferred();
  const handled = spy();
  const w = await world(t, {
    requireEncryption: true, handshakeFn: () => shake.promise, messageHandler: handled, outboundTransformer: clear, authTimeout: 1000, heartbeatInterval: 100, heartbeatTimeout: 200,
  });
  const client = await w.connect();
  client.send({ event: 'authenticate', data: { user: 'u' } });
  await w.idle();
  assert.equal(client.entry.state, 'authenticated');
  client.send({ event: 'chat' });
  await w.idle();
  assert.deepEqual(client.take(), [error('Not authenticated')]);
  w.helper.broadcast({ event: 'all', data: 1 });
  w.helper.broadcast({ event: 'all', data: 1, exclude: ['x'] });
  await w.idle();
  assert.deepEqual(client.take(), []);
  assert.equal(handled.calls.length, 0);
  t.mock.timers.tick(2999);
  assert.equal(client.ended, undefined, 'the sweep skips it');
  t.mock.timers.tick(1);
  assert.deepEqual(client.ended, { code: 4001, reason: 'Authentication timeout' });
});

onFakes('encryption takes the channels and leaves the memberships; it is made once', async (t) => {
  const w = await world(t, { outboundTransformer: clear });
  const client = await w.member({}, { id: 'one' });
  w.helper.joinRoom({ clientId: 'one', room: 'r' });
  client.socket.calls.length = 0;
  w.helper.enableClientEncryption({ clientId: 'one' });
  assert.deepEqual(client.socket.calls, ['ws:internal:broadcast', 'one', 'one', 'ws-default', 'ws-notification', 'r'].map((name) => ['unsubscribe', name]));
  assert.deepEqual(client.socket.topics, []);
  assert.deepEqual([...client.entry.rooms], ['one', 'ws-default', 'ws-notification', 'r']);
  assert.equal(client.entry.encrypted, true);
  client.socket.calls.length = 0;
  w.helper.enableClientEncryption({ clientId: 'one' });
  w.helper.enableClientEncryption({ clientId: 'nobody' });
  assert.deepEqual(client.socket.calls, []);
  w.helper.joinRoom({ clientId: 'one', room: 'later' });
  assert.deepEqual(client.socket.calls, [], 'a room that is joined later is not subscribed');
  assert.equal(w.helper.countRoom({ room: 'later' }), 1);
  assert.equal(w.log.matching(/^warn/).length, 0);
});

rule('without a transformer an encrypted client gets in clear what goes to it alone or to its user, and what is sent with exclude; the rest not at all, as a warning says', async (t) => {
  const w = await world(t);
  const client = await secret(w, { user: 'u' });
  w.helper.joinRoom({ clientId: client.id, room: 'r' });
  assert.equal(w.log.matching(/^warn: .*no outboundTransformer: messages to it alone, to its user, or with exclude are sent in clear, all others not at all/).length, 1);
  w.helper.sendToRoom({ room: 'r', event: 'room', data: 1 });
  w.helper.sendToRoom({ room: client.id, event: 'own', data: 1 });
  w.helper.broadcast({ event: 'all', data: 1 });
  await w.idle();
  assert.deepEqual(client.take(), []);
  w.helper.sendToClient({ clientId: client.id, event: 'client', data: 1 });
  w.helper.sendToUser({ userId: 'u', event: 'user', data: 1 });
  w.helper.sendToRoom({ room: 'r', event: 'room', data: 1, exclude: ['x'] });
  w.helper.broadcast({ event: 'all', data: 1, exclude: ['x'] });
  await w.idle();
  assert.deepEqual(client.take().map(({ event }) => event), ['client', 'user', 'room', 'all']);
});

rule('the transformer runs for encrypted clients only, and gets the entry', async (t) => {
  const transformed = spy(wrap);
  const w = await world(t, { outboundTransformer: transformed });
  const [plain, hidden] = [await w.member({ user: 'u' }), await secret(w, { user: 'u' })];
  const data = { a: 1 };
  w.helper.sendToUser({ userId: 'u', event: 'x', data });
  await w.idle();
  assert.deepEqual(plain.take(), [{ event: 'x', data: { a: 1 } }]);
  assert.deepEqual(hidden.take(), [{ event: 'encrypted', data: { was: 'x', data: { a: 1 } } }]);
  assert.equal(transformed.calls.length, 1);
  const [{ client, event, data: given }] = transformed.calls[0];
  assert.deepEqual([client, event, given], [hidden.entry, 'x', data]);
  assert.equal(given, data, 'the data as it is');
});

rule('an answer of nothing sends the original in clear, an object as its JSON, with all that is in it', async (t) => {
  const answers = [null, undefined, { event: 'e', data: 1, v: 2 }, { data: 1 }];
  const w = await world(t, { outboundTransformer: ({ event }) => (event === 'x' ? answers.shift() : null) });
  const client = await secret(w);
  for (const _ of [1, 2, 3, 4]) w.helper.sendToClient({ clientId: client.id, event: 'x', data: 'd' });
  await w.idle();
  assert.deepEqual(client.takeTexts(), ['{"event":"x","data":"d"}', '{"event":"x","data":"d"}', '{"event":"e","data":1,"v":2}', '{"data":1}']);
});

rule('a transformer that fails, or gives what is no message, drops the message and never sends it in clear', async (t) => {
  for (const outboundTransformer of [
    () => { throw new Error('sync'); }, async () => { throw new Error('async'); }, () => 'text', async () => true, () => 0, () => ({ data: 1n }),
  ]) {
    const w = await world(t, { outboundTransformer: (opts) => (opts.event === 'bad' ? outboundTransformer(opts) : null) });
    const client = await secret(w);
    w.helper.sendToClient({ clientId: client.id, event: 'bad', data: 1 });
    w.helper.sendToClient({ clientId: client.id, event: 'good', data: 1 });
    await w.idle();
    assert.deepEqual(client.take(), [{ event: 'good', data: 1 }]);
    assert.equal(w.log.matching(/^error: .*"bad"/).length, 1);
  }
});

onFakes('the first message runs at once; the others wait for it, in the order of the calls', async (t) => {
  const runs = [];
  const w = await world(t, { outboundTransformer: ({ event }) => (event === 'connected' ? null : new Promise((resolve) => runs.push({ event, resolve }))) });
  const client = await secret(w, { user: 'u' });
  w.helper.joinRoom({ clientId: client.id, room: 'r' });
  w.helper.sendToClient({ clientId: client.id, event: 'a', data: 1 });
  assert.equal(runs.length, 1, 'synchronously');
  w.helper.sendToUser({ userId: 'u', event: 'b', data: 1 });
  w.helper.sendToRoom({ room: 'r', event: 'c', data: 1 });
  w.helper.broadcast({ event: 'd', data: 1 });
  w.helper.sendToClient({ clientId: client.id, event: 'e', data: 1 });
  for (const event of ['a', 'b', 'c', 'd', 'e']) {
    await turns();
    assert.deepEqual(runs.map((run) => run.event), [event], 'one at a time');
    runs.shift().resolve({ event: `${event}!`, data: 1 });
  }
  await w.idle();
  assert.deepEqual(client.take().map(({ event }) => event), ['a!', 'b!', 'c!', 'd!', 'e!']);
});

rule('order is kept where a transformer answers now at once and now later', async (t) => {
  const w = await world(t, {
    outboundTransformer: ({ event, data }) => (event === 'connected' ? null : data % 3 === 0 ? { event, data } : data % 3 === 1 ? Promise.resolve({ event, data }) : new Promise((resolve) => setImmediate(resolve, { event, data }))),
  });
  const clients = [await secret(w, { user: 'u' }), await secret(w, { user: 'u' })];
  for (let i = 0; i < 300; i++) {
    if (i % 2) w.helper.sendToUser({ userId: 'u', event: 'n', data: i });
    else for (const { id } of clients) w.helper.sendToClient({ clientId: id, event: 'n', data: i });
  }
  for (const client of clients) {
    const got = [];
    for (let i = 0; i < 1000 && got.length < 300; i++) {
      await turns(1);
      got.push(...client.take().map(({ data }) => data));
    }
    assert.deepEqual(got, Array.from({ length: 300 }, (_, i) => i));
  }
});

onFakes('a transformer that sends, to its own client too, keeps the order and does not nest', async (t) => {
  let w;
  let depth = 0;
  let deepest = 0;
  w = await world(t, {
    outboundTransformer: ({ client, event, data }) => {
      if (event === 'connected') return null;
      deepest = Math.max(deepest, ++depth);
      if (data < 5) w.helper.sendToClient({ clientId: client.id, event, data: data + 1 });
      depth--;
      return null;
    },
  });
  const client = await secret(w);
  w.helper.sendToClient({ clientId: client.id, event: 'n', data: 0 });
  assert.deepEqual(client.take().map(({ data }) => data), [0, 1, 2, 3, 4, 5]);
  assert.equal(deepest, 1);
});

onFakes('messages for an entry that has gone are dropped silently, waiting or on their way', async (t) => {
  const runs = [];
  const w = await world(t, { outboundTransformer: ({ event }) => (event === 'connected' ? null : new Promise((resolve, reject) => runs.push({ event, resolve, reject }))) });
  const client = await secret(w, {}, { id: 'one' });
  for (const event of ['a', 'b', 'c']) w.helper.sendToClient({ clientId: 'one', event, data: 1 });
  client.close();
  const again = await w.member({}, { id: 'one' });
  const lines = w.log.lines.length;
  runs[0].resolve({ event: 'a!', data: 1 });
  await w.idle();
  assert.equal(runs.length, 1, 'what waited is not even transformed');
  assert.deepEqual([client.take(), again.take()], [[], []]);
  assert.equal(w.log.lines.length, lines);
  assert.equal(w.helper.getStats().framesDropped, 0);
});

rule('connected passes the transformer', async (t) => {
  const transformed = spy(wrap);
  const w = await world(t, { requireEncryption: true, handshakeFn: () => keys, outboundTransformer: transformed });
  const client = await w.connect();
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(transformed.calls.map(([{ event, data }]) => [event, data.serverPublicKey]), [['connected', 'key']]);
  assert.equal(client.take()[0].event, 'connected', 'in clear, since it gave null');
});

onFakes('an error event to an encrypted client passes the transformer', async (t) => {
  const w = await world(t, { outboundTransformer: wrap });
  const client = await secret(w);
  client.send({ event: 'authenticate' });
  await w.idle();
  assert.deepEqual(client.take(), [{ event: 'encrypted', data: { was: 'error', data: { message: 'Already authenticated' } } }]);
});

/** Twenty encrypted members, and runs of the transformer that the test ends. */
async function crowd(t, options, count = 20) {
  const runs = [];
  const w = await world(t, {
    outboundTransformer: ({ client, event }) => (event === 'connected' ? null : new Promise((resolve, reject) => runs.push({ id: client.id, event, resolve: () => resolve(null), reject }))),
    ...options,
  });
  const clients = [];
  for (let i = 0; i < count; i++) {
    const client = await secret(w, { user: 'u' });
    w.helper.joinRoom({ clientId: client.id, room: 'r' });
    clients.push(client);
  }
  return { w, runs, clients };
}

onFakes('runs of one send are a sliding window of encryptedBatchLimit', async (t) => {
  for (const [limit, size] of [[undefined, 10], [3, 3], [1, 1], [0, 1], [-5, 1], [NaN, 1], [2.5, 2], [Infinity, 20]]) {
    for (const send of [
      (helper) => helper.sendToRoom({ room: 'r', event: 'x', data: 1 }),
      (helper) => helper.sendToUser({ userId: 'u', event: 'x', data: 1 }),
      (helper) => helper.broadcast({ event: 'x', data: 1 }),
      (helper) => helper.sendToRoom({ room: 'r', event: 'x', data: 1, exclude: ['nobody'] }),
    ]) {
      const { w, runs, clients } = await crowd(t, limit === undefined ? {} : { encryptedBatchLimit: limit });
      send(w.helper);
      assert.equal(runs.length, size, 'at once, and no more');
      if (size === 20) continue;
      // The last of them ends first: the window slides all the same.
      const ended = new Set();
      while (ended.size < 20) {
        const open = runs.filter((run) => !ended.has(run));
        assert.equal(open.length, Math.min(size, 20 - ended.size));
        const last = open.at(-1);
        ended.add(last);
        if (ended.size % 4 === 0) last.reject(new Error('one failure does not stop the others'));
        else last.resolve();
        await turns(2);
      }
      assert.equal(clients.filter((client) => client.take().length === 1).length, 15);
    }
  }
});

onFakes('each send has its own window, and unencrypted members do not wait for it', async (t) => {
  const { w, runs, clients } = await crowd(t, { encryptedBatchLimit: 2 }, 4);
  const plain = await w.member();
  w.helper.joinRoom({ clientId: plain.id, room: 'r' });
  w.helper.sendToRoom({ room: 'r', event: 'x', data: 1 });
  assert.equal(plain.take().length, 1);
  assert.equal(runs.length, 2);
  w.helper.sendToRoom({ room: 'r', event: 'y', data: 1 });
  assert.equal(runs.length, 2, 'its messages wait for their turn, also those of clients that wait for a slot');
  w.helper.sendToClient({ clientId: clients[3].id, event: 'z', data: 1 });
  assert.equal(runs.length, 2, 'a message that waits for a slot has its place');
  const order = [];
  while (runs.length > 0) {
    const { id, event, resolve } = runs.shift();
    order.push([clients.findIndex((client) => client.id === id), event]);
    resolve();
    await turns(2);
  }
  assert.equal(order.length, 9);
  for (const client of clients.keys()) assert.equal(order.filter(([one]) => one === client).map(([, event]) => event).join(''), client === 3 ? 'xyz' : 'xy');
});

onFakes('a slot is taken when the turn has come: a busy client does not hold one', async (t) => {
  const { w, runs, clients } = await crowd(t, { encryptedBatchLimit: 1 }, 3);
  w.helper.sendToClient({ clientId: clients[0].id, event: 'slow', data: 1 });
  w.helper.sendToRoom({ room: 'r', event: 'x', data: 1 });
  assert.deepEqual(runs.map(({ id, event }) => [id, event]), [[clients[0].id, 'slow'], [clients[1].id, 'x']]);
  runs[1].resolve();
  await turns();
  assert.deepEqual(runs.slice(2).map(({ id }) => id), [clients[2].id]);
  runs[0].resolve();
  await turns();
  assert.equal(runs.length, 3, 'now it waits for the slot');
  runs[2].resolve();
  await turns();
  assert.deepEqual(runs.slice(3).map(({ id }) => id), [clients[0].id]);
});

onFakes('a client that goes while it waits for a slot gives it to the next, however many they are', async (t) => {
  const runs = [];
  const w = await world(t, { encryptedBatchLimit: 1, outboundTransformer: ({ event, client }) => (event === 'connected' ? null : new Promise((resolve) => runs.push({ id: client.id, resolve: () => resolve(null) }))) });
  const clients = [];
  for (let i = 0; i < 3000; i++) clients.push(await w.connect());
  for (const client of clients) client.send({ event: 'authenticate' });
  await turns();
  for (const { id } of clients) w.helper.enableClientEncryption({ clientId: id });
  w.helper.broadcast({ event: 'x', data: 1 });
  for (const client of clients.slice(0, -1)) client.close();
  runs[0].resolve();
  await turns();
  assert.deepEqual(runs.map(({ id }) => id), [clients[0].id, clients.at(-1).id]);
});

onFakes('what waits for one client is bounded in bytes; beyond, it is dropped and counted', async (t) => {
  const size = Buffer.byteLength(JSON.stringify({ event: 'x', data: '→'.repeat(100) }));
  const runs = [];
  const w = await world(t, { maxPendingTransforms: 3 * size, outboundTransformer: ({ event, data }) => (event === 'connected' ? null : new Promise((resolve) => runs.push(() => resolve({ event, data: data.length })))) });
  const client = await secret(w);
  const send = () => w.helper.sendToClient({ clientId: client.id, event: 'x', data: '→'.repeat(100) });
  for (let i = 0; i < 7; i++) send();
  assert.equal(w.helper.getStats().framesDropped, 3, 'one runs, three wait, three are dropped');
  assert.ok(w.log.matching(/dropped/).length > 0);
  runs.shift()();
  await turns();
  send();
  send();
  assert.equal(w.helper.getStats().framesDropped, 4, 'what runs no longer waits');
  while (runs.length > 0) {
    runs.shift()();
    await turns(2);
  }
  assert.equal(client.take().length, 5);
  const free = await world(t, { maxPendingTransforms: Infinity, outboundTransformer: ({ event }) => (event === 'connected' ? null : new Promise(() => {})) });
  const other = await secret(free);
  for (let i = 0; i < 30; i++) free.helper.sendToClient({ clientId: other.id, event: 'x', data: 'x'.repeat(100_000) });
  assert.equal(free.helper.getStats().framesDropped, 0);
});

onFakes('a message that waits for a slot is bounded, too', async (t) => {
  const { w } = await crowd(t, { encryptedBatchLimit: 1, maxPendingTransforms: 30 }, 3);
  w.helper.broadcast({ event: 'x', data: 'long enough to be over that' });
  assert.equal(w.helper.getStats().framesDropped, 2);
  const { w: other, runs } = await crowd(t, { encryptedBatchLimit: 1, maxPendingTransforms: 30 }, 2);
  for (let i = 1; i <= 5; i++) {
    other.helper.broadcast({ event: 'x', data: 1 });
    while (runs.length > 0) {
      runs.shift().resolve();
      await turns(2);
    }
  }
  assert.equal(other.helper.getStats().framesDropped, 0, 'what has had its slot no longer waits');
});

rule('data that is no JSON is the transformer\'s to make something of', async (t) => {
  const w = await world(t, { outboundTransformer: async ({ event, data }) => (event === 'connected' ? null : event === 'clear' ? null : { event, data: String(data) }) });
  const client = await secret(w);
  w.helper.sendToClient({ clientId: client.id, event: 'x', data: 1n });
  w.helper.sendToClient({ clientId: client.id, event: 'x', data: 2n });
  w.helper.sendToClient({ clientId: client.id, event: 'clear', data: 3n });
  w.helper.sendToClient({ clientId: client.id, event: 'x', data: 4n });
  await w.idle();
  assert.deepEqual(client.take().map(({ data }) => data), ['1', '2', '4']);
});


onFakes('what is sent while a slot passes on does not overtake what waits', async (t) => {
  let w;
  const runs = [];
  w = await world(t, { encryptedBatchLimit: 1, outboundTransformer: ({ client, event }) => {
    if (event === 'connected') return null;
    if (client.id === 'b') w.helper.sendToClient({ clientId: 'a', event: 'third', data: 1 });
    return runs.length === 0 ? new Promise((resolve) => runs.push(() => resolve(null))) : null;
  } });
  const [a] = [await secret(w, {}, { id: 'a' }), await secret(w, {}, { id: 'b' })];
  w.helper.broadcast({ event: 'first', data: 1 });
  w.helper.sendToClient({ clientId: 'a', event: 'second', data: 1 });
  runs[0]();
  await w.idle();
  assert.deepEqual(a.take().map(({ event }) => event), ['first', 'second', 'third']);
});

rule('a long line behind a slow run does not grow the stack', async (t) => {
  const runs = [];
  const w = await world(t, { maxPendingTransforms: Infinity, outboundTransformer: ({ event }) => (event === 'slow' ? new Promise((resolve) => runs.push(() => resolve(null))) : null) });
  const client = await secret(w);
  w.helper.sendToClient({ clientId: client.id, event: 'slow', data: 1 });
  for (let i = 0; i < 20_000; i++) w.helper.sendToClient({ clientId: client.id, event: 'n', data: i });
  runs[0]();
  await w.idle();
  const got = client.take();
  assert.deepEqual([got.length, got.at(-1).data], [20_001, 19_999]);
});

onFakes('a transformer that hangs gives its slot and its client free after 30 s at most; its message is dropped and counted', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { w, runs, clients } = await crowd(t, { encryptedBatchLimit: 2, maxPendingTransforms: Infinity }, 4);
  w.helper.broadcast({ event: 'first', data: 1 });
  w.helper.broadcast({ event: 'second', data: 1 });
  assert.deepEqual(runs.map(({ event }) => event), ['first', 'first'], 'the others wait for a slot');
  const hung = runs.slice();
  t.mock.timers.tick(15_000);
  await turns();
  assert.equal(runs.length, 2, 'it has some time');
  t.mock.timers.tick(15_000);
  await turns();
  assert.equal(w.helper.getStats().framesDropped, 2);
  assert.equal(w.log.matching(/^error: \d message\(s\) dropped: outboundTransformer took too long \(the limit is 30 s\)/).length, 1);
  // Their lines go on with the second, and their slots went to the other two.
  const next = runs.slice(2).map(({ id, event }) => `${clients.findIndex((client) => client.id === id)} ${event}`);
  assert.deepEqual(next.sort(), ['0 second', '1 second', '2 first', '3 first']);
  for (const run of hung) run.resolve();
  await turns();
  assert.deepEqual(clients.flatMap((client) => client.take()), [], 'what it answers now is too late, and nothing is sent in clear');
  for (let i = 2; i < runs.length; i++) {
    runs[i].resolve();
    await turns();
  }
  assert.deepEqual(clients.map((client) => client.take().map(({ event }) => event)), [['second'], ['second'], ['first', 'second'], ['first', 'second']]);
  assert.equal(w.helper.getStats().framesDropped, 2);
});

onFakes('a transformer that answers in time is left alone, and one whose client has gone counts nothing', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { w, runs, clients } = await crowd(t, {}, 2);
  w.helper.broadcast({ event: 'x', data: 1 });
  runs[0].resolve();
  await turns();
  clients[1].close();
  for (let i = 0; i < 4; i++) t.mock.timers.tick(15_000);
  await turns();
  assert.deepEqual(clients[0].take().map(({ event }) => event), ['x']);
  assert.equal(w.helper.getStats().framesDropped, 0);
});
