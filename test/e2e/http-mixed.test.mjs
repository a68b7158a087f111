// Requests and sockets side by side, with everything that can happen to the application's server.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

import { launch, onWindows, until, within } from './harness.mjs';
import { ask } from './http-client.mjs';
import { frame, request as upgrade, tcp, TEXT } from './raw.mjs';

const upgradeHeaders = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };

/** Upgrades on a connection of the agent, with the status and the socket if there is one. */
function upgradeOn(server, agent, target) {
  const answer = new Promise((resolve, reject) => {
    const asked = http.request({ host: '127.0.0.1', port: server.port, path: target, agent, headers: upgradeHeaders });
    asked.on('upgrade', (response, socket, head) => resolve({ status: 101, socket, head }));
    asked.on('response', (response) => (response.resume(), resolve({ status: response.statusCode })));
    asked.on('error', reject).end();
  });
  return within(answer, `an upgrade to ${target}`, 30_000);
}

test('1,000 requests that mix pages, answers and upgrades on the same connections', async (t) => {
  const server = await launch(t, {
    start: false,
    worker: (wsb) => ({
      handleOpen: (id, ip, headers, { path }) => (path === '/no' ? { status: 403 } : undefined),
      handleTextMessage: (text, id) => void wsb.send(id, `echo ${text}`),
    }),
  });
  server.at = await server.main(
    (wsb, kit, given) => kit.start({ ...given, http: (request, response) => response.end(`page ${request.url}`) }),
    { ...server.defaults, path: ['/ws', '/no'], answers: { '/healthz': 'health' } },
  );
  const total = { pages: 0, answers: 0, opened: 0, refused: 0 };
  const session = async (number) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 19; i++) {
      if ((number + i) % 3 === 0) {
        assert.equal((await ask(server, '/healthz', { agent })).body, 'ok\n');
        total.answers++;
      } else {
        const target = `/${number}/${i}`;
        assert.equal((await ask(server, target, { agent })).body, `page ${target}`);
        total.pages++;
      }
    }
    // The 20th is an upgrade on the same connection.
    const { localPort } = Object.values(agent.freeSockets)[0][0];
    const refused = number % 4 === 0;
    const { status, socket } = await upgradeOn(server, agent, refused ? '/no' : '/ws');
    assert.equal(status, refused ? 403 : 101);
    total[refused ? 'refused' : 'opened']++;
    if (!refused) {
      assert.equal(socket.localPort, localPort, 'the same connection');
      let got = Buffer.alloc(0);
      socket.on('data', (piece) => (got = Buffer.concat([got, piece]))).on('error', () => {});
      socket.write(frame(TEXT, `${number}`));
      await until(() => got.includes(`echo ${number}`), 'an echo');
      socket.destroy();
    }
    agent.destroy();
  };
  for (let begin = 0; begin < 50; begin += 10) await Promise.all(Array.from({ length: 10 }, (_, i) => session(begin + i)));
  const stats = await server.main((wsb) => wsb.stats());
  assert.deepEqual([stats.http.forwarded, stats.http.answered, stats.opened, stats.rejected.handler], [total.pages, total.answers, total.opened, total.refused]);
  assert.equal(total.pages + total.answers + total.opened + total.refused, 1000);
  assert.equal(stats.accepted, 50);
  assert.ok(Object.values(stats.http.failed).every((count) => count === 0), JSON.stringify(stats.http.failed));
});

test('what is pipelined behind an upgrade is for the socket, and never a request', async (t) => {
  const server = await launch(t, { start: false });
  server.at = await server.main(
    (wsb, kit, given) => kit.start({ ...given, http: (request, response) => (kit.tell('asked', { url: request.url }), response.end()) }),
    { ...server.defaults, path: '/ws' },
  );
  const raw = await tcp(server);
  raw.write(`GET /before HTTP/1.1\r\nHost: x\r\n\r\n${upgrade('/ws')}GET /admin HTTP/1.1\r\nHost: x\r\n\r\n`);
  assert.equal(await raw.answer(), 200);
  // "GE" is no frame that a client may send: the socket ends, by 1002.
  await raw.end();
  await until(async () => (await server.main((wsb) => wsb.stats().closes.protocol)) === 1, 'the socket is closed for it');
  assert.deepEqual(server.told.of('asked').map(({ url }) => url), ['/before']);
});

