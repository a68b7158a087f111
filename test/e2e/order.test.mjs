// Order and delivery: the seven promises, each by itself. load.test.mjs checks them all at once under load.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';
import { CLOSE, frame, open, request, tcp, TEXT } from './raw.mjs';

const eventsOf = (server, id) =>
  server.told.all.filter((event) => event.id === id && ['open', 'text', 'binary', 'close', 'drain'].includes(event.type));

// 1 ------------------------------------------------------------------------------------------------------------------------

test('1: every accepted connection has one open, then its messages, then one close', async (t) => {
  const server = await launch(t, { options: { threads: 3 } });
  const ways = [
    (client) => client.close(4000, 'client'),
    (client) => (client.ws.terminate(), client.end()),
    (client) => (client.run((wsb, id) => void wsb.close(id, 4001)), client.end()),
    (client) => (client.run((wsb, id) => void wsb.terminate(id)), client.end()),
    // both at once
    (client) => (client.run((wsb, id) => void (wsb.close(id, 4002), wsb.close(id, 4003), wsb.terminate(id))), client.close(4004)),
  ];
  const clients = [];
  for (let i = 0; i < 30; i++) clients.push(await server.connect());
  await Promise.all(
    clients.map(async (client, i) => {
      client.send('a');
      client.send('b');
      await server.told.next('text', (event) => event.id === client.id && event.data === 'b');
      await ways[i % ways.length](client);
    }),
  );
  for (const { id } of clients) {
    await server.told.next('close', (event) => event.id === id);
    assert.deepEqual(eventsOf(server, id).map((event) => event.data ?? event.type), ['open', 'a', 'b', 'close']);
  }
});

test('1: messages that came together with the close frame are handled before handleClose', async (t) => {
  const server = await launch(t);
  const raw = await tcp(server);
  const messages = Array.from({ length: 100 }, (_, i) => frame(TEXT, `m${i}`));
  raw.write(Buffer.concat([Buffer.from(request()), ...messages, frame(CLOSE, Buffer.from([0x0f, 0xa0]))]));
  const { id } = await server.told.next('open');
  const close = await server.told.next('close');
  assert.equal(close.code, 4000);
  assert.deepEqual(eventsOf(server, id).map((event) => event.data ?? event.type), ['open', ...messages.map((_, i) => `m${i}`), 'close']);
});

test('1: messages that came before the connection was cut are handled before handleClose', async (t) => {
  const server = await launch(t);
  const raw = await open(server);
  const { id } = await server.told.next('open');
  raw.socket.end(Buffer.concat([frame(TEXT, 'one'), frame(TEXT, 'two'), frame(TEXT, 'half').subarray(0, 4)]));
  const close = await server.told.next('close');
  assert.equal(close.code, 1006);
  assert.deepEqual(eventsOf(server, id).map((event) => event.data ?? event.type), ['open', 'one', 'two', 'close']);
});

test('1: an async handler delays handleClose until it has settled', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      handleOpen: (id) => kit.tell('open', { id }),
      async handleTextMessage(text, id) {
        kit.tell('text', { id, data: `${text} begins` });
        await new Promise((resolve) => (globalThis.go = resolve));
        kit.tell('text', { id, data: `${text} ends` });
      },
      handleBinaryMessage: () => globalThis.go(),
      handleClose: (id) => kit.tell('close', { id }),
    }),
  });
  const one = await server.connect();
  const other = await server.connect();
  one.send('x');
  await server.told.next('text');
  await one.close();
  await until(() => server.main((wsb) => wsb.connectionCount() === 1), 'the connection to be gone');
  assert.deepEqual(server.told.of('close'), []);
  other.send(Buffer.from('go'));
  await server.told.next('close');
  const [{ id }] = server.told.of('open');
  assert.deepEqual(eventsOf(server, id).map((event) => event.data ?? event.type), ['open', 'x begins', 'x ends', 'close']);
});

test('1: a worker without handleOpen gets one close for each connection too', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({ handleClose: (id, token, code, reason) => kit.tell('close', { id, code, reason }) }),
  });
  for (let i = 0; i < 10; i++) {
    const client = await server.connect();
    await client.close(4000 + i, 'bye');
  }
  const closes = [];
  for (let i = 0; i < 10; i++) closes.push(await server.told.next('close'));
  assert.deepEqual(closes.map((event) => event.code), Array.from({ length: 10 }, (_, i) => 4000 + i));
  assert.equal(new Set(closes.map((event) => event.id)).size, 10);
});

