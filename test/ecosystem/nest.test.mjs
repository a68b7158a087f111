// `wsbroker/nest`: gateways of a small Nest application, in one process with its pages, and on two workers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { launch, until } from '../e2e/harness.mjs';
import { startRedis } from '../redis/redis.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
let compiled;
before(() => {
  // As deep as the sources, since what they import is there by relative paths.
  mkdirSync(path.join(root, 'test/.cache'), { recursive: true });
  compiled = mkdtempSync(path.join(root, 'test/.cache/nest-'));
  const project = path.join(here, 'nest');
  copyFileSync(path.join(project, 'package.json'), path.join(compiled, 'package.json'));
  const { status, stdout } = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', project, '--rootDir', project, '--outDir', compiled], { encoding: 'utf8', timeout: 120_000 });
  assert.equal(status, 0, stdout);
});
after(() => rmSync(compiled, { recursive: true, force: true }));

/** The application on the calling thread, with its pages. */
async function serve(t) {
  const server = await launch(t, { start: false });
  server.at = await server.main(async (wsb, kit, url) => {
    const { createApp } = await kit.load(url);
    const { app, adapter } = await createApp({
      handleOpen: (id, ip, headers, { query }) => (query.includes('eve') ? { status: 401 } : query.includes('broken') ? 'yes' : { headers: { 'x-let': 'in' } }),
      onError: (error, context) => kit.tell('error', { error: kit.describe(error), ...context }),
    });
    wsb.registerWorkerThread(adapter.handlers);
    kit.closeApp = () => app.close();
    const { url: at, port } = await wsb.start({ bind: '127.0.0.1:0', path: ['/', '/chat', '/none'], http: app.getHttpServer() });
    return { url: at, port };
  }, pathToFileURL(path.join(compiled, 'app.js')).href);
  return server;
}

async function open(server, name, where = '/chat') {
  const client = await server.connect(`${where}?name=${name}`, { id: false });
  client.welcome = await hear(client, 'welcome');
  return client;
}
const say = (client, event, data) => client.send(JSON.stringify({ event, data }));
async function hear(client, event) {
  for (;;) {
    const message = JSON.parse(await client.next());
    if (message.event === event) return message.data;
  }
}
const ask = (client, event, data, answer = event) => {
  say(client, event, data);
  return hear(client, answer);
};

test('pages and gateways of one application share a port, each with its path', async (t) => {
  const server = await serve(t);
  assert.equal(await (await fetch(`http://127.0.0.1:${server.port}/`)).text(), 'a page');
  const ada = await open(server, 'ada');
  assert.equal(ada.welcome.name, 'ada');
  assert.equal(ada.welcome.url, '/chat?name=ada');
  assert.equal(ada.response.headers['x-let'], 'in');
  const atRoot = await server.connect('/', { id: false });
  assert.equal(await ask(atRoot, 'where'), '/');
  assert.equal((await server.refused('/none')).status, 404);
});

test('handlers answer with a value, a promise, an observable or an exception', async (t) => {
  const server = await serve(t);
  const ada = await open(server, 'ada');
  assert.equal(await ask(ada, 'join', 'tea', 'joined'), 'tea');
  assert.equal(await ask(ada, 'later', { text: 'hello' }), 'hello');
  assert.equal(await ask(ada, 'count', '3'), 1);
  assert.deepEqual([await hear(ada, 'count'), await hear(ada, 'count')], [2, 3]);
  assert.equal((await ask(ada, 'fail', 1, 'exception')).message, 'on purpose');
  assert.equal((await ask(ada, 'count', 'many', 'exception')).status, 'error', 'a pipe refuses');
  for (const wrong of ['not json', 'null', '7', '{"event":"nothing"}', '{}']) ada.send(wrong);
  assert.equal(await ask(ada, 'later', { text: 'still here' }), 'still here');
  assert.equal(server.told.of('error').length, 0);
});

test('a room is heard by those in it', async (t) => {
  const server = await serve(t);
  const [ada, bob, cat] = [await open(server, 'ada'), await open(server, 'bob'), await open(server, 'cat')];
  for (const one of [ada, bob]) await ask(one, 'join', 'tea', 'joined');
  say(ada, 'say', { room: 'tea', text: 'hot' });
  assert.deepEqual(await hear(bob, 'said'), { from: 'ada', text: 'hot' });
  say(ada, 'shout', 'all');
  for (const one of [ada, bob, cat]) assert.equal(await hear(one, 'shouted'), 'all');
  say(ada, 'others', 'psst');
  assert.equal(await hear(bob, 'whispered'), 'psst');
  await ask(bob, 'leave', 'tea', 'left room');
  say(ada, 'say', { room: 'tea', text: 'gone' });
  await ask(ada, 'later', { text: 'behind it' });
  assert.deepEqual(bob.messages.slice(bob.taken), []);
  assert.ok(!ada.messages.some((text) => text.includes('said') || text.includes('whispered')), 'not to the speaker');
  assert.ok(!cat.messages.some((text) => text.includes('said')), 'not outside of the room');
});

test('a gateway hears of its clients', async (t) => {
  const server = await serve(t);
  const [ada, bob] = [await open(server, 'ada'), await open(server, 'bob')];
  assert.equal(bob.welcome.here, 2);
  await bob.close(4001, 'bye');
  assert.equal(await hear(ada, 'left'), 'bob');
  assert.deepEqual(await ask(ada, 'told'), [['init', '/chat'], ['left', 'bob', 4001, 'bye', 3, 1]]);
  assert.equal(ada.messages.filter((text) => text.includes('welcome')).length, 1, 'connected once');
});

