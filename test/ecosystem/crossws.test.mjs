// `wsbroker/crossws`: hooks of crossws on workers, as its own adapters run them, and what differs on many threads.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { failure, launch, until } from '../e2e/harness.mjs';
import { startRedis } from '../redis/redis.mjs';

/** The chat of a crossws application. What its hooks see is told. */
const worker = (wsb, kit) => {
  const { threadId } = require('node:worker_threads');
  const { crosswsWorker } = require(process.env.WSB_PACKAGE.replace(/index\.cjs$/, 'crossws.cjs'));
  const adapter = crosswsWorker({
    hooks: {
      upgrade(request) {
        const url = new URL(request.url);
        if (url.searchParams.has('refuse')) {
          return new Response('no entry', { status: 401, headers: { 'www-authenticate': 'Bearer realm="x"', 'set-cookie': 'a=1' } });
        }
        if (url.searchParams.has('throw')) throw { response: new Response(null, { status: 402 }) };
        if (url.searchParams.has('broken')) throw new Error('on purpose');
        if (url.searchParams.has('header')) return { headers: { 'x-odd': 'caf\u00e9' } };
        const offered = request.headers.get('sec-websocket-protocol');
        return {
          headers: { 'x-powered-by': 'hooks', ...(offered === 'yes' ? { 'sec-websocket-protocol': 'yes' } : {}) },
          context: { user: url.searchParams.get('user') },
          ...(url.searchParams.has('room') ? { namespace: 'room:' + url.searchParams.get('room') } : {}),
          ...(url.searchParams.has('protocol') ? { protocol: url.searchParams.get('protocol') } : {}),
        };
      },
      open(peer) {
        kit.tell('open', { id: peer.id, user: peer.context.user, threadId });
        peer.subscribe('chat');
        peer.send(`welcome ${peer.context.user} ${peer.namespace}`);
      },
      async message(peer, message) {
        const text = message.text();
        const [word, ...rest] = text.split(' ');
        if (typeof message.rawData !== 'string') {
          peer.websocket.binaryType = 'arraybuffer';
          const { data } = message;
          return void peer.send(new DataView(data, 1));
        }
        switch (word) {
          case 'thread':
            return void peer.send(String(threadId));
          case 'say':
            return peer.publish('chat', rest.join(' '));
          case 'all':
            return adapter.publish('chat', { said: rest.join(' ') });
          case 'in':
            return adapter.publish('chat', rest[1], { namespace: rest[0] });
          case 'leave':
            peer.unsubscribe('chat');
            return void peer.send(JSON.stringify([...peer.topics]));
          case 'throw':
            throw new Error('on purpose');
          case 'slow':
            await new Promise((resolve) => globalThis.release = resolve);
            return void peer.send('at last');
          case 'release':
            return globalThis.release();
          case 'close':
            return peer.close(4000, 'told to');
          case 'cut':
            return peer.terminate();
          case 'close-all':
            return adapter.close(4001, 'all').then(() => kit.tell('adapter closed'));
          case 'drained':
            await peer.waitForDrain({ pollInterval: 1 });
            return void peer.send('drained');
          case 'die':
            return void setImmediate(() => process.exit());
          case 'peers':
            return void peer.send({ here: peer.peers.size, namespaces: [...adapter.peers.keys()], mine: peer.peers.has(peer) });
          case 'about':
            return void peer.send({
              id: peer.id,
              text: `${peer}`,
              remoteAddress: peer.remoteAddress,
              bufferedAmount: peer.bufferedAmount,
              url: peer.request.url,
              header: peer.request.headers.get('x-test'),
              connection: peer.request.headers.get('connection'),
              websocket: {
                readyState: peer.websocket.readyState,
                protocol: peer.websocket.protocol,
                extensions: peer.websocket.extensions,
                url: peer.websocket.url,
              },
            });
          case 'flood':
            // A turn for each, so that the kernel has taken what it takes.
            while (peer.send('x'.repeat(1 << 16)) === 1) await new Promise((resolve) => setImmediate(resolve));
            return kit.tell('flooded', { bufferedAmount: peer.bufferedAmount });
          default:
            return void peer.send(text);
        }
      },
      close(peer, { code, reason }) {
        kit.tell('close', { id: peer.id, code, reason, readyState: peer.websocket.readyState, here: peer.peers.size });
      },
      drain(peer) {
        kit.tell('drain', { id: peer.id });
      },
      error(peer, error) {
        kit.tell('hook error', { id: peer.id, name: error.name, message: error.message, cause: error.cause?.message });
      },
    },
    onError: (error, context) => kit.tell('error', { error: kit.describe(error), ...context }),
  });
  return adapter;
};

