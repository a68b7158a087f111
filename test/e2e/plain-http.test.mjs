// Plain HTTP on the port of the sockets: fixed answers, and requests that the application's own HTTP server serves.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';

import { authority } from './certificates.mjs';
import { failure, launch, onWindows, until, within } from './harness.mjs';
import { ask } from './http-client.mjs';
import { request as upgrade, tcp } from './raw.mjs';

/** Starts with an `http` that `make(kit, ...args)` returns in the server process. */
async function launchWith(t, make, options = {}, { args = [], ...more } = {}) {
  const server = await launch(t, { start: false, ...more });
  server.at = await server.main(
    async (wsb, kit, given, source, args) => {
      const made = await (0, eval)(`(${source})`)(kit, ...args);
      kit.made = made;
      return kit.start({ ...given, http: made });
    },
    { ...server.defaults, path: '/ws', answers: { '/healthz': 'health', '/readyz': 'ready' }, ...options },
    String(make),
    args,
  );
  return server;
}

/** A server that says what it knows of each request. */
const mirror = () => {
  const { createServer } = globalThis.require('node:http');
  return createServer((request, response) => {
    let length = 0;
    request.on('data', (piece) => (length += piece.length));
    request.on('end', () => {
      const { remoteAddress, remotePort, encrypted } = request.socket;
      const raw = request.rawHeaders.filter((_, i) => i % 2 === 0);
      const { method, url, headers } = request;
      const body = JSON.stringify({ method, url, headers, raw, length, remoteAddress, remotePort, encrypted });
      response.setHeader('Content-Type', 'application/json').end(body);
    });
  });
};

test('a page, an API, health and sockets on one port', async (t) => {
  const server = await launchWith(t, mirror);
  const client = await server.connect('/ws');
  const page = await ask(server, '/page?a=b');
  assert.equal(page.status, 200);
  assert.equal(page.headers['content-type'], 'application/json');
  const seen = JSON.parse(page.body);
  assert.deepEqual([seen.method, seen.url, seen.length], ['GET', '/page?a=b', 0]);
  const posted = await ask(server, '/api', { method: 'POST', body: 'x'.repeat(100_000), headers: { 'Transfer-Encoding': 'chunked' } });
  assert.deepEqual([JSON.parse(posted.body).method, JSON.parse(posted.body).length], ['POST', 100_000]);
  assert.deepEqual(await ask(server, '/healthz').then(({ status, body }) => [status, body]), [200, 'ok\n']);
  assert.deepEqual(await ask(server, '/readyz').then(({ status, body }) => [status, JSON.parse(body)]), [200, { ready: true }]);
  assert.equal((await server.refused('/other')).status, 404);
  assert.equal((await ask(server, '/ws')).status, 200, 'the page of a path of sockets is the application\'s');
  assert.deepEqual(await client.fence(), []);
  const { http: counted } = await server.main((wsb) => wsb.stats());
  assert.deepEqual([counted.answered, counted.forwarded, counted.bytesIn], [2, 3, 100_000]);
  assert.ok(counted.bytesOut > 300);
  assert.ok(Object.values(counted.failed).every((count) => count === 0));
});

test('the application sees the client, and not us', async (t) => {
  const server = await launchWith(t, mirror, { trustProxy: { from: '127.0.0.2' } });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const forged = { 'X-Forwarded-For': '6.6.6.6', 'X-Wsbroker-Client': 'guess 6.6.6.6 1 secure' };
  const { body } = await ask(server, '/', { agent, headers: forged });
  const seen = JSON.parse(body);
  const { localPort } = Object.values(agent.freeSockets)[0][0];
  assert.deepEqual([seen.remoteAddress, seen.remotePort, seen.encrypted], ['127.0.0.1', localPort, false]);
  assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(seen.headers['x-wsbroker-client'], undefined);
  assert.ok(!seen.raw.some((name) => name.toLowerCase() === 'x-wsbroker-client'), `${seen.raw}`);
  agent.destroy();
});

