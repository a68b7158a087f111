'use strict';
// A million echoes leave nothing behind, whatever their kind. Run by hand with `--expose-gc` this is steadier; without it the bounds are wide enough.

const assert = require('node:assert/strict');
const net = require('node:net');
const { after, before, test } = require('node:test');

const { native, attach, serve } = require('./addon.cjs');

const BLOB = 1_000;
let server;
let mode = 'sync';

before(async () => {
  attach({
    text: (id, text) => (mode === 'async' ? Promise.resolve().then(() => native.send(id, text)) : native.send(id, text)),
    binary: (id, bytes) => native.send(id, bytes),
  });
  server = await serve();
});

after(async () => {
  await native.shutdownBroker(1001, 1_000);
  native.detachWorker();
});

/** Masked with zeros, so that the payload is what it is. */
function frame(opcode, payload) {
  const head = payload.length < 126 ? Buffer.from([0x80 | opcode, 0x80 | payload.length]) : Buffer.from([0x80 | opcode, 0xfe, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

async function connect() {
  const socket = net.connect(server.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}

/** So many echoes, a thousand under way. */
async function echo(opcode, payload, count) {
  const socket = await connect();
  const blob = Buffer.concat(Array.from({ length: BLOB }, () => frame(opcode, payload)));
  const back = (blob.length / BLOB - 4) * BLOB;
  for (let i = 0; i < count; i += BLOB) {
    let bytes = 0;
    await new Promise((resolve, reject) => {
      socket.on('data', function count(data) {
        bytes += data.length;
        if (bytes < back) return;
        socket.off('data', count);
        resolve();
      });
      socket.once('close', () => reject(new Error('cut')));
      socket.write(blob);
    });
    socket.removeAllListeners('close');
  }
  socket.destroy();
}

async function rss() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage.rss() / 2 ** 20;
}

for (const [name, opcode, payload, wanted] of [
  ['ASCII text', 1, Buffer.from('x'.repeat(64)), 'sync'],
  ['other text', 1, Buffer.from('語🎉é'.repeat(6)), 'sync'],
  ['small bytes', 2, Buffer.alloc(64, 7), 'sync'],
  ['larger bytes', 2, Buffer.alloc(2_000, 7), 'sync'],
  ['text to an async handler', 1, Buffer.from('x'.repeat(64)), 'async'],
]) {
  test(`${name}: memory stays flat`, async () => {
    mode = wanted;
    await echo(opcode, payload, 150_000);
    const first = await rss();
    await echo(opcode, payload, 250_000);
    const growth = await rss() - first;
    assert.ok(growth < 40, `${growth.toFixed(1)} MiB more after 250,000 echoes`);
  });
}
