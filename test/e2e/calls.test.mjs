// Every call of the public interface, one at a time.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';

import { failure, launch, until } from './harness.mjs';

const gone = 999_999_999;

test('send: a string travels as text, bytes as binary, whatever holds them', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const results = await client.run((wsb, id) => [
    wsb.send(id, 'text'),
    wsb.send(id, ''),
    wsb.send(id, 'ünïcödé 🦀 \u0000'),
    wsb.send(id, Buffer.from([1, 2, 3])),
    wsb.send(id, new Uint8Array([9, 8, 7, 6]).subarray(1, 3)),
    wsb.send(id, new Uint8Array([5]).buffer),
    wsb.send(id, new Uint8Array(0)),
    wsb.send(id, new ArrayBuffer(0)),
  ]);
  assert.deepEqual(results, [1, 1, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual(await client.take(8), [
    'text', '', 'ünïcödé 🦀 \u0000', Buffer.from([1, 2, 3]), Buffer.from([8, 7]), Buffer.from([5]), Buffer.alloc(0), Buffer.alloc(0),
  ]);
});

test('send: a lone surrogate becomes the replacement character, as everywhere in JavaScript', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await client.run((wsb, id) => wsb.send(id, 'a\ud800b'));
  assert.equal(await client.next(), 'a\ufffdb');
});

test('send: every size passes unchanged, text and binary', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const sizes = [0, 1, 7, 8, 63, 64, 125, 126, 127, 255, 256, 4095, 4096, 65535, 65536, 65537, 300_000, 1_000_000];
  for (const size of sizes) {
    await client.run((wsb, id, size) => {
      wsb.send(id, 'x'.repeat(size));
      wsb.send(id, 'é'.repeat(size >> 1));
      wsb.send(id, Buffer.alloc(size, 171));
    }, size);
    const [ascii, wide, bytes] = await client.take(3);
    assert.ok(ascii === 'x'.repeat(size), `ascii of ${size}`);
    assert.ok(wide === 'é'.repeat(size >> 1), `two-byte text of ${size}`);
    assert.ok(Buffer.alloc(size, 171).equals(bytes), `bytes of ${size}`);
  }
});

test('send: the bytes may be changed right after the call', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await client.run((wsb, id) => {
    const bytes = Buffer.from('before');
    wsb.send(id, bytes);
    bytes.write('after!');
  });
  assert.deepEqual(await client.next(), Buffer.from('before'));
});

test('send: to an id that is gone or never was, 0 and no throw', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await client.close();
  await server.told.next('close');
  assert.deepEqual(
    await server.main((wsb, kit, closed, never) => [closed, never, 0, -1, 1.5, 2 ** 53, NaN, Infinity].map((id) => wsb.send(id, 'x')), client.id, gone),
    [0, 0, 0, 0, 0, 0, 0, 0],
  );
});

test('a message of every size comes in unchanged, text and binary', async (t) => {
  const server = await launch(t, {
    options: { maxPayload: 8 << 20 },
    worker: (wsb, kit) => ({
      handleTextMessage: (text, id) => void wsb.send(id, text),
      handleBinaryMessage: (bytes, id) => void wsb.send(id, bytes),
    }),
  });
  const client = await server.connect();
  for (const size of [0, 1, 125, 126, 127, 4096, 16_384, 65_535, 65_536, 200_000, 3_000_000]) {
    const text = 'añ🦀'.repeat(Math.ceil(size / 4)).slice(0, size);
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i++) bytes[i] = i * 31;
    client.send(text);
    client.send(bytes);
    const [back, backBytes] = await client.take(2);
    assert.ok(back === text.toWellFormed?.() || back === Buffer.from(text).toString(), `text of ${size}`);
    assert.ok(bytes.equals(backBytes), `bytes of ${size}`);
  }
});