test('behind a trusted proxy, each request has its own client', async (t) => {
  const server = await launchWith(t, mirror, { trustProxy: { from: '127.0.0.1' } });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (const address of ['192.0.2.1', '2001:db8::2']) {
    const { body } = await ask(server, '/', { agent, headers: { 'X-Forwarded-For': address, 'X-Forwarded-Proto': 'https' } });
    const seen = JSON.parse(body);
    assert.deepEqual([seen.remoteAddress, seen.headers['x-forwarded-proto']], [address, 'https']);
  }
  agent.destroy();
});

test('a request listener', async (t) => {
  const server = await launchWith(t, () => (request, response) => response.end(`you asked for ${request.url}`));
  assert.equal((await ask(server, '/a')).body, 'you asked for /a');
  await server.connect('/ws');
});

test('a function that returns a Response sends nothing, so the client gets 500, and the application a warning', async (t) => {
  // The name says nothing, as with the compiled function of a framework.
  for (const make of [() => (request) => new Response('a page'), () => async (request) => new Response('a page')]) {
    const server = await launchWith(t, make);
    for (let i = 0; i < 2; i++) {
      const { status, body } = await ask(server, '/');
      assert.deepEqual([status, /request listener is needed/.test(body)], [500, true]);
    }
    await server.connect('/ws');
    assert.equal((await server.said()).match(/has returned a Response of the Fetch API.*toNodeHandler\(app\.fetch\)/g)?.length, 1);
  }
});

test('a request listener may return a Response once it has answered', async (t) => {
  const server = await launchWith(t, () => async (request, response) => {
    response.end('a page');
    return new Response('not this');
  });
  assert.equal((await ask(server, '/')).body, 'a page');
  assert.doesNotMatch(await server.said(), /Fetch API/);
});

test('{ forward }: another server, which is told by headers', async (t) => {
  const seen = [];
  const other = http.createServer((request, response) => {
    seen.push(request.headers);
    response.end('elsewhere');
  });
  await once(other.listen(0, '127.0.0.1'), 'listening');
  t.after(() => other.close());
  const forward = `http://127.0.0.1:${other.address().port}`;
  const server = await launchWith(t, (kit, to) => ({ forward: new URL(to) }), {}, { args: [forward] });
  const client = await server.connect('/ws');
  assert.equal((await ask(server, '/')).body, 'elsewhere');
  assert.deepEqual([seen[0]['x-forwarded-for'], seen[0]['x-forwarded-proto'], seen[0]['x-wsbroker-client']], ['127.0.0.1', 'http', undefined]);
  other.close();
  other.closeAllConnections();
  assert.equal((await ask(server, '/')).status, 502, 'without that server');
  assert.deepEqual(await client.fence(), [], 'sockets go on');
  assert.equal((await server.main((wsb) => wsb.stats())).http.failed.unreachable, 1);
});

test('TLS: the application sees that the connection is encrypted', async (t) => {
  const ca = authority();
  const { cert, key } = ca.issue('first', { names: ['localhost', '127.0.0.1'] });
  const server = await launchWith(t, mirror, { tls: { cert, key } });
  const seen = JSON.parse((await ask(server, '/', { ca: ca.cert })).body);
  assert.deepEqual([seen.encrypted, seen.headers['x-forwarded-proto']], [true, 'https']);
  assert.equal((await ask(server, '/healthz', { ca: ca.cert })).body, 'ok\n');
  await server.connect('/ws', { ca: ca.cert });
});

test('1,000 requests on one connection, and then a socket', async (t) => {
  const server = await launchWith(t, mirror);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < 1000; i++) {
    const { status, body } = await ask(server, i % 2 ? `/${i}` : '/healthz', { agent });
    assert.deepEqual([status, i % 2 ? JSON.parse(body).url : body], [200, i % 2 ? `/${i}` : 'ok\n']);
  }
  assert.equal((await server.main((wsb) => wsb.stats())).accepted, 1);
  const upgraded = new Promise((resolve, reject) => {
    const headers = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
    const asked = http.request({ host: '127.0.0.1', port: server.port, path: '/ws', agent, headers });
    asked.on('upgrade', (response, socket) => resolve(socket));
    asked.on('response', ({ statusCode }) => reject(new Error(`status ${statusCode}`)));
    asked.on('error', reject).end();
  });
  (await within(upgraded, 'an upgrade')).destroy();
  assert.deepEqual(await server.main((wsb) => [wsb.stats().accepted, wsb.stats().opened]), [1, 1]);
  agent.destroy();
});