test('1: every close is reported with its code and reason', async (t) => {
  const server = await launch(t);
  for (const [code, reason, seen] of [[1000, '', 1000], [1001, 'leaving', 1001], [4999, 'ünïcode', 4999], [undefined, undefined, 1005]]) {
    const client = await server.connect();
    await client.close(code, reason);
    const close = await server.told.next('close');
    assert.deepEqual([close.id, close.code, close.reason], [client.id, seen, reason ?? '']);
  }
});

// 2 ------------------------------------------------------------------------------------------------------------------------

test('2: handlers of a connection run in arrival order, text and binary mixed', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const client = await server.connect();
  for (let i = 0; i < 2000; i++) client.send(i % 3 ? `${i}` : Buffer.from(`${i}`));
  await client.close();
  await server.told.next('close');
  const seen = eventsOf(server, client.id).slice(1, -1).map((event) => Number(event.data ?? Buffer.from(event.hex, 'hex').toString()));
  assert.deepEqual(seen, Array.from({ length: 2000 }, (_, i) => i));
});

const slowWorker = (wsb, kit) => ({
  handleOpen: (id) => kit.tell('open', { id }),
  handleTextMessage(text, id) {
    if (text === 'release') return void globalThis.release();
    kit.tell('begin', { id, text });
    if (!text.startsWith('slow')) return kit.tell('end', { id, text });
    return new Promise((resolve) => (globalThis.release = resolve)).then(() => kit.tell('end', { id, text }));
  },
});

test('2: in serial mode the next event of a connection waits for the promise, other connections do not', async (t) => {
  const server = await launch(t, { worker: slowWorker });
  const one = await server.connect();
  const first = (await server.told.next('open')).id;
  const two = await server.connect();
  one.send('slow 1');
  one.send('after');
  await server.told.next('begin', (event) => event.text === 'slow 1');
  two.send('other');
  await server.told.next('end', (event) => event.text === 'other');
  assert.deepEqual(server.told.of('begin', (event) => event.id === first).map((event) => event.text), ['slow 1']);
  two.send('release');
  await server.told.next('end', (event) => event.text === 'after');
  assert.deepEqual(
    server.told.all.filter((event) => event.id === first && event.type !== 'open').map((event) => `${event.type} ${event.text}`),
    ['begin slow 1', 'end slow 1', 'begin after', 'end after'],
  );
});

test("2: handlers: 'concurrent' does not wait, and still begins in arrival order", async (t) => {
  const server = await launch(t, { worker: slowWorker, options: { handlers: 'concurrent' } });
  const one = await server.connect();
  one.send('slow 1');
  one.send('after');
  one.send('release');
  await server.told.next('end', (event) => event.text === 'slow 1');
  assert.deepEqual(
    server.told.all.filter((event) => event.type === 'begin' || event.type === 'end').map((event) => `${event.type} ${event.text}`),
    ['begin slow 1', 'begin after', 'end after', 'end slow 1'],
  );
});

test('2: a connection stays with one worker', async (t) => {
  const server = await launch(t, {
    options: { threads: 4 },
    worker: (wsb, kit) => {
      const thread = require('node:worker_threads').threadId;
      const tell = (type) => (...given) => kit.tell(type, { id: typeof given[0] === 'number' ? given[0] : given[1], thread });
      return { handleOpen: tell('event'), handleTextMessage: tell('event'), handleBinaryMessage: tell('event'), handleClose: tell('last') };
    },
  });
  const clients = [];
  for (let i = 0; i < 12; i++) clients.push(await server.connect('', { id: false }));
  for (let round = 0; round < 20; round++) for (const client of clients) client.send(round % 2 ? 'x' : Buffer.from('x'));
  for (const client of clients) await client.close();
  for (const _ of clients) await server.told.next('last');
  const threads = new Map();
  for (const { id, thread } of [...server.told.of('event'), ...server.told.of('last')]) {
    if (!threads.has(id)) threads.set(id, new Set());
    threads.get(id).add(thread);
  }
  assert.equal(threads.size, 12);
  for (const [id, set] of threads) assert.equal(set.size, 1, `connection ${id}`);
});

// 3 ------------------------------------------------------------------------------------------------------------------------

