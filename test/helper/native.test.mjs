// The native transport with one helper: sockets, limits, addresses, life (sections B, 9, 10, 13 and G).
import assert from 'node:assert/strict';
import { connect as tcp } from 'node:net';
import http from 'node:http';
import { test } from 'node:test';

import { failure, launch, until } from '../e2e/harness.mjs';
import { connect, fixture, member, single, UUID } from './native-kit.mjs';

/** The status of a plain request. */
function status(server, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port: server.port, path, headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(101);
    });
    request.on('error', reject);
  });
}

const UPGRADE = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };

test('a client authenticates, joins, is sent to in every way, and leaves', async (t) => {
  const server = await single(t);
  const peer = await member(server, { user: 'u' });
  assert.match(peer.id, UUID);
  await peer.join('r');
  peer.say('hello', { a: 1 });
  assert.deepEqual(await server.told.next('message').then(({ event, data }) => ({ event, data })), { event: 'hello', data: { a: 1 } });
  const counts = await server.run((helper, context, clientId) => {
    helper.sendToClient({ clientId, event: 'one', data: 1 });
    helper.sendToUser({ userId: 'u', event: 'two', data: 2 });
    helper.sendToRoom({ room: 'r', event: 'three', data: 3 });
    helper.broadcast({ event: 'four', data: 4 });
    helper.sendToRoom({ room: 'r', event: 'not this', data: 0, exclude: [clientId] });
    helper.broadcast({ event: 'nor this', data: 0, exclude: [clientId] });
    helper.send({ destination: clientId, payload: { topic: 'five', data: 5 } });
    return [helper.countClients(), helper.countRoom({ room: 'r' }), helper.countRoom({ room: 'nobody' })];
  }, peer.id);
  assert.deepEqual(counts, [1, 1, 0]);
  assert.deepEqual((await peer.take(5)).map(({ event, data }) => [event, data]), [['one', 1], ['two', 2], ['three', 3], ['four', 4], ['five', 5]]);
  await peer.client.close(1000);
  assert.equal((await server.told.next('disconnected')).clientId, peer.id);
  assert.deepEqual(await server.run((helper) => [helper.countClients(), helper.countRoom({ room: 'r' })]), [0, 0]);
});

test('there is one object for a socket, in every event, as it is described', async (t) => {
  const server = await single(t, {}, { configured: false });
  await server.run(async (helper, { kit }) => {
    // The transport asks for the handler once, and looks its functions up at each event.
    const handler = helper.getBunWebSocketHandler();
    helper.getBunWebSocketHandler = () => {
      const own = {};
      for (const name of ['open', 'message', 'close', 'drain']) {
        own[name] = (socket, ...more) => {
          kit.state.sockets = (kit.state.sockets ?? new Set()).add(socket);
          kit.tell('event', { name, readyState: socket.readyState, more: name === 'close' ? more : [] });
          handler[name](socket, ...more);
        };
      }
      return { ...handler, ...own };
    };
    await helper.configure();
  });
  server.at = await server.run((helper) => helper.getAddress());
  const peer = await member(server);
  const seen = await server.run((helper, { kit }, clientId) => {
    const { socket } = helper.getClients({ id: clientId });
    return {
      same: kit.state.sockets.size === 1 && kit.state.sockets.has(socket),
      address: socket.remoteAddress,
      data: socket.data,
      state: socket.readyState,
      subscribed: ['r', clientId, 'ws:internal:broadcast'].map((topic) => socket.isSubscribed(topic)),
    };
  }, peer.id);
  assert.deepEqual(seen, { same: true, address: '127.0.0.1', data: { clientId: peer.id }, state: 1, subscribed: [false, true, true] });
  await peer.client.close(3000, 'bye');
  await server.told.next('disconnected');
  assert.deepEqual(server.told.of('event').map(({ name, readyState, more }) => [name, readyState, more]), [
    ['open', 1, []], ['message', 1, []], ['close', 3, [3000, 'bye']],
  ]);
});

test('endpoint is the address with the path', async (t) => {
  const server = await single(t, { path: '/a/b' });
  assert.equal(server.at.endpoint, `${server.at.url}/a/b`);
  const { pathname } = new URL(server.at.endpoint);
  assert.equal((await member(server, {}, { path: pathname })).thread, 0, 'clients connect there');
});

