// Compression: what is negotiated, which messages are compressed, and what compressed messages can do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';

import { authority } from './certificates.mjs';
import { launch, until } from './harness.mjs';
import { BINARY, CLOSE, frame, open, PING, TEXT } from './raw.mjs';

const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const stats = (server) => server.main((wsb) => wsb.stats());
/** JSON as servers send it, that long. */
const json = (length) => JSON.stringify(Array.from({ length: length / 20 }, (_, n) => ({ id: n, name: `user ${n % 7}` }))).slice(0, length);
/** A payload as RFC 7692, section 7.2.1, makes it. */
const deflated = (text) => zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
const inflated = (payload) => zlib.inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString();
const compressed = (text, opcode = TEXT, more = {}) => frame(opcode, deflated(text), { rsv: 4, ...more });

test('what is offered is answered without context takeover, and what is not offered is not', async (t) => {
  const server = await launch(t, { options: { perMessageDeflate: true } });
  const answer = async (offer) => {
    const raw = await open(server, { headers: { 'Sec-WebSocket-Extensions': offer } });
    raw.destroy();
    return raw.headers['sec-websocket-extensions']?.split(/;\s*/);
  };
  for (const [offer, expected] of [
    [undefined, undefined],
    ['permessage-deflate', []],
    ['permessage-deflate; server_no_context_takeover', []],
    ['x-webkit-deflate-frame, permessage-deflate', []],
    ['permessage-deflate; server_max_window_bits=9', ['server_max_window_bits=9']],
    ['permessage-deflate; server_max_window_bits=8', undefined],
    ['permessage-deflate; unheard_of, permessage-deflate', []],
    ['permessage-deflate; server_max_window_bits=16', undefined],
    ['bbf-usp-protocol', undefined],
  ]) {
    const got = await answer(offer);
    if (expected === undefined) {
      assert.equal(got, undefined, offer);
      continue;
    }
    const [name, ...parameters] = got ?? [];
    assert.equal(name, 'permessage-deflate', offer);
    const own = ['server_no_context_takeover', 'client_no_context_takeover'];
    assert.deepEqual(parameters.sort(), [...own, ...expected].sort(), offer);
  }
});

test('messages of the threshold and more are compressed, unless the call says otherwise', async (t) => {
  const server = await launch(t, { options: { perMessageDeflate: { threshold: 500, level: 9 } } });
  const raw = await open(server, { headers: OFFER });
  const plain = await open(server);
  const ids = [(await server.told.next('open')).id, (await server.told.next('open')).id];
  await server.main((wsb, kit, all) => all.forEach((id) => wsb.subscribe(id, 'room')), ids);
  const cases = [[499, {}, false], [500, {}, true], [5000, {}, true], [5000, { compress: false }, false], [300, { compress: true }, true], [300, { compress: undefined }, false], [100_000, {}, true]];
  let index = 0;
  for (const [length, options, isCompressed] of cases) {
    const text = json(length);
    for (const call of ['send', 'publish']) {
      await server.main((wsb, kit, how, to, data, given) => {
        if (how === 'send') for (const id of to) wsb.send(id, data, given);
        else wsb.sendToChannel('room', data, given);
      }, call, ids, text, options);
      const got = await raw.frame(TEXT, index);
      assert.equal(got.rsv, isCompressed ? 4 : 0, `${call} of ${length} with ${JSON.stringify(options)}`);
      assert.equal(isCompressed ? inflated(got.payload) : got.text, text);
      const other = await plain.frame(TEXT, index);
      assert.deepEqual([other.rsv, other.text], [0, text], 'a client that did not offer it gets it plain');
      index++;
    }
  }
  const { bytesOut, wireBytesOut } = await stats(server);
  assert.ok(wireBytesOut < bytesOut * 0.75, `${wireBytesOut} bytes on the wire for ${bytesOut}`);
});

test('what would not become shorter goes as it is', async (t) => {
  const server = await launch(t, { options: { perMessageDeflate: true } });
  const raw = await open(server, { headers: OFFER });
  const { id } = await server.told.next('open');
  await server.main((wsb, kit, to) => void wsb.send(to, require('node:crypto').randomBytes(4000)), id);
  const got = await raw.frame(BINARY);
  assert.deepEqual([got.rsv, got.payload.length], [0, 4000]);
});