test('handleBinaryMessage gets a Buffer that is its own, to keep and to change', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => {
      const kept = [];
      return {
        handleOpen: () => {},
        handleBinaryMessage(bytes, id) {
          if (!Buffer.isBuffer(bytes)) throw new TypeError('no Buffer');
          kept.push(bytes);
          bytes[0] = 0xff;
        },
        handleTextMessage: (text, id) => kit.tell('kept', { kept: kept.map((one) => one.toString('hex')) }),
      };
    },
  });
  const client = await server.connect();
  const sent = [];
  for (let i = 0; i < 200; i++) {
    const bytes = Buffer.alloc(1 + (i % 50), i);
    client.send(bytes);
    bytes[0] = 0xff;
    sent.push(Buffer.from(bytes).toString('hex'));
  }
  client.send('report');
  assert.deepEqual((await server.told.next('kept')).kept, sent);
});

test('sendToChannel reaches every subscriber, and tells how many there are', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const clients = [];
  for (let i = 0; i < 5; i++) clients.push(await server.connect());
  const ids = clients.map((client) => client.id);
  assert.equal(await server.main((wsb) => wsb.sendToChannel('news', 'to nobody')), 0);
  await server.main((wsb, kit, ids) => ids.slice(0, 4).forEach((id) => wsb.subscribe(id, 'news')), ids);
  assert.equal(await server.main((wsb) => wsb.sendToChannel('news', 'text')), 4);
  assert.equal(await server.main((wsb) => wsb.sendToChannel('news', Buffer.from('bytes'))), 4);
  for (const client of clients.slice(0, 4)) assert.deepEqual(await client.take(2), ['text', Buffer.from('bytes')]);
  assert.deepEqual(await clients[4].fence(), []);
});

test('sendToChannel: exclude leaves out one socket or several', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const clients = [];
  for (let i = 0; i < 4; i++) clients.push(await server.connect());
  const ids = clients.map((client) => client.id);
  await server.main((wsb, kit, ids) => ids.forEach((id) => wsb.subscribe(id, 'room')), ids);
  const counts = await server.main((wsb, kit, [a, b, c, d], gone) => [
    wsb.sendToChannel('room', 'not a', { exclude: a }),
    wsb.sendToChannel('room', 'not b c', { exclude: [b, c] }),
    wsb.sendToChannel('room', 'not none', { exclude: [] }),
    wsb.sendToChannel('room', 'not gone', { exclude: [gone, d] }),
    wsb.sendToChannel('room', 'all', {}),
    wsb.sendToChannel('room', 'all again', undefined),
  ], ids, gone);
  for (const count of counts) assert.ok(Number.isInteger(count) && count >= 0 && count <= 4);
  assert.equal(counts[4], 4);
  const got = [];
  for (const client of clients) got.push((await client.fence()).map((text) => text.replace(/^not /, '')));
  assert.deepEqual(got, [
    ['b c', 'none', 'gone', 'all', 'all again'],
    ['a', 'none', 'gone', 'all', 'all again'],
    ['a', 'none', 'gone', 'all', 'all again'],
    ['a', 'b c', 'none', 'all', 'all again'],
  ]);
});

test('channels are compared as bytes: a string and the bytes of it are one channel', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const told = await client.run((wsb, id) => [
    wsb.subscribe(id, 'ché'),
    wsb.subscribe(id, Buffer.from('ché')),
    wsb.isSubscribed(id, new Uint8Array(Buffer.from('ché'))),
    wsb.subscriberCount(new Uint8Array(Buffer.from('ché')).buffer),
    wsb.sendToChannel(Buffer.from('ché'), 'found'),
    wsb.isSubscribed(id, 'CHÉ'),
    wsb.isSubscribed(id, 'che\u0301'),
    wsb.subscribe(id, ''),
    wsb.isSubscribed(id, Buffer.alloc(0)),
    wsb.subscribe(id, Buffer.from([0xff, 0x00, 0xfe])),
    wsb.isSubscribed(id, Buffer.from([0xff, 0x00, 0xfe])),
    wsb.unsubscribe(id, Buffer.from('ché')),
  ]);
  assert.deepEqual(told, [true, false, true, 1, 1, false, false, true, true, true, true, true]);
  assert.equal(await client.next(), 'found');
});

test('subscribe and unsubscribe say whether they changed something', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  assert.deepEqual(
    await client.run((wsb, id, gone) => [
      wsb.subscribe(id, 'a'),
      wsb.subscribe(id, 'a'),
      wsb.unsubscribe(id, 'a'),
      wsb.unsubscribe(id, 'a'),
      wsb.unsubscribe(id, 'never'),
      wsb.subscribe(gone, 'a'),
      wsb.unsubscribe(gone, 'a'),
      wsb.subscribe(id, 'a'),
    ], gone),
    [true, false, true, false, false, false, false, true],
  );
});