test('send answers bytes, and 0 when the socket is closed', async (t) => {
  const server = await single(t);
  const peer = await member(server);
  const answers = await server.run((helper, context, clientId) => {
    const { socket } = helper.getClients({ id: clientId });
    const bytes = new Uint8Array([1, 2, 3]);
    const shared = new SharedArrayBuffer(4);
    const sent = [
      socket.send('äb'), socket.send(bytes), socket.send(bytes.buffer), socket.send(new DataView(bytes.buffer, 1)), socket.send(shared),
      socket.send('x', true), socket.send('x', false),
    ];
    socket.close(4000, 'done');
    return { sent, after: [socket.send('x'), socket.readyState, socket.isSubscribed(clientId)] };
  }, peer.id);
  assert.deepEqual(answers, { sent: [3, 3, 3, 2, 4, 1, 1], after: [0, 2, false] });
  assert.deepEqual(await peer.client.take(7), ['äb', ...[[1, 2, 3], [1, 2, 3], [2, 3], [0, 0, 0, 0]].map((bytes) => Buffer.from(bytes)), 'x', 'x']);
  assert.deepEqual(await peer.end(), { code: 4000, reason: 'done' });
});

test('close runs the close event before it returns, and discards what came behind', async (t) => {
  const server = await single(t);
  const peer = await member(server);
  const order = peer.run((helper, { clientId, kit }) => {
    const entry = helper.getClients({ id: clientId });
    const before = entry.state;
    entry.socket.close(4001, 'now');
    const { socket } = entry;
    const after = entry.state;
    // Nothing of this does anything any more, or throws.
    socket.close(4002, 'again');
    socket.subscribe('x');
    socket.unsubscribe('x');
    return { before, after, known: helper.getClients({ id: clientId }) !== undefined, count: helper.countClients() };
  });
  // On its heels, in the same packet or the next.
  for (let i = 0; i < 50; i++) peer.say('behind', i);
  assert.deepEqual(await order, { before: 'authenticated', after: 'disconnected', known: false, count: 0 });
  assert.deepEqual(await peer.end(), { code: 4001, reason: 'now' });
  // The helper goes on, and has heard of nothing.
  await (await member(server)).settle();
  assert.deepEqual(server.told.of('message'), []);
  assert.equal(server.told.of('disconnected').length, 1);
});

test('wrong arguments of close throw, and close nothing', async (t) => {
  const server = await single(t);
  const peer = await member(server);
  const codes = await server.run((helper, context, clientId) => {
    const { socket } = helper.getClients({ id: clientId });
    return [[999], [1005], ['x'], [1000, 'x'.repeat(124)], [1000, 5]].map((args) => {
      try {
        socket.close(...args);
        return 'nothing';
      } catch (error) {
        return error.code;
      }
    });
  }, peer.id);
  const [value, type] = ['ERR_WSBROKER_INVALID_ARG_VALUE', 'ERR_WSBROKER_INVALID_ARG_TYPE'];
  assert.deepEqual(codes, [value, value, type, value, type]);
  await peer.settle();
});

test('an outbox holds its limit and one message more; drain clears the flag', async (t) => {
  const server = await single(t, { serverOptions: { backpressureLimit: 200_000 } });
  const peer = await member(server);
  peer.client.ws.pause();
  const answers = await server.run((helper, context, clientId) => {
    const client = helper.getClients({ id: clientId });
    const answers = [];
    return new Promise((resolve) => {
      const more = () => {
        const before = client.backpressured;
        helper.sendToClient({ clientId, event: 'x', data: 'x'.repeat(150_000) });
        answers.push([before, client.backpressured, helper.getStats().framesDropped]);
        if (helper.getStats().framesDropped > 0) return resolve(answers);
        setImmediate(more);
      };
      more();
    });
  }, peer.id);
  const [last, one] = [answers.at(-1), answers.at(-2)];
  assert.deepEqual(one, [false, true, 0], 'the message that takes it over the limit is queued');
  assert.deepEqual(last, [true, true, 1], 'the next is dropped');
  peer.client.ws.resume();
  await peer.client.take(answers.length - 1);
  await until(() => server.run((helper, context, clientId) => !helper.getClients({ id: clientId }).backpressured, peer.id), 'the flag to be cleared');
});

