// A drain closes every connection in its turn, and only answers are given meanwhile. `sendToAll` reaches everybody.
import assert from 'node:assert/strict';
import http from 'node:http';
import { createServer } from 'node:net';
import { test } from 'node:test';

import { failure, launch, until, within } from './harness.mjs';
import { request as upgradeRequest, tcp } from './raw.mjs';

const HOUR = 3_600_000;
const answers = { '/healthz': 'health', '/readyz': 'ready' };

/** Status and body of a plain request; `agent` keeps the connection. */
function ask(server, path, { agent = false, at = server.at } = {}) {
  const answer = new Promise((resolve, reject) => {
    const asked = http.get({ host: '127.0.0.1', port: at.port, path, agent }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => (body += text)).on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, body, headers: response.headers }));
    });
    asked.on('error', reject);
  });
  return within(answer, `GET ${path}`, 30_000, () => server.note());
}

/** Begins a drain, tells its progress and its end, and does not wait. */
const begin = (server, options) => server.main((wsb, kit, options) => {
  void wsb.drain({ ...options, onProgress: (progress) => kit.tell('progress', progress) }).then(
    (report) => kit.tell('drained', report),
  );
}, options);

const drained = async (server) => {
  const { closed, cut } = await server.told.next('drained');
  return { closed, cut };
};

test('every connection gets the notice and 1012, one by one, and the promise counts them', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const clients = [];
  for (let i = 0; i < 20; i++) clients.push(await server.connect());
  await begin(server, { over: 2000, retryAfter: 1500, notice: 'leaving' });
  const ends = await Promise.all(clients.map((client) => client.end()));
  assert.deepEqual(ends, clients.map(() => ({ code: 1012, reason: 'retry-after=2' })));
  assert.deepEqual(clients.map(({ messages }) => messages), clients.map(() => ['leaving']));
  assert.deepEqual(await drained(server), { closed: 20, cut: 0 });
  const closes = server.told.of('close').map(({ id, code }) => [id, code]).sort(([a], [b]) => a - b);
  assert.deepEqual(closes, clients.map(({ id }) => [id, 1012]), 'every handler was told before that');
  const progress = server.told.of('progress').map(({ open, closed, cut }) => ({ open, closed, cut }));
  assert.deepEqual([progress[0], progress.at(-1)], [{ open: 20, closed: 0, cut: 0 }, { open: 0, closed: 20, cut: 0 }]);
  assert.ok(progress.length > 3, JSON.stringify(progress));
  assert.ok(progress.every(({ closed }, i) => i === 0 || closed >= progress[i - 1].closed), JSON.stringify(progress));
});

test('readiness goes at once, nothing is let in after the delay, health is answered to the end', async (t) => {
  const server = await launch(t, { options: { answers, path: '/ws' } });
  const bare = await server.main((wsb, kit, options) => kit.start(options), server.defaults);
  assert.equal((await ask(server, '/readyz')).status, 200);
  await begin(server, { delay: HOUR });
  assert.deepEqual(await ask(server, '/readyz').then(({ status, body }) => [status, JSON.parse(body)]), [
    503, { ready: false, reasons: ['draining'] },
  ]);
  await server.main((wsb) => wsb.setReady(true));
  assert.equal((await ask(server, '/readyz')).status, 503);
  const clients = [await server.connect('/ws'), await server.connect('', { at: bare })];
  await failure(server.main((wsb, kit, options) => kit.start(options), server.defaults), {
    code: 'ERR_WSBROKER_SHUT_DOWN', message: /^start: its connections are being drained.*shut it down first/,
  });
  assert.deepEqual(server.told.of('progress'), []);
  // A second call shortens.
  await begin(server, { over: HOUR });
  await server.told.next('progress');
  const refused = await server.refused('/ws');
  assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1'], 'as the first call has it');
  await until(() => new Promise((resolve) => {
    const probe = createServer().on('error', () => resolve(false));
    probe.listen(bare.port, '127.0.0.1', () => probe.close(() => resolve(true)));
  }), 'an address without answers can be had by the next version');
  assert.deepEqual(await ask(server, '/healthz').then(({ status, body }) => [status, body]), [200, 'ok\n']);
  assert.deepEqual(await clients[0].fence(), [], 'nobody has been closed yet');
  await begin(server, { over: 0 });
  for (const client of clients) assert.deepEqual(await client.end(), { code: 1012, reason: 'retry-after=1' });
  for (let i = 0; i < 3; i++) assert.deepEqual(await drained(server), { closed: 2, cut: 0 });
  assert.equal((await ask(server, '/healthz')).status, 200);
  // Afterwards the process may start again.
  const again = await server.main(async (wsb, kit, options) => {
    await wsb.shutdown();
    return kit.start(options);
  }, { ...server.defaults, answers, path: '/ws' });
  assert.equal((await ask(server, '/readyz', { at: again })).status, 200);
  await (await server.connect('/ws', { at: again })).close();
});

