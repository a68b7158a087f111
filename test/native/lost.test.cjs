'use strict';
// Events that cannot become a value, and what a worker leaves behind.

const assert = require('node:assert/strict');
const { constants } = require('node:buffer');
const { once } = require('node:events');
const net = require('node:net');
const { after, before, test } = require('node:test');

const { native, attach, serve } = require('./addon.cjs');

const CLOSE = 8;
let server;
const closed = [];

before(async () => {
  attach({
    open: (id, request, slot) => native.openVerdict(slot, true),
    text: (id, text) => native.send(id, text),
    close: (id, code) => closed.push(code),
  });
  server = await serve({ maxPayload: 2 ** 30 });
});

after(async () => {
  await native.shutdownBroker(1001, 1_000);
  native.detachWorker();
});

/** The header of a client's text frame, masked with zeros, so that the payload is sent as it is. */
function header(length) {
  const size = length < 126 ? Buffer.from([0x80 | length]) : Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
  if (length >= 126) size.writeBigUInt64BE(BigInt(length), 1);
  return Buffer.concat([Buffer.from([0x81]), size, Buffer.alloc(4)]);
}

async function upgraded() {
  const socket = net.connect(server.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  await once(socket, 'readable');
  assert.match(String(socket.read()), /^HTTP\/1\.1 101 /);
  return socket;
}

test('a message that is longer than a string can be closes its connection with 1011, and no other', { timeout: 60_000 }, async () => {
  const other = await upgraded();
  const socket = await upgraded();
  const length = constants.MAX_STRING_LENGTH + 1;
  const chunk = Buffer.alloc(1 << 20, 'a');
  socket.write(header(length));
  for (let left = length; left > 0; left -= chunk.length) {
    if (!socket.write(left < chunk.length ? chunk.subarray(0, left) : chunk)) await once(socket, 'drain');
  }
  await once(socket, 'readable');
  const frame = socket.read();
  assert.deepEqual([frame[0] & 15, frame.readUInt16BE(2)], [CLOSE, 1011]);
  socket.destroy();
  other.write(Buffer.concat([header(2), Buffer.from('hi')]));
  await once(other, 'readable');
  assert.deepEqual(other.read(), Buffer.from([0x81, 2, ...Buffer.from('hi')]));
  other.destroy();
});
