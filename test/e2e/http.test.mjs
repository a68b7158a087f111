// From accept to 101: which requests become connections, and what the others are answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';
import { frame, open, request, tcp, TEXT } from './raw.mjs';

async function answered(server, bytes) {
  const raw = await tcp(server);
  raw.write(bytes);
  await raw.answer();
  return raw;
}

test('the 101 is what the protocol asks for', async (t) => {
  const server = await launch(t);
  const raw = await answered(server, request());
  assert.equal(raw.status, 101);
  assert.equal(raw.headers.upgrade.toLowerCase(), 'websocket');
  assert.equal(raw.headers.connection.toLowerCase(), 'upgrade');
  assert.equal(raw.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  assert.equal(raw.headers['sec-websocket-protocol'], undefined);
  assert.equal(raw.headers['sec-websocket-extensions'], undefined);
});

test('header names and tokens are compared without case, and Connection may be a list', async (t) => {
  const server = await launch(t);
  const raw = await answered(server, request('/', { Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' }).replace('Host:', 'hOsT:'));
  assert.equal(raw.status, 101);
});

for (const [what, bytes, status] of [
  ['a plain GET', request('/', { Upgrade: undefined, Connection: undefined, 'Sec-WebSocket-Key': undefined, 'Sec-WebSocket-Version': undefined }), 426],
  ['a plain POST with a body', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody', 426],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', [400, 426, 505]],
  ['another version of the protocol', request('/', { 'Sec-WebSocket-Version': '8' }), 426],
  ['no version', request('/', { 'Sec-WebSocket-Version': undefined }), [400, 426]],
  ['no key', request('/', { 'Sec-WebSocket-Key': undefined }), 400],
  ['an upgrade to something else', request('/', { Upgrade: 'h2c' }), [400, 426]],
  ['an upgrade by POST', request('/', {}, 'POST'), [400, 405, 426]],
  ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is a TLS hello \r\n\r\n', [400, 0]],
  ['a header without a colon', 'GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n', 400],
]) {
  test(`${what} is answered with ${[].concat(status).join(' or ')}, and no handler hears of it`, async (t) => {
    const server = await launch(t);
    const raw = await answered(server, bytes);
    assert.ok([].concat(status).includes(raw.status ?? 0), `${raw.head}`);
    if (status === 426) {
      assert.match(raw.headers.upgrade ?? '', /websocket/i);
      if (what.includes('version')) assert.equal(raw.headers['sec-websocket-version'], '13');
    }
    await raw.end();
    assert.deepEqual(server.told.of('open'), []);
    await server.connect();
  });
}

test('paths: one, a list, all', async (t) => {
  const server = await launch(t, { options: { path: '/chat' } });
  await server.connect('/chat');
  await server.connect('/chat?room=1');
  assert.equal((await server.refused('/')).status, 404);
  assert.equal((await server.refused('/chat/')).status, 404);
  assert.equal((await server.refused('/Chat')).status, 404);
  assert.equal((await server.refused('/chat/more')).status, 404);
  const list = await server.start({ path: ['/a', '/b'] });
  await server.connect('/a', { at: list });
  await server.connect('/b', { at: list });
  assert.equal((await server.refused('/c', { at: list })).status, 404);
  const all = await server.start({ path: '*' });
  await server.connect('/whatever/there?is', { at: all });
  assert.equal((await server.told.of('open')).length, 5);
});

test('maxHeaderSize: a larger head is answered with 431', async (t) => {
  const server = await launch(t, { options: { maxHeaderSize: 2048 } });
  const fits = await answered(server, request('/', { 'X-Pad': 'x'.repeat(1500) }));
  assert.equal(fits.status, 101);
  const large = await answered(server, request('/', { 'X-Pad': 'x'.repeat(4000) }));
  assert.equal(large.status, 431);
  await large.end();
  // Also when the end of it never comes.
  const endless = await tcp(server);
  endless.write('GET / HTTP/1.1\r\nHost: x\r\nX-Pad: ' + 'x'.repeat(8000));
  assert.equal(await endless.answer(), 431);
});

test('by default a head of 15 KiB passes, one of 17 KiB or of more than 100 headers does not', async (t) => {
  const server = await launch(t);
  assert.equal((await answered(server, request('/', { 'X-Pad': 'x'.repeat(15 << 10) }))).status, 101);
  assert.equal((await answered(server, request('/', { 'X-Pad': 'x'.repeat(17 << 10) }))).status, 431);
  const many = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-${i}`, `${i}`]));
  assert.equal((await answered(server, request('/', many(90)))).status, 101);
  assert.equal((await answered(server, request('/', many(101)))).status, 431);
});

test('a long URL passes as long as the head fits', async (t) => {
  const server = await launch(t);
  await server.connect(`/${'p'.repeat(4000)}?${'q'.repeat(4000)}`);
});

test('handshakeTimeout: a client that says nothing, or half of it, or a byte at a time, is cut', async (t) => {
  const server = await launch(t, { options: { handshakeTimeout: 2000 } });
  const began = Date.now();
  const silent = await tcp(server);
  const half = await tcp(server);
  half.write('GET / HTTP/1.1\r\nHost: x\r\n');
  const slow = await tcp(server);
  const bytes = request();
  let at = 0;
  const drip = setInterval(() => {
    if (slow.ended) clearInterval(drip);
    else slow.write(bytes[at++ % 20] ?? 'x');
  }, 20);
  t.after(() => clearInterval(drip));
  for (const raw of [silent, half, slow]) {
    await raw.end();
    assert.ok(raw.status === undefined || raw.status === 408, raw.head);
  }
  const took = Date.now() - began;
  assert.ok(took >= 1900, `${took} ms`);
  // A connection that made it is not touched by that clock.
  const client = await server.connect();
  const connected = Date.now();
  await until(() => Date.now() - connected > 2500, 'the deadline to pass');
  assert.deepEqual(await client.fence(), []);
});

test('a request that comes byte by byte is understood, and so are frames', async (t) => {
  const server = await launch(t);
  const raw = await tcp(server);
  raw.socket.setNoDelay(true);
  for (const byte of request()) {
    raw.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(await raw.answer(), 101);
  for (const byte of frame(TEXT, 'slowly')) {
    raw.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await server.told.next('text')).data, 'slowly');
});

test('maxPendingUpgrades: more connections that wait for a verdict get 503', async (t) => {
  const server = await launch(t, {
    options: { maxPendingUpgrades: 3 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleOpen(id, ip, headers, request) {
        kit.tell('open', { id, tag: headers['x-tag'] });
        globalThis.waiting ??= [];
        if (request.path === '/wait') return new Promise((resolve) => globalThis.waiting.push(resolve));
      },
    }),
  });
  server.standard = true;
  const waiting = [];
  const first = await server.connect('/first');
  for (let i = 0; i < 3; i++) {
    waiting.push(server.connect('/wait', { id: false }));
    await server.told.next('open');
  }
  assert.equal((await server.refused('/wait')).status, 503);
  await first.run(() => globalThis.waiting.forEach((resolve) => resolve(true)));
  await Promise.all(waiting);
  await server.connect('/after');
});

test('many connections at once are all served', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const clients = await Promise.all(Array.from({ length: 200 }, () => server.connect()));
  assert.equal(new Set(clients.map((client) => client.id)).size, 200);
  assert.equal(await server.main((wsb) => wsb.connectionCount()), 200);
  await Promise.all(clients.map((client) => client.close()));
  await until(() => server.main((wsb) => wsb.connectionCount() === 0), 'all to be gone');
});

test('protocols: the choice is one that was offered, and none when nothing fits', async (t) => {
  const server = await launch(t, { options: { protocols: ['known'] } });
  const known = await answered(server, request('/', { 'Sec-WebSocket-Protocol': 'strange, known' }));
  assert.equal(known.headers['sec-websocket-protocol'], 'known');
  const strange = await answered(server, request('/', { 'Sec-WebSocket-Protocol': 'strange' }));
  assert.equal(strange.headers['sec-websocket-protocol'], undefined);
});

test('an offer of compression is declined', async (t) => {
  const server = await launch(t);
  const raw = await answered(server, request('/', { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }));
  assert.equal(raw.status, 101);
  assert.equal(raw.headers['sec-websocket-extensions'], undefined);
});

test('a server that is closed answers nobody, its neighbour on the same address does', async (t) => {
  const server = await launch(t, { options: { path: '/one' } });
  const two = await server.start({ bind: `127.0.0.1:${server.port}`, path: '/two' });
  await server.main((wsb, kit) => kit.state.servers[0].close());
  const { status } = await server.refused('/one', { at: two });
  assert.ok(status === 404 || status === 503, String(status));
  await server.connect('/two', { at: two });
});