test('the questions about channels and sockets', async (t) => {
  const server = await launch(t);
  const one = await server.connect();
  const two = await server.connect();
  const answers = await server.main((wsb, kit, a, b) => {
    wsb.subscribe(a, 'x');
    wsb.subscribe(a, 'y');
    wsb.subscribe(a, Buffer.from([0xff]));
    wsb.subscribe(b, 'x');
    return {
      has: [wsb.hasSubscriptions('x'), wsb.hasSubscriptions('nobody')],
      count: [wsb.subscriberCount('x'), wsb.subscriberCount('y'), wsb.subscriberCount('nobody')],
      is: [wsb.isSubscribed(a, 'y'), wsb.isSubscribed(b, 'y')],
      subscribers: [wsb.getSubscribers('x').sort((m, n) => m - n), wsb.getSubscribers('nobody')],
      subscriptions: wsb.getSubscriptions(a).map((name) => (typeof name === 'string' ? name : name.toString('hex'))).sort(),
      none: wsb.getSubscriptions(999999999),
      connections: wsb.connectionCount(),
    };
  }, one.id, two.id);
  assert.deepEqual(answers, {
    has: [true, false],
    count: [2, 1, 0],
    is: [true, false],
    subscribers: [[one.id, two.id], []],
    subscriptions: ['ff', 'x', 'y'],
    none: [],
    connections: 2,
  });
});

test('an empty channel is freed, and closing a connection ends its subscriptions', async (t) => {
  const server = await launch(t);
  const one = await server.connect();
  const two = await server.connect();
  await server.main((wsb, kit, a, b) => {
    wsb.subscribe(a, 'x');
    wsb.subscribe(b, 'x');
    wsb.subscribe(b, 'y');
  }, one.id, two.id);
  await two.close();
  await until(() => server.main((wsb) => wsb.subscriberCount('x') === 1 && !wsb.hasSubscriptions('y')), 'the subscriptions to end');
  await server.main((wsb, kit, a) => wsb.unsubscribe(a, 'x'), one.id);
  assert.deepEqual(await server.main((wsb) => [wsb.hasSubscriptions('x'), wsb.getSubscribers('x')]), [false, []]);
});

test('subscribeMany, unsubscribeMany and unsubscribeAll return how many changed', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const told = await client.run((wsb, id, gone) => [
    wsb.subscribe(id, 'b'),
    wsb.subscribeMany(id, ['a', 'b', Buffer.from('c'), 'a']),
    wsb.getSubscriptions(id).sort(),
    wsb.unsubscribeMany(id, ['a', 'nothing', 'c', 'c']),
    wsb.getSubscriptions(id),
    wsb.subscribeMany(id, []),
    wsb.subscribeMany(gone, ['a']),
    wsb.unsubscribeMany(gone, ['a']),
    wsb.subscribeMany(id, ['x', 'y', 'z']),
    wsb.unsubscribeAll(id),
    wsb.unsubscribeAll(id),
    wsb.unsubscribeAll(gone),
    wsb.getSubscriptions(id),
  ], gone);
  assert.deepEqual(told, [true, 2, ['a', 'b', 'c'], 2, ['b'], 0, 0, 0, 3, 4, 0, 0, []]);
});

test('copySubscriptions subscribes everyone at the call, and a publish right after reaches them', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const clients = [];
  for (let i = 0; i < 3; i++) clients.push(await server.connect());
  const [a, b, c] = clients.map((client) => client.id);
  const counts = await server.main((wsb, kit, a, b, c) => {
    wsb.subscribe(a, 'from');
    wsb.subscribe(b, 'from');
    wsb.subscribe(b, 'to');
    wsb.subscribe(c, 'to');
    wsb.copySubscriptions('from', 'to');
    const reached = wsb.sendToChannel('to', 'copied');
    wsb.subscribe(c, 'from');
    wsb.unsubscribe(a, 'from');
    wsb.copySubscriptions('nobody', 'to');
    wsb.copySubscriptions('to', 'to');
    return [reached, wsb.subscriberCount('from'), wsb.subscriberCount('to')];
  }, a, b, c);
  assert.deepEqual(counts, [3, 2, 3]);
  for (const client of clients) assert.equal(await client.next(), 'copied', 'once, also for a socket that was in both');
  for (const client of clients) assert.deepEqual(await client.fence(), []);
});