test('what a publish drops for a slow client is counted and logged, and sets no flag', async (t) => {
  const server = await single(t, { serverOptions: { backpressureLimit: 200_000 } });
  const [slow, quick] = [await member(server, { user: 'u' }), await member(server, { user: 'u' })];
  for (const peer of [slow, quick]) await peer.join('r');
  slow.client.ws.pause();
  const ways = {
    sendToRoom: (helper, context, data) => helper.sendToRoom({ room: 'r', event: 'x', data }),
    'sendToRoom with exclude': (helper, context, data) => helper.sendToRoom({ room: 'r', event: 'x', data, exclude: ['nobody'] }),
    sendToUser: (helper, context, data) => helper.sendToUser({ userId: 'u', event: 'x', data }),
    broadcast: (helper, context, data) => helper.broadcast({ event: 'x', data }),
    'broadcast with exclude': (helper, context, data) => helper.broadcast({ event: 'x', data, exclude: ['nobody'] }),
  };
  const dropped = () => server.run((helper) => helper.getStats().framesDropped);
  const send = async (way, count) => {
    for (let i = 0; i < count; i++) {
      await server.run(way, 'x'.repeat(150_000));
      assert.equal((await quick.next()).event, 'x', 'the other gets it, and by then the slow one has been looked at');
    }
  };
  while ((await dropped()) === 0) await send(ways.broadcast, 1);
  for (const [name, way] of Object.entries(ways)) {
    const before = await dropped();
    await send(way, 3);
    assert.equal((await dropped()) - before, 3, name);
  }
  assert.equal(await server.run((helper, context, clientId) => helper.getClients({ id: clientId }).backpressured, slow.id), false);
  const total = await dropped();
  // The first line at once, then one a second, with how many they were.
  await until(() => server.told.of('log').map(({ text }) => /^(\d+) message\(s\) to clients dropped/.exec(text)?.[1] ?? 0).reduce((sum, count) => sum + Number(count), 0) === total, 'all to be in the log');
});

test('with closeOnBackpressureLimit the slow socket is closed', async (t) => {
  const server = await single(t, { serverOptions: { backpressureLimit: 100_000, closeOnBackpressureLimit: true } });
  const peer = await member(server);
  peer.client.ws.pause();
  await server.run((helper, context, clientId) => new Promise((resolve) => {
    const more = () => {
      if (helper.getClients({ id: clientId }) === undefined) return resolve();
      helper.sendToClient({ clientId, event: 'x', data: 'x'.repeat(150_000) });
      setImmediate(more);
    };
    more();
  }), peer.id);
  peer.client.ws.resume();
  assert.equal((await peer.end()).code, 1013);
});

test('payload limits: until it is finished, and afterwards', async (t) => {
  const server = await single(t, { serverOptions: { maxPayloadLength: 5000 }, maxAuthPayloadLength: 300 });
  const frame = (bytes) => JSON.stringify({ event: 'x', data: '' }).replace('""', `"${'y'.repeat(bytes - 23)}"`);
  assert.equal(frame(300).length, 300);
  const early = await connect(server);
  early.client.send(frame(300));
  assert.deepEqual(await early.next(), { event: 'error', data: { message: 'Not authenticated' } });
  early.client.send(frame(301));
  const tooBig = { code: 1009, reason: 'Received too big message' };
  assert.deepEqual(await early.end(), tooBig);
  const peer = await member(server);
  peer.client.send(frame(5000));
  assert.equal((await server.told.next('message')).data.length, 4977);
  peer.client.send(frame(5001));
  assert.deepEqual(await peer.end(), tooBig);
  // The header of a frame is enough: of its payload nothing has come yet.
  const header = await connect(server);
  header.client.ws._socket.write(Buffer.from([0x81, 0xfe, 0x01, 0x2d, 0, 0, 0, 0]));
  assert.deepEqual(await header.end(), tooBig);
});

test('binary frames are text', async (t) => {
  const server = await single(t);
  const peer = await member(server);
  peer.client.send(Buffer.from(JSON.stringify({ event: 'ä', data: 1 })));
  assert.equal((await server.told.next('message')).event, 'ä');
  const large = 'ö'.repeat(20_000);
  peer.client.send(Buffer.from(JSON.stringify({ event: 'large', data: large })));
  assert.equal((await server.told.next('message')).data, large);
});

test('cork runs at once and flushes behind it', async (t) => {
  const server = await single(t);
  const peer = await member(server);
  const ran = await server.run((helper, context, clientId) => {
    const { socket } = helper.getClients({ id: clientId });
    let same;
    socket.cork((own) => {
      same = own === socket;
      own.send('1');
      own.send('2');
    });
    // What was corked has left, though this handler goes on for as long as the client needs.
    const until = Date.now() + 50;
    while (Date.now() < until);
    return same;
  }, peer.id);
  assert.equal(ran, true);
  assert.deepEqual(await peer.client.take(2), ['1', '2']);
});