const open = async (server, where = '/chat', options) => {
  const client = await server.connect(where, options);
  client.welcome = await client.next();
  return client;
};
const ask = async (client, text) => {
  client.send(text);
  return JSON.parse(await client.next());
};
let fences = 0;
/** What has come for it before now. */
async function before(client) {
  const mark = `fence-${++fences}`;
  client.send(mark);
  const from = client.taken;
  await until(() => client.messages.includes(mark, from), 'the fence');
  const came = client.messages.slice(from, client.messages.indexOf(mark, from));
  client.taken = client.messages.indexOf(mark, from) + 1;
  return came;
}
/** A client on each of two threads. */
async function onTwoThreads(server, where = '/chat') {
  const clients = [await open(server, where), await open(server, where)];
  const threads = [];
  for (const client of clients) threads.push(await ask(client, 'thread'));
  assert.notEqual(threads[0], threads[1]);
  return clients;
}

test('a connection passes through its hooks', async (t) => {
  const server = await launch(t, { worker });
  const client = await open(server, '/chat?user=ada');
  assert.equal(client.welcome, 'welcome ada /chat');
  assert.equal(client.response.headers['x-powered-by'], 'hooks');
  client.send('hello');
  assert.equal(await client.next(), 'hello');
  client.send(Buffer.from([1, 2, 3]));
  assert.deepEqual(await client.next(), Buffer.from([2, 3]));
  const { id } = await server.told.next('open');
  assert.deepEqual(await client.close(4001, 'bye'), { code: 4001, reason: '' });
  const { type: _, ...closed } = await server.told.next('close');
  assert.deepEqual(closed, { id, code: 4001, reason: 'bye', readyState: 3, here: 0 });
});

test('what open subscribes takes effect with the 101', async (t) => {
  const server = await launch(t, {
    worker: () => {
      const { existsSync } = require('node:fs');
      const { crosswsWorker } = require(process.env.WSB_PACKAGE.replace(/index\.cjs$/, 'crossws.cjs'));
      const sleeping = new Int32Array(new SharedArrayBuffer(4));
      return crosswsWorker({
        hooks: {
          upgrade(request) {
            const file = new URL(request.url).searchParams.get('until');
            // From the verdict on the thread is busy: what it does later is later than the client's 101.
            setImmediate(() => {
              for (let i = 0; i < 2000 && !existsSync(file); i++) Atomics.wait(sleeping, 0, 0, 5);
            });
          },
          open(peer) {
            peer.subscribe('chat');
            peer.send('welcome');
          },
        },
      });
    },
  });
  const client = await server.connect(`/chat?until=${encodeURIComponent(path.join(server.folder, 'published'))}`);
  const reached = await server.main((wsb) => {
    const { topicChannel } = require(process.env.WSB_PACKAGE.replace(/index\.cjs$/, 'crossws.cjs'));
    return wsb.sendToChannel(topicChannel('chat', '/chat'), 'news');
  });
  server.file('published', '');
  assert.equal(reached, 1);
  assert.deepEqual((await client.take(2)).sort(), ['news', 'welcome']);
});

test('open runs in the context that upgrade has entered, and a message in none of a connection', async (t) => {
  const server = await launch(t, {
    worker: () => {
      const { AsyncLocalStorage } = require('node:async_hooks');
      const { crosswsWorker } = require(process.env.WSB_PACKAGE.replace(/index\.cjs$/, 'crossws.cjs'));
      const user = new AsyncLocalStorage();
      return crosswsWorker({
        hooks: {
          upgrade: (request) => void user.enterWith(new URL(request.url).searchParams.get('user')),
          async open(peer) {
            const before = user.getStore();
            await new Promise((resolve) => setImmediate(resolve));
            peer.send(`${before} ${user.getStore()}`);
          },
          message: (peer) => void peer.send(String(user.getStore())),
        },
      });
    },
  });
  const clients = await Promise.all(['ada', 'bob', 'cat'].map((user) => server.connect(`/?user=${user}`)));
  for (const [i, user] of ['ada', 'bob', 'cat'].entries()) {
    assert.equal(await clients[i].next(), `${user} ${user}`);
    clients[i].send('who?');
    assert.equal(await clients[i].next(), 'undefined');
  }
});