test('setToken and getToken: undefined before, a Buffer after, seen by every thread', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const client = await server.connect();
  assert.deepEqual(await client.run((wsb, id) => [wsb.getToken(id) === undefined]), [true]);
  client.send('without');
  assert.equal((await server.told.next('text')).token, undefined);
  const told = await server.main((wsb, kit, id) => {
    wsb.setToken(id, '{"user":"ü"}');
    const token = wsb.getToken(id);
    const seen = [Buffer.isBuffer(token), JSON.parse(token).user];
    wsb.setToken(id, new Uint8Array([1, 2, 3]).buffer);
    seen.push(wsb.getToken(id).toString('hex'));
    wsb.setToken(id, '');
    seen.push(wsb.getToken(id)?.length);
    wsb.setToken(id, 'last');
    wsb.setToken(999999999, 'nobody');
    seen.push(wsb.getToken(999999999) === undefined);
    return seen;
  }, client.id);
  assert.deepEqual(told, [true, 'ü', '010203', 0, true]);
  client.send('with');
  assert.equal((await server.told.next('text')).token, 'last');
  await client.close();
  assert.equal((await server.told.next('close')).token, 'last');
});

test('a token is a Buffer in the handler, and what a handler does to it harms nobody', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      handleOpen: (id) => void wsb.setToken(id, '{"n":1}'),
      handleTextMessage(text, id, token) {
        kit.tell('seen', { buffer: Buffer.isBuffer(token), parsed: JSON.parse(token) });
      },
    }),
  });
  const client = await server.connect();
  client.send('a');
  client.send('b');
  for (let i = 0; i < 2; i++) {
    const { type, ...seen } = await server.told.next('seen');
    assert.deepEqual(seen, { buffer: true, parsed: { n: 1 } });
  }
});

test('a large binary message is whole, and has memory of its own that can be transferred', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      handleBinaryMessage(bytes, id) {
        wsb.send(id, bytes);
        const { byteOffset, buffer } = bytes;
        const own = buffer.byteLength;
        const moved = structuredClone(buffer, { transfer: [buffer] });
        kit.tell('seen', { byteOffset, own, moved: moved.byteLength, left: bytes.length });
      },
    }),
  });
  const client = await server.connect();
  // On both sides of the blocks in which bytes are copied, and of where messages get memory of
  // their own in the addon.
  for (const length of [2_049, 3_071, 3_072, 3_073, 16_384, 65_536, 65_537, 1_000_001]) {
    const sent = randomBytes(length);
    client.send(sent);
    const received = await client.next();
    assert.ok(received.equals(sent), `${length} bytes come back as they were`);
    const { type, ...seen } = await server.told.next('seen');
    assert.deepEqual(seen, { byteOffset: 0, own: length, moved: length, left: 0 });
  }
});

const echo = (wsb) => ({
  handleTextMessage: (text, id) => void wsb.send(id, text),
  handleBinaryMessage: (bytes, id) => void wsb.send(id, bytes),
});

test('long messages of several clients are whole, in memory that others had before them', async (t) => {
  const server = await launch(t, { worker: echo, options: { maxPayload: 4 << 20 } });
  const lengths = [16_383, 16_384, 40_000, 65_530, 131_072, 262_144, 700_001, 1_048_576, 2_097_153];
  const clients = await Promise.all([0, 1, 2].map(() => server.connect()));
  await Promise.all(
    clients.map(async (client, first) => {
      for (let i = 0; i < 36; i++) {
        const length = lengths[(first * 3 + i) % lengths.length];
        const bytes = randomBytes(length);
        // Three bytes each, so that reads end within characters.
        const message = i % 4 === 3 ? '€'.repeat(length / 3) + i : bytes;
        if (i % 4 === 2) {
          const cut = length >> 1;
          client.ws.send(bytes.subarray(0, cut), { fin: false });
          client.ws.ping();
          client.ws.send(bytes.subarray(cut));
        } else {
          client.send(message);
        }
        const received = await client.next();
        assert.ok(typeof message === 'string' ? received === message : received.equals(message), `message ${i}, ${length} bytes`);
      }
    }),
  );
});