test('health is answered while every worker hangs', async (t) => {
  const worker = (wsb, kit) => ({
    handleTextMessage() {
      kit.tell('hangs');
      while (!require('node:fs').existsSync('go'));
      kit.tell('goes on');
    },
  });
  const server = await launchWith(t, mirror, { onWorker: undefined }, { worker });
  const client = await server.connect('/ws');
  client.send('x');
  await server.told.next('hangs');
  assert.equal((await ask(server, '/healthz')).status, 200);
  assert.equal((await ask(server, '/page')).status, 200);
  server.file('go', '');
  await server.told.next('goes on');
});

test('setReady takes a process out, and in again after shutdown', async (t) => {
  const server = await launch(t, { options: { path: '/ws', answers: { '/readyz': 'ready', '/robots.txt': { status: 200, headers: { 'X-A': 1 }, body: 'no' } } } });
  await server.main((wsb) => wsb.setReady(false));
  const { status, body } = await ask(server, '/readyz');
  assert.deepEqual([status, JSON.parse(body)], [503, { ready: false, reasons: ['setReady'] }]);
  await server.connect('/ws');
  await server.main((wsb) => wsb.setReady(true));
  assert.equal((await ask(server, '/readyz')).status, 200);
  const fixed = await ask(server, '/robots.txt');
  assert.deepEqual([fixed.status, fixed.body, fixed.headers['x-a']], [200, 'no', '1']);
  assert.equal((await ask(server, '/else')).status, 404);
  assert.equal((await ask(server, '/ws')).status, 426);
  await server.main(async (wsb) => {
    wsb.setReady(false);
    await wsb.shutdown();
  });
  const again = await server.start({ path: '/ws', answers: { '/readyz': 'ready' } });
  assert.equal((await ask(server, '/readyz', { at: again })).status, 200);
  await failure(server.main((wsb) => wsb.setReady(1)), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE' });
});

test('path: [] is an address without sockets and without workers', async (t) => {
  const server = await launch(t, { start: false });
  const at = await server.main((wsb, kit) => kit.start({ bind: '127.0.0.1:0', path: [], answers: { '/healthz': 'health', '/readyz': 'ready' } }));
  assert.equal((await ask(server, '/healthz', { at })).status, 200);
  assert.deepEqual(JSON.parse((await ask(server, '/readyz', { at })).body).reasons, ['noWorker']);
  // Sockets beside it come and go, and the address stays.
  const beside = await server.start({ bind: `127.0.0.1:${at.port}`, path: '/ws' });
  await server.connect('/ws', { at: beside });
  assert.equal((await ask(server, '/readyz', { at })).status, 200);
  await server.main((wsb, kit, index) => kit.state.servers[index].close(), beside.index);
  assert.equal((await ask(server, '/healthz', { at })).status, 200);
  await failure(server.start({ bind: `127.0.0.1:${at.port}`, path: '/more', answers: { '/x': 'health' } }), { code: 'ERR_WSBROKER_CONFLICT', message: /"http"/ });
});

test('foreign upgrades are tunnelled, if the application wants them', async (t) => {
  const make = () => {
    const server = globalThis.require('node:http').createServer();
    server.on('upgrade', (request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
      socket.write(`${request.url} ${request.socket.remoteAddress} ${request.headers['x-wsbroker-client']}\n`);
      socket.on('data', (piece) => socket.write(piece));
    });
    return server;
  };
  const server = await launchWith(t, make, { forwardUpgrades: ['/hmr'] });
  assert.equal((await server.refused('/other')).status, 404);
  const raw = await tcp(server);
  let got = '';
  raw.socket.on('data', (piece) => (got += piece));
  raw.write(upgrade('/hmr'));
  await until(() => got.includes('/hmr 127.0.0.1 undefined\n'), 'what the application says');
  raw.write('echo');
  await until(() => got.endsWith('echo'), 'an echo');
  await server.connect('/ws');
  await server.main((wsb, kit) => kit.state.servers[0].close());
  await raw.end();
});

test('64 MiB up and down, with bounded memory', { timeout: 120_000 }, async (t) => {
  const make = () => {
    const { createServer } = globalThis.require('node:http');
    return createServer(async (request, response) => {
      if (request.method === 'POST') {
        let length = 0;
        for await (const piece of request) length += piece.length;
        return response.end(String(length));
      }
      const piece = Buffer.alloc(1 << 20, 'x');
      for (let i = 0; i < 64; i++) {
        if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve));
      }
      response.end();
    });
  };
  const server = await launchWith(t, make);
  const memory = () => server.main(() => process.memoryUsage().rss >> 20);
  const before = await memory();
  const piece = Buffer.alloc(1 << 20, 'y');
  const uploaded = new Promise((resolve, reject) => {
    const asked = http.request({ host: '127.0.0.1', port: server.port, path: '/', method: 'POST', agent: false }, (response) => {
      let text = '';
      response.on('data', (some) => (text += some)).on('end', () => resolve(text));
    });
    asked.on('error', reject);
    let left = 64;
    const more = () => {
      while (left-- > 0) if (!asked.write(piece)) return asked.once('drain', more);
      asked.end();
    };
    more();
  });
  assert.equal(await within(uploaded, 'an upload', 60_000), String(64 << 20));
  const downloaded = new Promise((resolve, reject) => {
    const asked = http.get({ host: '127.0.0.1', port: server.port, path: '/', agent: false }, (response) => {
      let length = 0;
      response.on('data', (some) => (length += some.length)).on('end', () => resolve(length));
    });
    asked.on('error', reject);
  });
  assert.equal(await within(downloaded, 'a download', 60_000), 64 << 20);
  const grown = (await memory()) - before;
  assert.ok(grown < 160, `grew by ${grown} MiB`);
});

