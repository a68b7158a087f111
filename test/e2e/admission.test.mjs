// Who is let in: bounds on connections, whose address counts behind proxies, which web pages may connect, and sharing a port.
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { launch, onWindows, until } from './harness.mjs';
import { open, Raw, request, tcp } from './raw.mjs';

const loopback = { from: '127.0.0.1' };
const stats = (server) => server.main((wsb) => wsb.stats());

/** The address that `handleOpen` saw. */
async function seen(server, headers, behind) {
  const raw = await tcp(server);
  raw.write(Buffer.concat([behind ?? Buffer.alloc(0), Buffer.from(request('/', headers))]));
  assert.equal(await raw.answer(), 101, raw.head);
  const { ip } = await server.told.next('open');
  raw.destroy();
  return ip;
}

/** The status of a request, 0 for one that was cut. */
async function status(server, headers, before = '') {
  const raw = await tcp(server);
  raw.write(before + request('/', headers));
  const code = await raw.answer();
  raw.destroy();
  return code ?? 0;
}

// Bounds -----------------------------------------------------------------------------------------------------------------------

test('maxConnections: one more is answered with 503, on any server, until another has gone', async (t) => {
  const server = await launch(t, { options: { maxConnections: 2 } });
  const more = await server.start();
  const first = await server.connect();
  await server.connect('', { at: more });
  for (const at of [server.at, more]) {
    const refused = await server.refused('', { at });
    assert.equal(refused.status, 503);
  }
  assert.equal((await stats(server)).rejected.maxConnections, 2);
  assert.equal(server.told.of('open').length, 2, 'no handler hears of them');
  await first.close();
  await until(async () => (await status(server)) === 101, 'room for another');
});

test('maxConnections: counts connections that have not said anything yet', async (t) => {
  const server = await launch(t, { options: { maxConnections: 1 } });
  const silent = await tcp(server);
  await until(async () => (await stats(server)).accepted === 1, 'the silent one to be taken');
  assert.equal((await server.refused()).status, 503);
  silent.destroy();
  await until(async () => (await status(server)) === 101, 'room for another');
});

test('maxConnectionsPerIp: one more from there is answered with 429, and others are not concerned', async (t) => {
  const server = await launch(t, { options: { maxConnectionsPerIp: 2 } });
  const raws = [await open(server), await open(server)];
  const refused = await server.refused();
  assert.equal(refused.status, 429);
  assert.equal((await stats(server)).rejected.maxConnectionsPerIp, 1);
  if (process.platform === 'linux') {
    // All of 127/8 is this machine.
    const other = new Raw(net.connect({ host: '127.0.0.1', port: server.port, localAddress: '127.0.0.2' }));
    server.raws.push(other);
    other.write(request());
    assert.equal(await other.answer(), 101);
  }
  raws[0].destroy();
  await until(async () => (await status(server)) === 101, 'room for another');
});

test('maxConnectionsPerIp: behind a proxy the client counts, IPv6 by /64, and the proxy itself does not', async (t) => {
  const server = await launch(t, { options: { maxConnectionsPerIp: 1, trustProxy: loopback } });
  const from = async (address) => {
    const raw = await tcp(server);
    raw.write(request('/', { 'X-Forwarded-For': address }));
    return raw.answer();
  };
  assert.equal(await from('192.0.2.1'), 101);
  assert.equal(await from('192.0.2.1'), 429);
  assert.equal(await from('192.0.2.2'), 101);
  assert.equal(await from('2001:db8:1:2::1'), 101);
  assert.equal(await from('2001:db8:1:2:ffff::9'), 429);
  assert.equal(await from('2001:db8:1:3::1'), 101);
  assert.equal((await stats(server)).rejected.maxConnectionsPerIp, 2);
});

// Proxies ----------------------------------------------------------------------------------------------------------------------

test('without trustProxy no header changes the address', async (t) => {
  const server = await launch(t);
  assert.equal(await seen(server, { 'X-Forwarded-For': '192.0.2.1', Forwarded: 'for=192.0.2.2', 'X-Real-IP': '192.0.2.3' }), '127.0.0.1');
});