test('a handler that transfers its token or its bytes away takes nothing from others', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => {
      const take = (buffer) => {
        try {
          buffer.transfer?.();
          new MessageChannel().port1.postMessage(0, [buffer]);
        } catch {
          // Newer runtimes do not let go of bytes that several messages lie in.
        }
      };
      return {
        handleOpen: (id) => void wsb.setToken(id, '{"n":1}'),
        async handleBinaryMessage(bytes, id, token) {
          kit.tell('seen', { id, hex: bytes.toString('hex'), token: String(token) });
          take(token.buffer);
          take(bytes.buffer);
          if (bytes.length === 0) await new Promise((resolve) => setImmediate(resolve));
        },
        handleClose: (id, token) => kit.tell('closed', { token: String(token) }),
      };
    },
  });
  const clients = await Promise.all([server.connect(), server.connect()]);
  for (let i = 0; i < 20; i++) for (const client of clients) client.send(Buffer.from([i, i + 1, i + 2]));
  await until(() => server.told.of('seen').length === 40, 'all messages');
  const ids = [...new Set(server.told.of('seen').map(({ id }) => id))];
  for (const id of ids) {
    const seen = server.told.of('seen', (event) => event.id === id);
    assert.deepEqual(seen.map(({ hex }) => hex), Array.from({ length: 20 }, (_, i) => Buffer.from([i, i + 1, i + 2]).toString('hex')));
    assert.deepEqual(new Set(seen.map(({ token }) => token)), new Set(['{"n":1}']));
  }
  await clients[0].close();
  assert.equal((await server.told.next('closed')).token, '{"n":1}');
});

test('close starts the close handshake with code and reason', async (t) => {
  const server = await launch(t);
  for (const [args, expected] of [
    [[], { code: 1000, reason: '' }],
    [[1000], { code: 1000, reason: '' }],
    [[3000, 'why'], { code: 3000, reason: 'why' }],
    [[4999, 'ünd'], { code: 4999, reason: 'ünd' }],
  ]) {
    const client = await server.connect();
    await client.run((wsb, id, args) => wsb.close(id, ...args), args);
    const end = await client.end();
    assert.deepEqual({ ...end, code: end.code === 1005 ? 1000 : end.code }, expected);
    const { id, code, reason } = await server.told.next('close');
    assert.deepEqual([id, reason], [client.id, expected.reason]);
    assert.ok(code === expected.code || (args.length === 0 && code === 1005), String(code));
  }
  assert.equal(await server.main((wsb, kit, id) => wsb.close(id), gone) ?? undefined, undefined, 'no throw for an id that is gone');
});

test('after close the socket is no longer open and takes nothing more', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const told = await client.run((wsb, id) => {
    wsb.subscribe(id, 'room');
    wsb.send(id, 'before');
    wsb.close(id, 4000);
    const open = wsb.isOpen(id);
    wsb.send(id, 'after');
    wsb.sendToChannel('room', 'after too');
    wsb.close(id, 4001, 'second');
    return open;
  });
  assert.equal(told, false);
  assert.equal((await client.end()).code, 4000);
  assert.deepEqual(client.messages, ['before']);
});

test('terminate cuts at once: the client sees 1006, and so does handleClose', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await client.run((wsb, id) => void wsb.terminate(id));
  assert.equal((await client.end()).code, 1006);
  const close = await server.told.next('close');
  assert.deepEqual([close.id, close.code], [client.id, 1006]);
  await server.main((wsb, kit, id) => void wsb.terminate(id), gone);
});