test('3: sends, publishes, (un)subscriptions and closes of one thread take effect in call order', async (t) => {
  const server = await launch(t, { options: { threads: 2, ioThreads: 2 } });
  const client = await server.connect();
  const watcher = await server.connect();
  await server.main((wsb, kit, id) => wsb.subscribe(id, 'r'), watcher.id);
  for (const where of ['main', 'own worker', 'other worker']) {
    const script = (wsb, own, other) => {
      const id = other ?? own;
      wsb.send(id, '1');
      wsb.sendToChannel('r', 'not yet subscribed');
      wsb.subscribe(id, 'r');
      wsb.sendToChannel('r', '2 hi');
      wsb.send(id, Buffer.from('3'));
      wsb.sendToChannel('r', '4 bye');
      wsb.unsubscribe(id, 'r');
      wsb.sendToChannel('r', 'not any more');
      wsb.send(id, '5');
      wsb.subscribe(id, 'r');
      wsb.unsubscribe(id, 'r');
      wsb.sendToChannel('r', 'neither');
      wsb.subscribeMany(id, ['r', 's']);
      wsb.sendToChannel('s', '6');
      wsb.unsubscribeAll(id);
      wsb.sendToChannel('s', 'gone from all');
      wsb.send(id, '7');
    };
    if (where === 'main') await server.main(`(wsb, kit, id) => (${script})(wsb, id)`, client.id);
    else if (where === 'own worker') await client.run(script);
    else await watcher.run(script, client.id);
    assert.deepEqual(await client.take(7), ['1', '2 hi', Buffer.from('3'), '4 bye', '5', '6', '7'], where);
    assert.deepEqual(await client.fence(), [], where);
    assert.deepEqual(await watcher.take(5), ['not yet subscribed', '2 hi', '4 bye', 'not any more', 'neither'], where);
  }
});

test('3: what was sent before a close arrives before it, what comes after does not', async (t) => {
  const server = await launch(t);
  for (let round = 0; round < 20; round++) {
    const client = await server.connect();
    await client.run((wsb, id) => {
      wsb.subscribe(id, 'room');
      for (let i = 0; i < 50; i++) wsb.send(id, `${i}`);
      wsb.sendToChannel('room', 'last');
      wsb.close(id, 4000);
      wsb.send(id, 'too late');
      wsb.sendToChannel('room', 'too late');
    });
    assert.equal((await client.end()).code, 4000);
    assert.deepEqual(client.messages, [...Array.from({ length: 50 }, (_, i) => `${i}`), 'last']);
  }
});

test("3: every subscriber sees one thread's publishes in call order, and of two threads each in its own", async (t) => {
  const server = await launch(t, { options: { threads: 3, ioThreads: 2 } });
  const clients = [];
  for (let i = 0; i < 12; i++) clients.push(await server.connect());
  await server.main((wsb, kit, ids) => ids.forEach((id) => wsb.subscribe(id, 'all')), clients.map((client) => client.id));
  const publish = (wsb, id, name) => {
    for (let i = 0; i < 300; i++) wsb.sendToChannel('all', `${name} ${i}`);
  };
  await Promise.all([
    clients[0].run(publish, 'a'),
    clients[1].run(publish, 'b'),
    clients[2].run(publish, 'c'),
    server.main(`(wsb, kit) => (${publish})(wsb, 0, 'main')`),
  ]);
  for (const client of clients) {
    const got = await client.take(1200);
    for (const name of ['a', 'b', 'c', 'main']) {
      const own = got.filter((text) => text.startsWith(`${name} `)).map((text) => Number(text.split(' ')[1]));
      assert.deepEqual(own, Array.from({ length: 300 }, (_, i) => i), `${name} at ${client.id}`);
    }
  }
});

test('3: sends from timers, microtasks and promises keep their order too', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  await client.run(async (wsb, id) => {
    wsb.send(id, '1');
    await null;
    wsb.send(id, '2');
    await new Promise((resolve) => setTimeout(resolve, 1));
    wsb.send(id, '3');
    wsb.subscribe(id, 'late');
    wsb.sendToChannel('late', '4');
    await new Promise((resolve) => setImmediate(resolve));
    wsb.send(id, '5');
    setTimeout(() => wsb.send(id, '6'), 1);
  });
  assert.deepEqual(await client.take(6), ['1', '2', '3', '4', '5', '6']);
});

// 4 ------------------------------------------------------------------------------------------------------------------------

test('4: nothing is delivered twice and nothing is lost to a socket that reads', async (t) => {
  const server = await launch(t, { options: { threads: 2, ioThreads: 2, maxBackpressure: 64 << 20 } });
  const client = await server.connect();
  await server.main((wsb, kit, id) => {
    wsb.subscribeMany(id, ['a', 'b']);
    for (let i = 0; i < 5000; i++) {
      if (i % 3 === 0) wsb.send(id, `${i}`);
      else wsb.sendToChannel(i % 3 === 1 ? 'a' : 'b', `${i}`);
    }
  }, client.id);
  assert.deepEqual(await client.take(5000), Array.from({ length: 5000 }, (_, i) => `${i}`));
  assert.deepEqual(await client.fence(), []);
});