test('trustProxy: the rightmost address that is no proxy is the client', async (t) => {
  const server = await launch(t, { options: { trustProxy: { from: ['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8'] } } });
  for (const [header, ip] of [
    ['192.0.2.1', '192.0.2.1'],
    ['6.6.6.6, 192.0.2.1', '192.0.2.1'], // what the client claims itself stands left
    ['6.6.6.6, 192.0.2.1, 10.1.2.3', '192.0.2.1'],
    ['192.0.2.1:4711', '192.0.2.1'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['10.9.9.9, fd00::1', '10.9.9.9'], // all are proxies: the one farthest away
    [['6.6.6.6', '192.0.2.1'], '192.0.2.1'], // two lines are one list
    ['unknown', '127.0.0.1'],
    ['192.0.2.1, nonsense, 10.1.2.3', '10.1.2.3'],
    [undefined, '127.0.0.1'],
    ['', '127.0.0.1'],
  ]) {
    assert.equal(await seen(server, { 'X-Forwarded-For': header, Forwarded: 'for=6.6.6.6' }), ip, String(header));
  }
});

test("trustProxy: header: 'forwarded' reads RFC 7239 and nothing else", async (t) => {
  const server = await launch(t, { options: { trustProxy: { from: '127.0.0.1', header: 'forwarded' } } });
  for (const [header, ip] of [
    ['for=192.0.2.1', '192.0.2.1'],
    ['for=6.6.6.6;proto=https, For="192.0.2.1:80";by=10.0.0.1', '192.0.2.1'],
    ['for="[2001:db8::1]:4711"', '2001:db8::1'],
    ['for=_hidden', '127.0.0.1'],
    ['for=192.0.2.1, for=unknown', '127.0.0.1'],
  ]) {
    assert.equal(await seen(server, { Forwarded: header, 'X-Forwarded-For': '6.6.6.6' }), ip, header);
  }
});

test('trustProxy: a peer that is no proxy is not believed', async (t) => {
  const server = await launch(t, { options: { trustProxy: { from: '10.0.0.0/8' } } });
  assert.equal(await seen(server, { 'X-Forwarded-For': '192.0.2.1' }), '127.0.0.1');
});

test("trustProxy: 'unix' trusts everyone who comes through a Unix socket", { skip: onWindows && 'no Unix sockets' }, async (t) => {
  const server = await launch(t, { start: false });
  server.standard = true;
  const workerPath = server.workerFile('(wsb, kit) => kit.standard(wsb)');
  const file = path.join(server.folder, 'socket');
  const at = await server.start({ bind: `unix:${file}`, workerPath, threads: 1, trustProxy: { from: 'unix' } });
  assert.equal(at.address, file);
  const raw = new Raw(net.connect(file));
  server.raws.push(raw);
  raw.write(request('/', { 'X-Forwarded-For': '6.6.6.6, 192.0.2.1' }));
  assert.equal(await raw.answer(), 101);
  assert.equal((await server.told.next('open')).ip, '192.0.2.1');
});

/** A header of version 2. */
function version2(command, family, addresses = Buffer.alloc(0)) {
  const head = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x20 | command, family, addresses.length >> 8, addresses.length & 255]);
  return Buffer.concat([head, addresses]);
}
const v4 = Buffer.from([192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x67, 0, 80]);
const v6 = Buffer.concat([Buffer.from('20010db8000000000000000000000007', 'hex'), Buffer.from('00000000000000000000000000000001', 'hex'), Buffer.from([0x12, 0x67, 0, 80])]);