test('closeChannel closes every subscriber and tells how many', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const clients = [];
  for (let i = 0; i < 4; i++) clients.push(await server.connect());
  const count = await server.main((wsb, kit, ids) => {
    for (const id of ids) wsb.subscribe(id, 'room');
    wsb.sendToChannel('room', 'closing');
    return [wsb.closeChannel('nobody'), wsb.closeChannel('room', 4100, 'room closed')];
  }, clients.slice(0, 3).map((client) => client.id));
  assert.deepEqual(count, [0, 3]);
  for (const client of clients.slice(0, 3)) {
    assert.equal(await client.next(), 'closing');
    assert.deepEqual(await client.end(), { code: 4100, reason: 'room closed' });
  }
  assert.deepEqual(await clients[3].fence(), []);
  await until(() => server.main((wsb) => wsb.connectionCount() === 1), 'three connections to be gone');
});

test('isOpen is true from handleOpen until the end, and only for an id', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleOpen(id, ip, headers) {
        kit.tell('open', { id, tag: headers['x-tag'], isOpen: wsb.isOpen(id) });
      },
      handleClose: (id) => kit.tell('close', { id, isOpen: wsb.isOpen(id) }),
    }),
  });
  server.standard = true;
  const client = await server.connect();
  assert.equal(server.told.of('open')[0].isOpen, true);
  assert.deepEqual(await server.main((wsb, kit, id) => [id, 0, -5, 1.5, 999999999].map((one) => wsb.isOpen(one)), client.id), [true, false, false, false, false]);
  await client.close();
  assert.equal((await server.told.next('close')).isOpen, false);
});

test('connectionCount counts connections of all servers', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const other = await server.start();
  const one = await server.connect();
  await server.connect('', { at: other });
  await server.connect();
  assert.equal(await server.main((wsb) => wsb.connectionCount()), 3);
  await one.close();
  await until(() => server.main((wsb) => wsb.connectionCount() === 2), 'two connections');
});

test('bufferedAmount is 0 for a socket that reads, and for one that is gone', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await client.run((wsb, id) => wsb.send(id, 'x'.repeat(1000)));
  await client.next();
  await until(() => server.main((wsb, kit, id) => wsb.bufferedAmount(id) === 0, client.id), 'an empty outbox');
  assert.equal(await server.main((wsb, kit, id) => wsb.bufferedAmount(id), gone), 0);
});

test('before any start, calls answer for nobody and never throw', async (t) => {
  const server = await launch(t, { start: false });
  const told = await server.main((wsb) => [
    wsb.send(1, 'x'), wsb.sendToChannel('c', 'x'), wsb.subscribe(1, 'c'), wsb.unsubscribe(1, 'c'), wsb.subscribeMany(1, ['c']),
    wsb.unsubscribeAll(1), wsb.isOpen(1), wsb.bufferedAmount(1), wsb.connectionCount(), wsb.hasSubscriptions('c'),
    wsb.subscriberCount('c'), wsb.isSubscribed(1, 'c'), wsb.getSubscriptions(1), wsb.getSubscribers('c'), wsb.closeChannel('c'),
    wsb.getToken(1) === undefined, wsb.setToken(1, 't') === undefined, wsb.close(1) === undefined, wsb.terminate(1) === undefined,
    wsb.copySubscriptions('a', 'b') === undefined,
  ]);
  assert.deepEqual(told, [0, 0, false, false, 0, 0, false, 0, 0, false, 0, false, [], [], 0, true, true, true, true, true]);
});