test('a library client talks both ways, compressed or not, also through TLS', async (t) => {
  const ca = authority();
  const { cert, key } = ca.issue('server', { names: ['127.0.0.1'] });
  const server = await launch(t, {
    options: { perMessageDeflate: true, tls: { cert, key }, maxPayload: 4 << 20 },
    worker: (wsb) => ({
      handleTextMessage: (text, id) => void wsb.send(id, text),
      handleBinaryMessage: (bytes, id) => void wsb.send(id, bytes),
    }),
  });
  const client = await server.connect('', { ca: ca.cert, perMessageDeflate: { threshold: 100 } });
  assert.match(client.ws.extensions, /permessage-deflate/);
  for (const length of [0, 1, 99, 100, 1023, 1024, 70_000, 1 << 20]) {
    const text = json(length).slice(0, length);
    client.send(text);
    assert.equal(await client.next(), text);
    client.send(Buffer.from(text));
    assert.ok((await client.next()).equals(Buffer.from(text)));
  }
});

test('compressed messages arrive inflated, also in fragments with other frames between them', async (t) => {
  const server = await launch(t, { options: { perMessageDeflate: true } });
  const raw = await open(server, { headers: OFFER });
  const whole = deflated('äöü '.repeat(500));
  raw.write(frame(TEXT, whole.subarray(0, 3), { fin: false, rsv: 4 }));
  raw.write(frame(PING, 'between'));
  raw.write(frame(0, whole.subarray(3)));
  raw.write(compressed('', TEXT));
  raw.write(frame(TEXT, 'plain'));
  raw.write(compressed('bytes', BINARY));
  assert.equal((await server.told.next('text')).data, 'äöü '.repeat(500));
  assert.equal((await server.told.next('text')).data, '');
  assert.equal((await server.told.next('text')).data, 'plain');
  assert.equal((await server.told.next('binary')).hex, Buffer.from('bytes').toString('hex'));
});

for (const [what, bytes, code, cause] of [
  ['a message that inflates beyond maxPayload', () => compressed(Buffer.alloc(5 << 20)), 1009, 'maxPayload'],
  ['data that is not compressed', () => frame(TEXT, Buffer.alloc(50, 0xff), { rsv: 4 }), 1007, 'invalidPayload'],
  ['text that inflates to what is no UTF-8', () => compressed(Buffer.from([0x61, 0xff])), 1007, 'invalidPayload'],
  ['a compressed ping', () => frame(PING, 'x', { rsv: 4 }), 1002, 'protocol'],
  ['a mark on a later fragment', () => Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(0, 'b', { rsv: 4 })]), 1002, 'protocol'],
]) {
  test(`${what} closes with ${code}`, async (t) => {
    const server = await launch(t, { options: { perMessageDeflate: true } });
    const raw = await open(server, { headers: OFFER });
    raw.write(bytes());
    assert.equal((await raw.frame(CLOSE)).code, code);
    await until(async () => (await stats(server)).closes[cause] === 1, 'it to be counted');
    assert.deepEqual([...server.told.of('text'), ...server.told.of('binary')], []);
  });
}

test('a mark of compression that nobody agreed on closes with 1002', async (t) => {
  const server = await launch(t, { options: { perMessageDeflate: true } });
  const raw = await open(server);
  raw.write(compressed('x'));
  assert.equal((await raw.frame(CLOSE)).code, 1002);
});

test('compression belongs to the server: another one on the same address need not have it', async (t) => {
  const server = await launch(t, { options: { path: '/a', perMessageDeflate: true } });
  await server.start({ bind: `127.0.0.1:${server.port}`, path: '/b' });
  const [a, b] = [await open(server, { target: '/a', headers: OFFER }), await open(server, { target: '/b', headers: OFFER })];
  assert.match(a.headers['sec-websocket-extensions'], /permessage-deflate/);
  assert.equal(b.headers['sec-websocket-extensions'], undefined);
});