test('proxyProtocol: the address in the header, version 1 or 2, is the client', async (t) => {
  const server = await launch(t, { options: { proxyProtocol: true } });
  for (const [header, ip] of [
    [Buffer.from('PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n'), '192.0.2.7'],
    [Buffer.from('PROXY TCP6 2001:db8::7 ::1 4711 80\r\n'), '2001:db8::7'],
    [Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
    [version2(1, 0x11, v4), '192.0.2.7'],
    [version2(1, 0x21, v6), '2001:db8::7'],
    [version2(1, 0x11, Buffer.concat([v4, Buffer.from([0x04, 0, 2, 1, 2])])), '192.0.2.7'], // with a TLV behind
    [version2(0, 0x00), '127.0.0.1'], // LOCAL: the proxy itself
  ]) {
    assert.equal(await seen(server, {}, header), ip, header.toString('latin1'));
  }
});

test('proxyProtocol: a connection without the header, or with a broken one, is cut', async (t) => {
  const server = await launch(t, { options: { proxyProtocol: true, handshakeTimeout: 5000 } });
  for (const before of ['', 'PROXY TCP4 192.0.2.7\r\n', 'PROXY TCP4 a b 1 2\r\n', `PROXY ${'x'.repeat(200)}`]) assert.equal(await status(server, {}, before), 0, before);
  assert.equal((await stats(server)).rejected.proxyProtocol, 4);
  assert.deepEqual(server.told.of('open'), []);
});

test('proxyProtocol and trustProxy: of two proxies both are trusted, and a peer that is neither is cut', async (t) => {
  const server = await launch(t, { options: { proxyProtocol: true, trustProxy: { from: ['127.0.0.1', '192.0.2.7'] } } });
  const header = Buffer.from('PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n');
  assert.equal(await seen(server, { 'X-Forwarded-For': '198.51.100.1' }, header), '198.51.100.1');
  const other = Buffer.from('PROXY TCP4 192.0.2.8 127.0.0.1 4711 80\r\n');
  assert.equal(await seen(server, { 'X-Forwarded-For': '198.51.100.1' }, other), '192.0.2.8');
  const strict = Object.assign(Object.create(server), { at: await server.start({ proxyProtocol: true, trustProxy: { from: '10.0.0.1' } }) });
  assert.equal(await status(strict, {}, String(header)), 0);
});

// Origins ----------------------------------------------------------------------------------------------------------------------

test('origins: pages that are not on the list get 403, and what is no page gets in', async (t) => {
  const server = await launch(t, { options: { origins: ['https://App.example:443', 'https://*.b.example', 'http://localhost:3000'] } });
  for (const [origin, expected] of [
    ['https://app.example', 101], ['HTTPS://APP.EXAMPLE', 101], ['https://x.b.example', 101], ['https://x.y.b.example', 101], ['http://localhost:3000', 101], [undefined, 101],
    ['http://app.example', 403], ['https://app.example:8443', 403], ['https://b.example', 403], ['https://evilb.example', 403], ['https://app.example.evil.example', 403],
    ['http://localhost', 403], ['null', 403], ['', 403], ['https://x.b.example.evil', 403], [['https://app.example', 'https://evil.example'], 400],
  ]) {
    assert.equal(await status(server, { Origin: origin }), expected, String(origin));
  }
  assert.equal((await stats(server)).rejected.origin, 9);
});

test("origins: 'null' and '*' mean what they say, and an empty list refuses every page", async (t) => {
  const server = await launch(t, { options: { origins: 'null' } });
  assert.deepEqual([await status(server, { Origin: 'null' }), await status(server, { Origin: 'https://a.example' })], [101, 403]);
  const any = Object.assign(Object.create(server), { at: await server.start({ origins: '*' }) });
  assert.deepEqual([await status(any, { Origin: 'null' }), await status(any, { Origin: 'https://a.example' })], [101, 101]);
  const none = Object.assign(Object.create(server), { at: await server.start({ origins: [] }) });
  assert.deepEqual([await status(none, { Origin: 'https://a.example' }), await status(none, {})], [403, 101]);
});

test('origins: belong to the server, not to the address', async (t) => {
  const server = await launch(t, { options: { path: '/a', origins: 'https://a.example' } });
  await server.start({ bind: `127.0.0.1:${server.port}`, path: '/b', origins: 'https://b.example' });
  const headers = { origin: 'https://b.example' };
  assert.equal((await server.refused('/a', { headers })).status, 403);
  await server.connect('/b', { headers });
});

// Ports ------------------------------------------------------------------------------------------------------------------------

test('reusePort: two processes share a port', { skip: process.platform !== 'linux' && 'only there connections are shared out' }, async (t) => {
  const one = await launch(t, { options: { reusePort: true } });
  const bind = `127.0.0.1:${one.port}`;
  const two = await launch(t, { options: { bind, reusePort: true } });
  assert.equal(two.port, one.port);
  await until(async () => {
    (await open(one)).destroy();
    return one.told.of('open').length > 0 && two.told.of('open').length > 0;
  }, 'both to be given connections');
  const three = await launch(t, { start: false });
  const error = await three.start({ bind, workerPath: three.workerFile('() => ({})'), threads: 1 }).catch((failure) => failure);
  assert.equal(error.code, 'ERR_WSBROKER_BIND', 'a process that does not share does not get it');
});

test('what belongs to the address must be the same for all servers there', async (t) => {
  const server = await launch(t, { options: { path: '/a' } });
  const bind = `127.0.0.1:${server.port}`;
  for (const [name, value] of [['trustProxy', loopback], ['proxyProtocol', true], ['reusePort', true], ['handshakeTimeout', 7], ['maxHeaderSize', 777]]) {
    const error = await server.start({ bind, path: '/b', [name]: value }).catch((failure) => failure);
    assert.equal(error.code, 'ERR_WSBROKER_CONFLICT', `${name}: ${error}`);
    assert.ok(error.message.includes(`another value of "${name}"`), error.message);
  }
});