const wrong = [
  ['send', [1], 'data', 'TypeError'],
  ['send', [1, 5], 'data', 'TypeError'],
  ['send', [1, null], 'data', 'TypeError'],
  ['send', [1, { text: 'x' }], 'data', 'TypeError'],
  ['send', ['1', 'x'], 'socketId', 'TypeError'],
  ['sendToChannel', [5, 'x'], 'channel', 'TypeError'],
  ['sendToChannel', ['c', undefined], 'data', 'TypeError'],
  ['sendToChannel', ['c', 'x', { exclude: 'me' }], 'exclude', 'TypeError'],
  ['sendToChannel', ['c', 'x', { exclude: ['me'] }], 'exclude', 'TypeError'],
  ['sendToChannel', ['c', 'x', 7], 'options', 'TypeError'],
  ['subscribe', [1], 'channel', 'TypeError'],
  ['subscribe', [undefined, 'c'], 'socketId', 'TypeError'],
  ['unsubscribe', [1, 2], 'channel', 'TypeError'],
  ['subscribeMany', [1, 'abc'], 'channels', 'TypeError'],
  ['subscribeMany', [1, [1]], 'channels', 'TypeError'],
  ['unsubscribeMany', [1, {}], 'channels', 'TypeError'],
  ['copySubscriptions', ['a'], 'to', 'TypeError'],
  ['setToken', [1], 'token', 'TypeError'],
  ['setToken', [1, { user: 1 }], 'token', 'TypeError'],
  ['close', [1, '1000'], 'code', 'TypeError'],
  ['close', [1, 1000, 5], 'reason', 'TypeError'],
  ['close', [1, 1005], 'code', undefined],
  ['close', [1, 1006], 'code', undefined],
  ['close', [1, 999], 'code', undefined],
  ['close', [1, 2999], 'code', undefined],
  ['close', [1, 5000], 'code', undefined],
  ['close', [1, 4000.5], 'code', undefined],
  ['close', [1, 4000, 'x'.repeat(124)], 'reason', undefined],
  ['close', [1, 4000, 'ü'.repeat(62)], 'reason', undefined],
  ['closeChannel', ['c', 1], 'code', undefined],
  ['subscriberCount', [], 'channel', 'TypeError'],
  ['hasSubscriptions', [{}], 'channel', 'TypeError'],
  ['isSubscribed', [1], 'channel', 'TypeError'],
  ['isOpen', ['1'], 'socketId', 'TypeError'],
  ['getToken', [null], 'socketId', 'TypeError'],
  ['getSubscribers', [1], 'channel', 'TypeError'],
];

test('a wrong argument is an error that names the call and the argument', async (t) => {
  const server = await launch(t);
  for (const [call, args, name, type] of wrong) {
    await t.test(`${call}(${JSON.stringify(args).slice(1, -1).slice(0, 40)}): "${name}"`, async () => {
      const code = type === 'TypeError' ? 'ERR_WSBROKER_INVALID_ARG_TYPE' : 'ERR_WSBROKER_INVALID_ARG_VALUE';
      const asked = server.main((wsb, kit, call, args) => void wsb[call](...args), call, args);
      const error = await failure(asked, { code, type });
      assert.ok(error.message.includes(call) && error.message.includes(name), error.message);
    });
  }
});

test('a reason of 123 bytes passes whole', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const reason = 'ü'.repeat(61) + 'x';
  await client.run((wsb, id, reason) => wsb.close(id, 4000, reason), reason);
  assert.deepEqual(await client.end(), { code: 4000, reason });
});

test('a wrong argument for a live socket leaves it alone', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await failure(client.run((wsb, id) => wsb.send(id, 7)), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE' });
  await failure(client.run((wsb, id) => wsb.close(id, 1004)), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE' });
  assert.deepEqual(await client.fence(), []);
  assert.equal(client.ended, undefined);
});

test('a SharedArrayBuffer is no Data on any runtime, and a view of one is', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const shared = await client.run((wsb, id) => {
    const buffer = new SharedArrayBuffer(3);
    const view = new Uint8Array(buffer).fill(7);
    wsb.send(id, view);
    try {
      return wsb.send(id, buffer);
    } catch (error) {
      return error.message;
    }
  });
  assert.equal(shared, 'send: "data" must be a string, ArrayBuffer or Uint8Array, got an object');
  assert.deepEqual(await client.next(), Buffer.from([7, 7, 7]));
});

test('to read bytes looks up nothing, so that no proxy can take them away meanwhile', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const looked = await client.run((wsb, id) => {
    let count = 0;
    for (const value of [new ArrayBuffer(100_000), new Uint8Array(100_000)]) {
      const buffer = value.buffer ?? value;
      const trap = (name) => (...args) => {
        if (count++ === 0) structuredClone(buffer, { transfer: [buffer] });
        return Reflect[name](...args);
      };
      Object.setPrototypeOf(value, new Proxy(Object.getPrototypeOf(value), { has: trap('has'), get: trap('get'), getPrototypeOf: trap('getPrototypeOf') }));
      wsb.send(id, value);
    }
    return count;
  });
  assert.equal(looked, 0);
  for (const message of await client.take(2)) assert.ok(message.equals(Buffer.alloc(100_000)));
});