test('a peer knows its request', async (t) => {
  const server = await launch(t, { worker });
  const client = await open(server, '/chat?foo=bar', { headers: { 'x-test': '1' }, protocols: ['offered'] }).catch(() => undefined);
  assert.equal(client, undefined, 'ws refuses an answer without a protocol');
  const about = await ask(await open(server, '/chat?foo=bar', { headers: { 'x-test': '1' } }), 'about');
  assert.match(about.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  assert.deepEqual({ ...about, id: '' }, {
    id: '',
    text: about.id,
    remoteAddress: '127.0.0.1',
    bufferedAmount: 0,
    url: `http://127.0.0.1:${server.port}/chat?foo=bar`,
    header: '1',
    connection: 'Upgrade',
    websocket: { readyState: 1, protocol: '', extensions: '', url: `ws://127.0.0.1:${server.port}/chat?foo=bar` },
  });
});

test('a subprotocol is chosen by a header or by name, and only one that was offered', async (t) => {
  const server = await launch(t, { worker });
  const byHeader = await open(server, '/', { protocols: ['yes'] });
  assert.equal(byHeader.ws.protocol, 'yes');
  assert.equal((await ask(byHeader, 'about')).websocket.protocol, 'yes');
  assert.equal((await open(server, '/?protocol=b', { protocols: ['a', 'b'] })).ws.protocol, 'b');
  assert.equal((await server.refused('/?protocol=c', { protocols: ['a', 'b'] })).status, 500);
  assert.match((await server.told.next('error')).error.message, /one of those that the client offered/);
});

test('a Response refuses, returned or thrown', async (t) => {
  const server = await launch(t, { worker });
  const { status, headers, body } = await server.refused('/?refuse');
  assert.deepEqual([status, body, headers['www-authenticate'], headers['set-cookie']], [401, 'no entry', 'Bearer realm="x"', ['a=1']]);
  assert.match(headers['content-type'], /^text\/plain/);
  assert.equal((await server.refused('/?throw')).status, 402);
});

test('a mistake in an upgrade hook lets nobody in', async (t) => {
  const server = await launch(t, { worker });
  for (const [where, message] of [['/?broken', /on purpose/], ['/?header', /not printable ASCII/]]) {
    assert.equal((await server.refused(where)).status, 500);
    const { error, handler } = await server.told.next('error');
    assert.match(error.message, message);
    assert.equal(handler, 'handleOpen');
  }
  assert.equal((await server.refused('/', { headers: { host: 'x:99999' } })).status, 400);
  assert.deepEqual(server.told.of('error', ({ taken }) => !taken), [], 'a request of a client is no mistake of the application');
  assert.equal(server.told.of('open').length, 0);
});

test('topics reach the peers of a namespace on all threads, without the publisher', async (t) => {
  const server = await launch(t, { worker, options: { threads: 2 } });
  const [one, two] = await onTwoThreads(server);
  const elsewhere = await open(server, '/other');
  one.send('say hello');
  assert.equal(await two.next(), 'hello');
  assert.deepEqual(await before(one), []);
  assert.deepEqual(await before(elsewhere), []);
  one.send('all hear this');
  for (const client of [one, two, elsewhere]) assert.equal(await client.next(), '{"said":"hear this"}');
  one.send('in /other psst');
  assert.equal(await elsewhere.next(), 'psst');
  assert.deepEqual(await ask(two, 'leave'), []);
  one.send('say gone');
  one.send('all gone');
  assert.equal(await one.next(), '{"said":"gone"}');
  assert.equal(await elsewhere.next(), '{"said":"gone"}');
  assert.deepEqual(await before(two), []);
});

test('topics reach the peers of another instance, by their namespace', async (t) => {
  const redis = `redis://127.0.0.1:${(await startRedis(t)).port}`;
  const options = { threads: 1, cluster: { redis } };
  const [here, there] = [await launch(t, { worker, options }), await launch(t, { worker, options })];
  const [one, two, elsewhere] = [await open(here), await open(there), await open(there, '/other')];
  const listens = (server, ...topics) => server.main(async (wsb, kit, given) => {
    const { topicChannel } = require(process.env.WSB_PACKAGE.replace(/index\.cjs$/, 'crossws.cjs'));
    return Promise.all(given.map((topic) => wsb.listening(topicChannel(...topic))));
  }, topics);
  assert.deepEqual(await listens(there, ['chat', '/chat'], ['chat', '/other'], ['chat']), [true, true, true]);
  assert.deepEqual(await listens(here, ['chat']), [true]);
  one.send('say hello');
  assert.equal(await two.next(), 'hello');
  one.send('all hear this');
  for (const client of [one, two, elsewhere]) assert.equal(await client.next(), '{"said":"hear this"}');
  assert.deepEqual(await before(one), [], 'a publisher does not hear itself');
});

test('an upgrade hook names the namespace', async (t) => {
  const server = await launch(t, { worker });
  const [tea, water, juice] = [await open(server, '/a?room=tea'), await open(server, '/b?room=tea'), await open(server, '/a?room=juice')];
  assert.equal(tea.welcome, 'welcome null room:tea');
  tea.send('say hot');
  assert.equal(await water.next(), 'hot');
  assert.deepEqual(await before(juice), []);
});

test('peers are those of this thread, and an empty namespace is forgotten', async (t) => {
  const server = await launch(t, { worker, options: { threads: 2 } });
  const [one, two] = await onTwoThreads(server);
  for (const client of [one, two]) {
    assert.deepEqual(await ask(client, 'peers'), { here: 1, namespaces: ['/chat'], mine: true });
  }
  const other = await open(server, '/other');
  await other.close();
  await server.told.next('close');
  assert.deepEqual((await ask(one, 'peers')).namespaces, ['/chat']);
  assert.deepEqual((await ask(two, 'peers')).namespaces, ['/chat']);
});

test('a hook that waits holds nothing back', async (t) => {
  const server = await launch(t, { worker });
  const client = await open(server);
  client.send('slow');
  client.send('hello');
  assert.equal(await client.next(), 'hello');
  client.send('release');
  assert.equal(await client.next(), 'at last');
});

test('what a hook rejects with goes to the error hook, as does a protocol error', async (t) => {
  const server = await launch(t, { worker });
  const client = await open(server);
  client.send('throw');
  const { name, message, cause } = await server.told.next('hook error');
  assert.deepEqual([name, message, cause], ['WSError', 'on purpose', 'on purpose']);
  client.ws._socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
  assert.equal((await client.end()).code, 1002);
  assert.match((await server.told.next('hook error')).message, /violated the protocol: closed with 1002/);
  assert.equal((await server.told.next('close')).code, 1002);
  assert.equal(server.told.of('error').length, 0);
});

test('a peer closes and terminates', async (t) => {
  const server = await launch(t, { worker });
  const [one, two] = [await open(server), await open(server)];
  one.send('close');
  assert.deepEqual(await one.end(), { code: 4000, reason: 'told to' });
  two.send('cut');
  assert.equal((await two.end()).code, 1006);
});

test('an adapter closes its peers, and returns a promise', async (t) => {
  const server = await launch(t, { worker });
  const [one, two] = [await open(server), await open(server, '/other')];
  one.send('close-all');
  for (const client of [one, two]) assert.deepEqual(await client.end(), { code: 4001, reason: 'all' });
  await server.told.next('adapter closed');
});

test('a peer that does not read is seen, and drains', async (t) => {
  const server = await launch(t, { worker, options: { maxBackpressure: 1 << 20, overflow: 'dropNewest' } });
  const client = await open(server);
  client.ws.pause();
  client.send('flood');
  assert.ok((await server.told.next('flooded')).bufferedAmount > 1 << 19);
  const other = await open(server);
  assert.equal((await ask(other, 'about')).bufferedAmount, 0);
  client.send('drained');
  client.ws.resume();
  await server.told.next('drain');
  await until(() => client.messages.at(-1) === 'drained', 'the end of waitForDrain');
});

test('connections of a worker that ends are closed with 1012, and the others stay', async (t) => {
  const server = await launch(t, { worker, options: { threads: 2 } });
  const [one, two] = await onTwoThreads(server);
  one.send('die');
  assert.deepEqual(await one.end(), { code: 1012, reason: 'Worker ended' });
  two.send('hello');
  assert.equal(await two.next(), 'hello');
  const stats = await server.main((wsb) => wsb.stats());
  assert.equal(stats.closes.workerEnded, 1);
  const three = await open(server);
  three.send('say still here');
  assert.equal(await two.next(), 'still here');
});

test('a reload closes the connections with 1012, and their hooks hear of it', async (t) => {
  const server = await launch(t, { worker });
  const client = await open(server);
  const { id } = await server.told.next('open');
  const before = await ask(client, 'thread');
  const reloaded = server.main((wsb) => wsb.reloadWorkers());
  assert.deepEqual(await client.end(), { code: 1012, reason: 'Worker ended' });
  const { type: _, ...closed } = await server.told.next('close');
  assert.deepEqual(closed, { id, code: 1012, reason: 'Worker ended', readyState: 3, here: 0 });
  assert.deepEqual(await reloaded, { started: 1, stopped: 1, cut: 0, closed: 1 });
  assert.notEqual(await ask(await open(server), 'thread'), before);
});

test('hooks come from an application that routes, as h3 does', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => {
      const { crosswsWorker } = require(process.env.WSB_PACKAGE.replace(/index\.cjs$/, 'crossws.cjs'));
      const echo = { upgrade: () => ({ context: { kind: 'echo' } }), message: (peer, message) => void peer.send(`${peer.context.kind}: ${message}`) };
      return crosswsWorker({
        fetch: async (request) => {
          const { pathname } = new URL(request.url);
          if (pathname === '/echo') return Object.assign(new Response(null, { status: 426 }), { crossws: echo });
          if (pathname === '/attached') {
            request[Symbol.for('crossws.hooks')] = echo;
            return new Response(null, { status: 426 });
          }
          const cookies = [['x-route', 'plain'], ['x-both', 'route'], ['set-cookie', 'route=1']];
          if (pathname === '/plain') return { crossws: echo, headers: cookies };
          if (pathname === '/plain-hook') {
            const headers = [['x-both', 'hook'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']];
            return { crossws: { ...echo, upgrade: () => ({ headers, context: { kind: 'echo' } }) }, headers: new Headers(cookies) };
          }
          if (pathname === '/plain-refused') return { crossws: { upgrade: () => new Response(null, { status: 402 }) }, headers: { 'x-route': 'plain' } };
          return pathname === '/secret' ? new Response('no', { status: 403 }) : new Response('a page');
        },
      });
    },
  });
  for (const where of ['/echo', '/attached', '/plain']) {
    const client = await server.connect(where);
    client.send('hello');
    assert.equal(await client.next(), 'echo: hello');
  }
  const sent = ({ response: { headers } }) => [headers['x-route'], headers['x-both'], headers['set-cookie']];
  assert.deepEqual(sent(await server.connect('/plain')), ['plain', 'route', ['route=1']]);
  assert.deepEqual(sent(await server.connect('/plain-hook')), ['plain', 'hook', ['a=1', 'b=2']]);
  assert.equal((await server.refused('/plain-refused')).status, 402);
  const { status, body } = await server.refused('/secret');
  assert.deepEqual([status, body], [403, 'no']);
  assert.equal((await server.refused('/page')).status, 404);
});

test('an option that is wrong is named, with what to do', async (t) => {
  const server = await launch(t, { start: false });
  const make = (call) => server.main((wsb, kit, source) => {
    (0, eval)(source)(require(process.env.WSB_PACKAGE.replace(/index\.cjs$/, 'crossws.cjs')).crosswsWorker);
  }, String(call));
  await failure(make((adapter) => adapter({ hooks: {}, sync() {} })), { code: 'ERR_WSBROKER_UNKNOWN_OPTION', message: /"cluster" of start/ });
  await failure(make((adapter) => adapter({ message() {} })), { message: /\{ hooks: \{ message \} \}/ });
  await failure(make((adapter) => adapter({ hooks: { open: 1 } })), { type: 'TypeError', message: /"hooks.open" must be a function, got number/ });
  await failure(make((adapter) => adapter({})), { type: 'TypeError', message: /"hooks" must be an object/ });
  await failure(make((adapter) => adapter({ fetch() {}, resolve() {} })), { code: 'ERR_WSBROKER_CONFLICT' });
});
