// Options of `start` that a native helper takes (sections 1 and B): TLS, proxies, compression, a Unix socket.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';

import { authority } from '../e2e/certificates.mjs';
import { onWindows } from '../e2e/harness.mjs';
import { frame, Raw, request, TEXT } from '../e2e/raw.mjs';
import { member, single } from './native-kit.mjs';

const addressOf = (server, id) => server.run((helper, context, clientId) => helper.getClients({ id: clientId }).socket.remoteAddress, id);

/** A connection of bare bytes that was let in. */
async function open(server, headers, where = { host: '127.0.0.1', port: server.at.port }) {
  const raw = new Raw(net.connect(where));
  server.raws.push(raw);
  raw.write(request('/ws', headers));
  assert.equal(await raw.answer(), 101);
  return raw;
}

const say = (raw, event, data) => raw.write(frame(TEXT, JSON.stringify({ event, data })));
const told = async (raw, index) => JSON.parse((await raw.frame(TEXT, index)).text);

test('tls: clients come by wss, and in no other way', async (t) => {
  const ca = authority();
  const { cert, key } = ca.issue('helper', { names: ['localhost', '127.0.0.1'] });
  const server = await single(t, { tls: { cert, key } });
  assert.match(server.at.url, /^wss:\/\/127\.0\.0\.1:\d+$/);
  const peer = await member(server, { user: 'u' }, { ca: ca.cert });
  await peer.run((helper) => helper.sendToUser({ userId: 'u', event: 'secret', data: 1 }));
  assert.deepEqual(await peer.next(), { event: 'secret', data: 1 });
  await assert.rejects(member(server, {}, { at: { url: server.at.url.replace('wss:', 'ws:') } }), /400/);
});

test('trustProxy: the address of a client is what a proxy says, and of nobody else', async (t) => {
  const headers = { 'X-Forwarded-For': '6.6.6.6, 192.0.2.1' };
  const server = await single(t, { trustProxy: { from: '127.0.0.1' } });
  assert.equal(await addressOf(server, (await member(server, {}, { headers })).id), '192.0.2.1');
  const other = await single(t, { trustProxy: { from: '10.0.0.0/8' } });
  assert.equal(await addressOf(other, (await member(other, {}, { headers })).id), '127.0.0.1');
});

test('perMessageDeflate: large messages are compressed, both ways, and as the call says', async (t) => {
  const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
  const off = await single(t, { serverOptions: { perMessageDeflate: false }, perMessageDeflate: true });
  assert.equal((await open(off, offer)).headers['sec-websocket-extensions'], undefined, 'serverOptions come first');
  const server = await single(t, { serverOptions: { perMessageDeflate: true }, perMessageDeflate: { threshold: 500 } });
  const raw = await open(server, offer);
  assert.match(raw.headers['sec-websocket-extensions'], /^permessage-deflate/);
  say(raw, 'authenticate', { user: 'u' });
  const { id } = (await told(raw, 0)).data;
  const text = 'ab'.repeat(400);
  await server.run((helper, context, clientId, data) => {
    const { socket } = helper.getClients({ id: clientId });
    helper.sendToClient({ clientId, event: 'e', data });
    helper.broadcast({ event: 'e', data });
    socket.send(data, false);
    socket.send('ab'.repeat(100));
    socket.send('ab'.repeat(100), true);
  }, id, text);
  const frames = [];
  for (let i = 1; i <= 5; i++) frames.push(await raw.frame(TEXT, i));
  assert.deepEqual(frames.map(({ rsv }) => rsv), [4, 4, 0, 0, 4]);
  const inflated = ({ payload }) => zlib.inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString();
  for (const one of frames.slice(0, 2)) assert.deepEqual(JSON.parse(inflated(one)), { event: 'e', data: text });
  const deflated = zlib.deflateRawSync(JSON.stringify({ event: 'echo', data: text }), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
  raw.write(frame(TEXT, deflated, { rsv: 4 }));
  assert.deepEqual(JSON.parse(inflated(await raw.frame(TEXT, 6))), { event: 'echo', data: text });
});

test('bind: a Unix socket', { skip: onWindows && 'no Unix sockets' }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'wsbroker-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'helper.sock');
  const server = await single(t, { bind: `unix:${file}`, trustProxy: { from: 'unix' } });
  assert.equal(server.at.address, file);
  assert.equal(server.at.endpoint, `${server.at.url}:/ws`);
  const raw = await open(server, { 'X-Forwarded-For': '192.0.2.1' }, { path: file });
  say(raw, 'authenticate', {});
  const { event, data } = await told(raw, 0);
  assert.equal(event, 'connected');
  assert.equal(await addressOf(server, data.id), '192.0.2.1');
  say(raw, 'echo', 'through a file');
  assert.deepEqual(await told(raw, 1), { event: 'echo', data: 'through a file' });
  await server.run((helper) => helper.shutdown());
  await assert.rejects(new Promise((resolve, reject) => net.connect({ path: file }).on('connect', resolve).on('error', reject)), 'nobody is there any more');
});