test('requests under way are answered, later ones refused, and tunnels end with the rest', async (t) => {
  const server = await launch(t, { start: false });
  server.at = await server.main(async (wsb, kit, options) => {
    const waiting = (kit.waiting = []);
    const listener = require('node:http').createServer((request, response) => {
      if (request.url === '/slow') {
        waiting.push(response);
        kit.tell('asked');
      } else response.end('page');
    });
    listener.on('upgrade', (request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.resume().on('error', () => {}).on('end', () => socket.end(() => kit.tell('tunnel closed')));
      kit.tell('tunnel');
    });
    return kit.start({ ...options, http: listener, forwardUpgrades: true });
  }, { ...server.defaults, path: '/ws', answers });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await ask(server, '/page', { agent })).body, 'page');
  const slow = ask(server, '/slow');
  await server.told.next('asked');
  const tunnel = await tcp(server);
  tunnel.write(upgradeRequest('/tunnel'));
  await server.told.next('tunnel');
  await begin(server, { over: HOUR, retryAfter: 29_001 });
  await server.told.next('progress');
  const page = async (options) => {
    const { status, headers } = await ask(server, '/page', options);
    return [status, headers['retry-after']];
  };
  assert.deepEqual(await page({ agent }), [503, '30'], 'on a kept connection, too');
  assert.deepEqual(await page(), [503, '30']);
  await begin(server, { over: 0 });
  await server.told.next('tunnel closed');
  assert.deepEqual(server.told.of('drained'), [], 'the request is waited for');
  await server.main((wsb, kit) => void kit.waiting[0].end('slow'));
  assert.equal((await slow).body, 'slow');
  assert.deepEqual(await drained(server), { closed: 0, cut: 0 });
});

test('what is open at the deadline is cut, and server.close and shutdown come first if they are called', async (t) => {
  const server = await launch(t, { options: { closeTimeout: HOUR } });
  const other = await server.main(async (wsb, kit, options) => {
    const started = await wsb.start(options);
    kit.other = started;
    return { url: started.url, port: started.port };
  }, server.defaults);
  const stubborn = await server.connect();
  stubborn.ws._receiver.removeAllListeners('conclude');
  const leaves = await server.connect('', { at: other });
  await begin(server, { over: HOUR, deadline: 2 * HOUR });
  await server.told.next('progress');
  await server.main((wsb, kit) => kit.other.close());
  assert.deepEqual(await leaves.end(), { code: 1001, reason: '' });
  await begin(server, { over: 0, deadline: 300 });
  assert.deepEqual(await drained(server), { closed: 1, cut: 1 });
  assert.equal((await stubborn.end()).code, 1006);

  const second = await launch(t);
  const client = await second.connect();
  await begin(second, { delay: HOUR });
  assert.deepEqual(await second.main((wsb) => wsb.shutdown()), { closed: 1, terminated: 0 });
  assert.equal((await client.end()).code, 1001);
  assert.deepEqual(await drained(second), { closed: 1, cut: 0 });
});

test('a drain may be asked for on any thread, and without a server it is over at once', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const clients = [await server.connect(), await server.connect()];
  await clients[0].run((wsb) => void wsb.drain({ over: 0, code: 4000, notice: new Uint8Array([1, 2]) }));
  for (const client of clients) assert.deepEqual(await client.end(), { code: 4000, reason: 'retry-after=1' });
  assert.deepEqual(clients[1].messages, [Buffer.from([1, 2])]);
  await server.main(async (wsb) => {
    await wsb.shutdown();
    const report = await wsb.drain();
    if (report.closed !== 0 || report.cut !== 0) throw new Error(JSON.stringify(report));
  });
});