test('a name that is no text is taken for its text, and a missing id for one that nobody has', async (t) => {
  const server = await single(t);
  const peer = await member(server);
  const seen = await peer.run((helper, { clientId }) => {
    helper.joinRoom({ clientId, room: 5 });
    helper.sendToRoom({ room: 5, event: 'in 5', data: 1 });
    const count = helper.countRoom({ room: 5 });
    helper.leaveRoom({ clientId, room: 5 });
    for (const nobody of [undefined, null, 7]) {
      helper.sendToClient({ clientId: nobody, event: 'x', data: 1 });
      helper.joinRoom({ clientId: nobody, room: 'r' });
      helper.leaveRoom({ clientId: nobody, room: 'r' });
      helper.sendToRoom({ room: nobody, event: 'x', data: 1 });
    }
    helper.send({ destination: 7, payload: { topic: 'x', data: 1 } });
    const socket = { data: { clientId: 9 }, remoteAddress: '', readyState: 1, send: () => 1, close() {}, subscribe() {}, unsubscribe() {}, isSubscribed: () => false, cork() {} };
    helper.onClientConnect({ clientId: 9, socket });
    const clients = [helper.countClients()];
    helper.onClientDisconnect({ clientId: 9 });
    helper.sendToClient({ clientId, event: 'end', data: 1 });
    return { count, clients: [...clients, helper.countClients()], left: helper.countRoom({ room: 5 }) };
  });
  assert.deepEqual(seen, { count: 1, clients: [2, 1], left: 0 });
  assert.deepEqual((await peer.take(2)).map(({ event }) => event), ['in 5', 'end']);
});

test('a handler of the application that throws is logged, and takes nothing with it', async (t) => {
  const server = await single(t);
  const peer = await member(server);
  await server.run((helper, context, clientId) => {
    helper.getClients({ id: clientId }).socket.send = () => {
      throw new Error('mine');
    };
    helper.sendToClient({ clientId, event: 'x', data: 1 });
  }, peer.id);
  await server.told.next('log', ({ level }) => level === 'error');
  const other = await member(server);
  await other.settle();
});

test('paths are exact; others are 404, and a plain request is 426', async (t) => {
  const server = await single(t, { path: '/chat' });
  const { url, port, address } = server.at;
  assert.deepEqual([address, url], ['127.0.0.1', `ws://127.0.0.1:${port}`]);
  for (const path of ['/', '/Chat', '/chat/', '/c%68at', '/ws']) assert.equal(await status(server, path, UPGRADE), 404, path);
  assert.equal(await status(server, '/chat'), 426);
  assert.equal(await status(server, '/chat?x=/ws', UPGRADE), 101);
  assert.equal(await status(server, '/else'), 404);
});

test('idleTimeout is in seconds, and pings keep a connection', async (t) => {
  const server = await single(t, { serverOptions: { idleTimeout: 3, sendPings: false } });
  const peer = await member(server);
  assert.equal((await peer.end()).code, 1006);
  await server.told.next('disconnected');
});

test('pingInterval is one of its options', async (t) => {
  const server = await single(t, { pingInterval: 100, serverOptions: { idleTimeout: 0 } });
  const peer = await member(server);
  let pings = 0;
  peer.client.ws.on('ping', () => pings++);
  await until(() => pings >= 3, 'pings');
  assert.deepEqual(await server.run((helper) => helper.countClients()), 1);
});

test('shutdown closes with 1001, takes nobody more, and lets the process end', async (t) => {
  const server = await single(t, {}, { clean: false });
  const peers = [await member(server), await connect(server)];
  const { port } = server;
  await until(() => server.run((helper) => helper.countClients() === 2), 'both to be known');
  await server.run((helper, { kit }) => {
    kit.hold(false);
    return helper.shutdown().then(() => helper.shutdown());
  });
  for (const peer of peers) assert.deepEqual(await peer.end(), { code: 1001, reason: 'Server shutting down' });
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
  assert.equal(server.told.of('disconnected').length, 2, 'also of the one that never authenticated');
  await assert.rejects(new Promise((resolve, reject) => tcp(port, '127.0.0.1', resolve).on('error', reject)), { code: 'ECONNREFUSED' });
});

test('shutdown closes sockets of clients that the application has made the helper forget', async (t) => {
  const server = await single(t);
  const peer = await member(server);
  await server.run((helper, context, clientId) => {
    helper.onClientDisconnect({ clientId });
    return helper.shutdown();
  }, peer.id);
  assert.deepEqual(await peer.end(), { code: 1001, reason: 'Server shutting down' });
});