for (const [what, lines, status = 400] of [
  ['Content-Length and Transfer-Encoding', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
  ['two different lengths', ['Content-Length: 4', 'Content-Length: 5']],
  ['a length with a sign', ['Content-Length: +4']],
  ['a space before the colon', ['Transfer-Encoding : chunked']],
  ['chunked twice', ['Transfer-Encoding: chunked, chunked'], 501],
  ['a folded header', ['X-A: b', ' Transfer-Encoding: chunked']],
]) {
  test(`smuggling: ${what} gets ${status}, and the application hears nothing`, async (t) => {
    const server = await launchWith(t, (kit) => (request, response) => (kit.tell('asked'), response.end()));
    const raw = await tcp(server);
    raw.write(`POST / HTTP/1.1\r\nHost: x\r\n${lines.join('\r\n')}\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n`);
    assert.equal(await raw.answer(), status);
    await raw.end();
    assert.deepEqual(server.told.of('asked'), []);
  });
}

test('Expect: 100-continue, by a listener that emits the request again', async (t) => {
  const make = () => {
    const made = globalThis.require('node:http').createServer((request, response) => {
      let text = '';
      request.on('data', (piece) => (text += piece)).on('end', () => response.end(`got ${text}`));
    });
    made.on('checkContinue', (request, response) => {
      response.writeContinue();
      made.emit('request', request, response);
    });
    return made;
  };
  const server = await launchWith(t, make);
  const answer = new Promise((resolve, reject) => {
    const headers = { Expect: '100-continue', 'Content-Length': 5 };
    const asked = http.request({ host: '127.0.0.1', port: server.port, path: '/', method: 'POST', headers, agent: false });
    asked.on('continue', () => asked.end('hello')).on('error', reject);
    asked.on('response', (response) => {
      let text = '';
      response.on('data', (piece) => (text += piece)).on('end', () => resolve(text));
    });
    asked.flushHeaders();
  });
  assert.equal(await within(answer, 'a response'), 'got hello');
});

test('requests that do not come from us are cut', { skip: onWindows && 'no Unix socket to ask' }, async (t) => {
  const server = await launchWith(t, (kit) => globalThis.require('node:http').createServer((request, response) => (kit.tell('asked'), response.end())));
  const socketPath = await server.main((wsb, kit) => kit.made.address().path ?? kit.made.address());
  assert.ok(existsSync(socketPath), socketPath);
  const direct = new Promise((resolve) => {
    const headers = { 'X-Wsbroker-Client': 'guess 127.0.0.1 1 plain' };
    http.get({ socketPath, path: '/', headers, agent: false }, () => resolve('answered')).on('error', () => resolve('cut'));
  });
  assert.equal(await within(direct, 'an end'), 'cut');
  assert.deepEqual(server.told.of('asked'), []);
  await server.main((wsb, kit) => kit.state.servers[0].close());
  assert.ok(!existsSync(socketPath), 'it is gone after close');
});

for (const [how, end] of [
  ['close()', (wsb, kit) => void kit.state.servers[0].close().then(() => kit.tell('ended'))],
  ['shutdown()', (wsb, kit) => void wsb.shutdown().then(() => kit.tell('ended'))],
]) {
  test(`${how} finishes a request in hand, and cuts idle connections`, async (t) => {
    const make = (kit) => {
      const { createServer } = globalThis.require('node:http');
      return createServer((request, response) => {
        if (request.url !== '/slow') return response.end();
        kit.slow = response;
        kit.tell('slow');
      });
    };
    const server = await launchWith(t, make);
    const idle = await tcp(server);
    idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(await idle.answer(), 200);
    const slow = ask(server, '/slow');
    await server.told.next('slow');
    await server.main(end);
    await idle.end();
    assert.deepEqual(server.told.of('ended'), [], 'the request is still in hand');
    await server.main((wsb, kit) => void kit.slow.end('done'));
    const { status, body } = await slow;
    assert.deepEqual([status, body], [200, 'done']);
    await server.told.next('ended');
    assert.equal(await server.main((wsb, kit) => kit.made.listening), false);
  });
}

test('shutdown() cuts a response that never ends when its time is over', async (t) => {
  const server = await launchWith(t, () => (request, response) => {
    setInterval(() => response.write('data: x\n\n'), 20).unref();
  });
  const raw = await tcp(server);
  raw.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal(await raw.answer(), 200);
  await server.main((wsb) => wsb.shutdown({ timeout: 500 }));
  await raw.end();
});

test('timeouts: 504 for a response that does not come, and the end of a connection without requests', async (t) => {
  const server = await launchWith(t, () => () => {}, { forwardTimeout: 200, keepAliveTimeout: 200 });
  assert.equal((await ask(server, '/')).status, 504);
  const idle = await tcp(server);
  idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal(await idle.answer(), 200);
  await idle.end();
  assert.equal((await server.main((wsb) => wsb.stats())).http.failed.timeout, 1);
});

test('what cannot be served is refused, and leaves nothing behind', async (t) => {
  const server = await launch(t, { start: false });
  const tried = (make, more = {}) =>
    server.main(
      async (wsb, kit, given, source) => {
        const made = await (0, eval)(`(${source})`)();
        try {
          return await kit.start({ ...given, http: made });
        } finally {
          made.close?.();
        }
      },
      { ...server.defaults, ...more },
      String(make),
    );
  const code = 'ERR_WSBROKER_INVALID_ARG_VALUE';
  const listens = async () => {
    const made = globalThis.require('node:http').createServer();
    await new Promise((resolve) => made.listen(0, '127.0.0.1', resolve));
    return made;
  };
  await failure(tried(listens), { code, message: /does not listen yet/ });
  await failure(tried(() => globalThis.require('node:https').createServer({})), { code, message: /"tls"/ });
  await failure(tried(() => ({ forward: 'https://127.0.0.1:1' })), { code, message: /"http\.forward": TLS to the inner server/ });
  await failure(tried(() => ({ forward: '127.0.0.1:3000' })), { code, message: /expected http:\/\/host:port/ });
  await server.start();
  const taken = await failure(tried(() => globalThis.require('node:http').createServer(), { bind: `127.0.0.1:${server.port}`, path: '/more' }), { code: 'ERR_WSBROKER_CONFLICT' });
  assert.match(taken.message, /"http"/);
});