test('handleOpen of the adapter decides, and a mistake lets nobody in', async (t) => {
  const server = await serve(t);
  assert.equal((await server.refused('/chat?name=eve')).status, 401);
  assert.equal((await server.refused('/chat?broken')).status, 500);
  assert.match((await server.told.next('error')).error.message, /verdict/);
  const ada = await open(server, 'ada');
  assert.equal(ada.welcome.here, 1);
});

/** The application on worker threads. */
async function onWorkers(t, options = {}) {
  const server = await launch(t, { start: false });
  await server.main((wsb, kit, folder) => void (process.env.COMPILED = folder), compiled);
  await server.start({ workerPath: path.join(here, 'workers/nest.mjs'), path: '/chat', ...options });
  return server;
}

test('a room that handleConnection joins is joined with the 101', async (t) => {
  const server = await onWorkers(t);
  const file = path.join(server.folder, 'published');
  const ada = await server.connect(`/chat?name=ada&room=tea&until=${encodeURIComponent(file)}`, { id: false });
  const reached = await server.main((wsb) => {
    const { roomChannel } = require(process.env.WSB_PACKAGE.replace(/index\.cjs$/, 'nest.cjs'));
    return wsb.sendToChannel(roomChannel('/chat', 'tea'), JSON.stringify({ event: 'news', data: 'hot' }));
  });
  server.file('published', '');
  assert.equal(reached, 1);
  assert.deepEqual((await ada.take(2)).map((text) => JSON.parse(text).event).sort(), ['news', 'welcome']);
});

test('a client that may not have its channels is refused, and the gateway does not hear of it', async (t) => {
  const server = await onWorkers(t, { maxChannelsPerSocket: 2 });
  assert.equal((await server.refused('/chat?name=eve&channel=a&channel=b')).status, 500);
  assert.match(await server.said(), /maxChannelsPerSocket/);
  const ada = await open(server, 'ada', '/chat?channel=a');
  assert.equal(ada.welcome.here, 1);
});

test('rooms span workers, and clients of a worker that ends are closed with 1012', async (t) => {
  const server = await onWorkers(t, { threads: 2 });
  const [ada, bob] = [await open(server, 'ada'), await open(server, 'bob')];
  assert.notEqual(ada.welcome.threadId, bob.welcome.threadId);
  for (const one of [ada, bob]) await ask(one, 'join', 'tea', 'joined');
  say(ada, 'say', { room: 'tea', text: 'hot' });
  assert.deepEqual(await hear(bob, 'said'), { from: 'ada', text: 'hot' });
  say(ada, 'die');
  assert.equal((await ada.end()).code, 1012);
  assert.deepEqual(await ask(bob, 'later', { text: 'still here' }), 'still here');
});

test('rooms span instances, as does all of a gateway', async (t) => {
  const cluster = { redis: `redis://127.0.0.1:${(await startRedis(t)).port}` };
  const servers = [await onWorkers(t, { threads: 1, cluster }), await onWorkers(t, { threads: 1, cluster })];
  const [ada, bob] = [await open(servers[0], 'ada'), await open(servers[1], 'bob')];
  for (const one of [ada, bob]) await ask(one, 'join', 'tea', 'joined');
  const room = pathToFileURL(path.join(root, 'lib/nest.cjs')).href;
  for (const server of servers) {
    const heard = await server.main(async (wsb, kit, url) => {
      const { gatewayChannel, roomChannel } = await kit.load(url);
      return Promise.all([roomChannel('/chat', 'tea'), gatewayChannel('/chat')].map((channel) => wsb.listening(channel)));
    }, room);
    assert.deepEqual(heard, [true, true]);
  }
  say(ada, 'say', { room: 'tea', text: 'hot' });
  assert.deepEqual(await hear(bob, 'said'), { from: 'ada', text: 'hot' });
  say(bob, 'shout', 'hello');
  for (const one of [ada, bob]) assert.equal(await hear(one, 'shouted'), 'hello');
});

test('closing the application closes its clients', async (t) => {
  const server = await serve(t);
  const ada = await open(server, 'ada');
  await server.main((wsb, kit) => kit.closeApp());
  assert.equal((await ada.end()).code, 1001);
  await until(() => server.main((wsb) => wsb.connectionCount() === 0), 'no connection');
});

test('an adapter without a gateway lets nobody in, and says what is missing', async (t) => {
  const server = await launch(t, { start: false });
  server.at = await server.main(async (wsb, kit, url) => {
    const { NestAdapter } = await kit.load(url);
    wsb.registerWorkerThread(new NestAdapter().handlers);
    const { url: at, port } = await wsb.start({ bind: '127.0.0.1:0' });
    kit.hold(true);
    return { url: at, port };
  }, pathToFileURL(path.join(root, 'lib/nest.cjs')).href);
  assert.equal((await server.refused('/')).status, 403);
  assert.match(await server.said(), /no gateway.*app\.useWebSocketAdapter\(adapter\), then await app\.init\(\)/);
});

test('a gateway with a port or a namespace is refused, with what to do', async (t) => {
  const server = await launch(t, { start: false });
  const fails = (options) => server.main(async (wsb, kit, url, given) => (await kit.load(url)).failing(given), pathToFileURL(path.join(compiled, 'app.js')).href, options);
  assert.match(await fails({ port: 8081 }), /a gateway has no port, got 8081/);
  assert.match(await fails({ namespace: 'chat' }), /give the gateway a path/);
});