test('shutdown does not wait long for clients that do not answer, and waits for what is written', async (t) => {
  const server = await single(t, { closeTimeout: 1_000 }, { clean: false });
  const peer = await member(server);
  const large = 'x'.repeat(500_000);
  await server.run((helper, { kit }, clientId, data) => {
    kit.hold(false);
    helper.sendToClient({ clientId, event: 'x', data });
    return helper.shutdown();
  }, peer.id, large);
  assert.equal((await peer.next()).data, large);
  assert.equal((await peer.end()).code, 1001);
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('a listening helper keeps the process alive', async (t) => {
  const server = await single(t, {}, { clean: false });
  await server.main((wsb, kit) => kit.hold(false));
  const peer = await member(server);
  await peer.settle();
  assert.equal(server.ended, undefined);
  await server.run((helper) => void helper.shutdown());
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('a helper can be configured again after a failure, which leaves nothing behind', async (t) => {
  const server = await single(t, { bind: '127.0.0.1:1' }, { configured: false, clean: false });
  if (process.getuid?.() !== 0) await failure(server.run((helper) => helper.configure()), { code: 'ERR_WSBROKER_BIND', message: /^WebSocketServerHelper: / });
  const taken = await server.main(() => new Promise((resolve) => {
    const other = require('node:net').createServer().listen(0, '127.0.0.1', () => resolve(other.address().port));
    other.unref();
    globalThis.other = other;
  }));
  await server.main((wsb, kit, file, port) => {
    kit.state.context = require(file).make({ bind: `127.0.0.1:${port}` });
  }, fixture, taken);
  const error = await failure(server.run((helper) => helper.configure()), { code: 'ERR_WSBROKER_BIND', type: 'WSBrokerError' });
  assert.match(error.message, /EADDRINUSE|in use|os error 10048/i);
  assert.equal(await server.run((helper) => helper.getAddress() ?? null), null);
  await server.main(() => new Promise((resolve) => other.close(resolve)));
  await server.run((helper) => helper.configure());
  server.at = await server.run((helper) => helper.getAddress());
  assert.equal(server.port, taken);
  const peer = await member(server);
  await server.run((helper, { kit }) => {
    kit.hold(false);
    return helper.shutdown();
  });
  await peer.end();
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('a failed configure lets the process end', async (t) => {
  const server = await single(t, { serverOptions: { backpressureLimit: 0 } }, { configured: false, clean: false });
  await failure(server.run((helper) => helper.configure()), { code: 'ERR_WSBROKER_INVALID_ARGUMENT', message: /"serverOptions\.backpressureLimit"/ });
  await server.main((wsb, kit) => kit.hold(false));
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('socket ids go on rising over brokers that helpers and start make', async (t) => {
  const server = await single(t);
  const first = await member(server);
  await server.run((helper) => helper.shutdown());
  await first.end();
  server.standard = true;
  server.at = await server.start();
  const raw = await server.connect();
  assert.ok(raw.id > 1, `${raw.id}`);
});

test('a bind is needed, and options are checked', async (t) => {
  const server = await launch(t, { start: false });
  const attempt = (options) => failure(server.main((wsb, kit, file, given) => require(file).make(given).helper.configure(), fixture, options), {
    code: 'ERR_WSBROKER_INVALID_ARGUMENT',
  });
  assert.match((await attempt({ bind: 'nowhere', maxPayload: 'x', serverOptions: { maxPayloadLength: 'y' } })).message, /"serverOptions\.maxPayloadLength" must be a number of bytes, got string/);
  assert.match((await attempt({ bind: 'nowhere', maxPayload: 'x' })).message, /"maxPayload" must be a number of bytes, got string/);
  for (const name of ['maxPayloadLength', 'backpressureLimit', 'sendPings']) {
    assert.match((await attempt({ serverOptions: { [name]: 'y' } })).message, new RegExp(`"serverOptions\\.${name}" must be .*, got string$`), 'as the application has called it');
  }
  assert.match((await attempt({ serverOptions: { backpressureLimit: 0 } })).message, /"serverOptions\.backpressureLimit" must be/);
  assert.match((await attempt({ maxBackpressure: 0 })).message, /"maxBackpressure" must be/);
  assert.match((await attempt({ serverOptions: { idleTimeout: -1 } })).message, /"serverOptions\.idleTimeout" must be .*-1000 \(in milliseconds; serverOptions\.idleTimeout is in seconds, and is -1\)$/);
  assert.match((await attempt({ identifier: '' })).message, /"identifier"/);
  assert.match((await attempt({ path: '*' })).message, /"path"/);
  assert.match((await attempt({ path: 'ws' })).message, /"path"/);
  assert.match((await attempt({ rateLimit: {} })).message, /"rateLimit"/);
  const { code } = await failure(server.main((wsb, kit, file) => require(file).make({ bind: 'nowhere' }).helper.configure(), fixture));
  assert.equal(code, 'ERR_WSBROKER_INVALID_BIND');
});