test('4: send says queued, and 0 as soon as the socket is known to be gone', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  assert.equal(await server.main((wsb, kit, id) => wsb.send(id, 'queued'), client.id), 1);
  client.ws.terminate();
  await until(() => server.main((wsb, kit, id) => wsb.send(id, 'x') === 0, client.id), 'send to return 0');
});

// 5 ------------------------------------------------------------------------------------------------------------------------

test('5: after subscribe returned, a later publish on any thread reaches the socket', async (t) => {
  const server = await launch(t, { options: { threads: 3, ioThreads: 2 } });
  const subscriber = await server.connect();
  const publisher = await server.connect();
  for (let i = 0; i < 200; i++) {
    const channel = `c${i}`;
    // `run` and `main` return when the call has: what is asked for next happens later.
    if (i % 2) await subscriber.run((wsb, id, channel) => wsb.subscribe(id, channel), channel);
    else await server.main((wsb, kit, id, channel) => wsb.subscribe(id, channel), subscriber.id, channel);
    const count = await publisher.run((wsb, id, channel) => wsb.sendToChannel(channel, channel), channel);
    assert.equal(count, 1);
    assert.equal(await subscriber.next(), channel);
  }
});

// 6 ------------------------------------------------------------------------------------------------------------------------

test('6: new connections go to the worker that has the fewest', async (t) => {
  const server = await launch(t, {
    options: { threads: 4 },
    worker: (wsb, kit) => ({
      handleOpen: (id, ip, headers) => kit.tell('open', { id, tag: headers['x-tag'], thread: require('node:worker_threads').threadId }),
      handleClose: (id) => kit.tell('close', { id }),
    }),
  });
  server.standard = true;
  const threadOf = new Map();
  const counts = () => {
    const per = new Map();
    for (const thread of threadOf.values()) per.set(thread, (per.get(thread) ?? 0) + 1);
    return [...per.values()].sort((a, b) => a - b);
  };
  const clients = [];
  const connect = async () => {
    const client = await server.connect();
    threadOf.set(client.id, server.told.of('open', (event) => event.id === client.id)[0].thread);
    clients.push(client);
  };
  for (let i = 0; i < 20; i++) await connect();
  assert.deepEqual(counts(), [5, 5, 5, 5]);
  // One worker loses four of its five: the next four go there.
  const [thread] = threadOf.values();
  for (const client of clients.filter((client) => threadOf.get(client.id) === thread).slice(0, 4)) {
    threadOf.delete(client.id);
    await client.close();
    await server.told.next('close', (event) => event.id === client.id);
  }
  assert.deepEqual(counts(), [1, 5, 5, 5]);
  for (let i = 0; i < 4; i++) await connect();
  assert.deepEqual(counts(), [5, 5, 5, 5]);
});

// 7 is in open.test.mjs: the id is valid in handleOpen, and what was done there is undone for a refused connection.

test('7: what another thread sends to a connection that is still being opened arrives after the 101, each thread in its order', async (t) => {
  const server = await launch(t, {
    options: { threads: 2 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleOpen(id, ip, headers, request) {
        kit.tell('open', { id, tag: headers['x-tag'] });
        if (request.path !== '/wait') return true;
        wsb.send(id, '1 from its handleOpen');
        return new Promise((resolve) => {
          const look = setInterval(() => {
            if (wsb.getToken(id)?.toString() !== 'go') return;
            clearInterval(look);
            wsb.send(id, '2 before the verdict');
            resolve(true);
          }, 2);
        });
      },
    }),
  });
  const waiting = server.connect('/wait', { id: false });
  const { id } = await server.told.next('open');
  await server.main((wsb, kit, id) => {
    wsb.send(id, '1 from elsewhere');
    wsb.subscribe(id, 'room');
    wsb.sendToChannel('room', '2 published');
    wsb.setToken(id, 'go');
  }, id);
  const client = await waiting;
  const got = await client.take(4);
  assert.deepEqual(got.filter((text) => /handleOpen|verdict/.test(text)), ['1 from its handleOpen', '2 before the verdict']);
  assert.deepEqual(got.filter((text) => /elsewhere|published/.test(text)), ['1 from elsewhere', '2 published']);
});