test('an onProgress that throws is reported and harms nothing', async (t) => {
  const server = await launch(t);
  const client = await server.connect();
  const report = server.main((wsb) => wsb.drain({
    over: 0,
    onProgress: () => {
      throw new Error('my mistake');
    },
  }));
  assert.equal((await client.end()).code, 1012);
  assert.deepEqual(await report, { closed: 1, cut: 0 });
  assert.match(await server.said(), /wsbroker: the onProgress of drain threw: Error: my mistake/);
});

for (const [options, code, message] of [
  [{ ovr: 1 }, 'ERR_WSBROKER_UNKNOWN_OPTION', /^drain: unknown option "ovr"; did you mean "over"\?/],
  [{ over: -1 }, 'ERR_WSBROKER_INVALID_ARG_VALUE', /^drain: "over" must be an integer from 0 to 2147483647 milliseconds, got -1/],
  [{ delay: '1' }, 'ERR_WSBROKER_INVALID_ARG_TYPE', /^drain: "delay" must be a number of milliseconds, got string/],
  [{ deadline: 0.5 }, 'ERR_WSBROKER_INVALID_ARG_VALUE', /^drain: "deadline" must be an integer/],
  [{ jitter: 1.5 }, 'ERR_WSBROKER_INVALID_ARG_VALUE', /^drain: "jitter" must be a number from 0 to 1, got 1.5/],
  [{ jitter: true }, 'ERR_WSBROKER_INVALID_ARG_TYPE', /^drain: "jitter" must be a number, got boolean/],
  [{ code: 1005 }, 'ERR_WSBROKER_INVALID_ARG_VALUE', /^drain: "code" must be a close code that may be sent/],
  [{ notice: {} }, 'ERR_WSBROKER_INVALID_ARG_TYPE', /^drain: "notice" must be a string, ArrayBuffer or Uint8Array, got an object/],
  [{ onProgress: 1 }, 'ERR_WSBROKER_INVALID_ARG_TYPE', /^drain: "onProgress" must be a function, got number/],
  [1, 'ERR_WSBROKER_INVALID_ARG_TYPE', /^drain: "options" must be an object, got number/],
]) {
  test(`drain(${JSON.stringify(options)}) is refused`, async (t) => {
    const server = await launch(t, { start: false });
    await failure(server.main((wsb, kit, options) => wsb.drain(options), options), { code, message });
  });
}

test('sendToAll reaches every connection but the excluded ones, from any thread, in order', async (t) => {
  const server = await launch(t, { options: { threads: 2, ioThreads: 2, perMessageDeflate: true } });
  const clients = [];
  for (let i = 0; i < 5; i++) clients.push(await server.connect('', { perMessageDeflate: i > 2 }));
  const long = 'long '.repeat(1000);
  const count = await clients[0].run((wsb, id, ids, long) => {
    wsb.send(id, 'before');
    const counts = [
      wsb.sendToAll('to all'),
      wsb.sendToAll(new Uint8Array([7]), { exclude: [ids[1], ids[2], ids[2]] }),
      wsb.sendToAll(long, { exclude: id }),
      wsb.sendToAll(long, { compress: false }),
    ];
    wsb.send(id, 'behind');
    return counts;
  }, clients.map(({ id }) => id), long);
  assert.deepEqual(count, [5, 5, 5, 5]);
  const seven = Buffer.from([7]);
  const expected = [
    ['before', 'to all', seven, long, 'behind'],
    ['to all', long, long],
    ['to all', long, long],
    ['to all', seven, long, long],
    ['to all', seven, long, long],
  ];
  for (const [i, client] of clients.entries()) assert.deepEqual(await client.take(expected[i].length), expected[i], `${i}`);
  assert.equal(await server.main((wsb) => wsb.sendToAll('from the main thread')), 5);
  for (const client of clients) assert.equal(await client.next(), 'from the main thread');
  await failure(server.main((wsb) => wsb.sendToAll({})), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE', message: /^sendToAll: "data"/ });
  await failure(server.main((wsb) => wsb.sendToAll('', { exlude: 1 })), { code: 'ERR_WSBROKER_UNKNOWN_OPTION', message: /^sendToAll: .*"exclude"/ });
  await server.main((wsb) => wsb.shutdown());
  assert.equal(await server.main((wsb) => wsb.sendToAll('nobody')), 0);
  await failure(server.main((wsb) => wsb.sendToAll(1)), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE', message: /^sendToAll: "data"/ });
});