/** A server in a process of its own, that says its port. `stop(signal)` resolves when it is gone. */
async function otherServer(t, port = 0) {
  const program = `require('node:http').createServer((request, response) => setTimeout(() => response.end('x'.repeat(1024)), Math.random() * 5))
    .listen(${port}, '127.0.0.1', function () { console.log(this.address().port); });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  t.after(() => child.kill('SIGKILL'));
  const line = new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve));
  const told = Number(await within(line, 'its port'));
  return { port: told, kill: () => (child.kill('SIGKILL'), gone) };
}

test('the application\'s server is killed under load: 502 and no hang, sockets go on, and it may come back', async (t) => {
  const first = await otherServer(t);
  const server = await launch(t, { start: false });
  server.at = await server.main(
    (wsb, kit, given, forward) => kit.start({ ...given, http: { forward } }),
    { ...server.defaults, path: '/ws', answers: { '/healthz': 'health' } },
    `http://127.0.0.1:${first.port}`,
  );
  const client = await server.connect('/ws');
  const seen = { 200: 0, 502: 0, cut: 0 };
  let ends = false;
  const asking = Array.from({ length: 16 }, async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    while (!ends) {
      // Its own limit of time is what shows that nothing hangs.
      const outcome = await ask(server, '/', { agent }).then(({ status }) => status, (error) => {
        if (!['ECONNRESET', 'EPIPE', 'HPE_INVALID_EOF_STATE'].includes(error.code)) throw error;
        return 'cut';
      });
      assert.ok(outcome in seen, `${outcome}`);
      seen[outcome]++;
    }
    agent.destroy();
  });
  const settled = Promise.all(asking);
  await until(() => seen[200] > 200, 'it serves');
  await first.kill();
  await until(() => seen[502] > 50, 'its requests fail');
  const before = seen[200];
  assert.deepEqual(await client.fence(), [], 'sockets go on');
  assert.equal((await ask(server, '/healthz')).body, 'ok\n');
  await otherServer(t, first.port);
  await until(() => seen[200] > before + 100, 'it serves again');
  ends = true;
  await within(settled, 'every request comes to an end', 30_000);
  const { http: counted } = await server.main((wsb) => wsb.stats());
  assert.equal(counted.forwarded, seen[200]);
  assert.equal(counted.failed.unreachable + counted.failed.badResponse, seen[502] + seen.cut);
});

test('without a folder for a Unix socket it is a port of the loopback, and strangers there are cut', { skip: onWindows && 'it is what Windows does in all tests' }, async (t) => {
  // The path of a Unix socket has a hundred bytes at most.
  const folder = mkdtempSync(path.join(tmpdir(), 'wsbroker-long-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const long = path.join(folder, 'x'.repeat(100));
  mkdirSync(long);
  const server = await launch(t, { start: false, env: { TMPDIR: long } });
  server.at = await server.main(
    (wsb, kit, given) => {
      kit.made = globalThis.require('node:http').createServer((request, response) => {
        kit.tell('asked', { url: request.url });
        response.end(JSON.stringify([request.socket.remotePort, request.headers, request.rawHeaders]));
      });
      for (const event of ['upgrade', 'checkContinue', 'checkExpectation', 'connect']) kit.made.on(event, () => kit.tell('asked', { url: event }));
      return kit.start({ ...given, http: kit.made });
    },
    { ...server.defaults, path: '/ws' },
  );
  const { port, address } = await server.main((wsb, kit) => kit.made.address());
  assert.equal(address, '127.0.0.1');
  const { body } = await ask(server, '/ours');
  assert.doesNotMatch(body, /wsbroker/i, 'the secret is not shown');
  assert.notEqual(JSON.parse(body)[0], port);
  for (const head of [
    'GET /none HTTP/1.1\r\nHost: x',
    'GET /guess HTTP/1.1\r\nHost: x\r\nX-Wsbroker-Client: guess 127.0.0.1 1 plain',
    `GET /long HTTP/1.1\r\nHost: x\r\nX-Wsbroker-Client: ${'0'.repeat(48)} 127.0.0.1 1 plain`,
    'GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket',
    'POST /continue HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1',
    'POST /expect HTTP/1.1\r\nHost: x\r\nExpect: something\r\nContent-Length: 1',
    'CONNECT x:80 HTTP/1.1\r\nHost: x:80',
  ]) {
    const stranger = net.connect(port, '127.0.0.1');
    let got = '';
    const ended = new Promise((resolve) => stranger.on('data', (piece) => (got += piece)).on('error', () => {}).on('close', resolve));
    stranger.write(`${head}\r\n\r\n`);
    await within(ended, 'it is cut');
    assert.equal(got, '', head);
  }
  assert.deepEqual(server.told.of('asked').map(({ url }) => url), ['/ours']);
  await server.main((wsb, kit) => kit.state.servers[0].close());
  const refused = await new Promise((resolve) => net.connect(port, '127.0.0.1').on('error', ({ code }) => resolve(code)).on('connect', () => resolve('connected')));
  assert.equal(refused, 'ECONNREFUSED', 'the port is given back');
});
