'use strict';
// Arguments that try to run JavaScript while they are read: nothing may be taken away from under the addon, and nothing that it does for others may be lost.

const assert = require('node:assert/strict');
const net = require('node:net');
const { after, before, test } = require('node:test');
const WebSocket = require('ws');

const { native, attach, listenOptions, serve } = require('./addon.cjs');
const { until } = require('./until.cjs');

let server;
const opened = [];
const requests = [];

before(async () => {
  attach({
    open: (id, request, slot) => {
      opened.push(id);
      requests.push(request);
      native.openVerdict(slot, true);
    },
    text: () => undefined,
  });
  server = await serve();
});

after(async () => {
  await native.shutdownBroker(1001, 1_000);
  native.detachWorker();
});

async function connect(headers = {}) {
  const socket = new WebSocket(server.url, { perMessageDeflate: false, headers });
  socket.messages = [];
  socket.on('message', (data) => socket.messages.push(data));
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  return [socket, opened.at(-1)];
}

/** A value whose every look-up behind its own properties is counted, and takes its bytes away. */
function watched(value, counts) {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  const trap = (name) => (...args) => {
    if (counts.ran++ === 0) structuredClone(buffer, { transfer: [buffer] });
    return Reflect[name](...args);
  };
  const traps = Object.fromEntries(['has', 'get', 'getPrototypeOf', 'getOwnPropertyDescriptor'].map((name) => [name, trap(name)]));
  return Object.setPrototypeOf(value, new Proxy(Object.getPrototypeOf(value), traps));
}

test('to read bytes runs no JavaScript, which could take them away', async () => {
  const [socket, id] = await connect();
  const counts = { ran: 0 };
  for (const make of [(length) => new ArrayBuffer(length), (length) => new Uint8Array(length), (length) => new Uint8Array(new ArrayBuffer(length + 8), 8)]) {
    const large = 300_000;
    const value = (length = 64) => watched(make(length), counts);
    assert.equal(native.subscribe(id, value()), true);
    assert.equal(native.sendToChannel(value(), value(large)), 1);
    assert.equal(native.send(id, value(large)), 1);
    native.setToken(id, value(large));
    assert.equal(native.getToken(id).length, large);
    assert.equal(native.isSubscribed(id, value()), true);
    assert.equal(native.subscribeMany(id, [value(8)]), 1);
    assert.equal(native.unsubscribeMany(id, [value(), value(8)]), 2);
  }
  await until('the messages', () => socket.messages.length === 6);
  assert.deepEqual(socket.messages.map((message) => message.length), Array(6).fill(300_000));
  assert.equal(counts.ran, 0);
  socket.terminate();
});

test('what was sent is not lost when an argument is odd', async () => {
  const [socket, id] = await connect();
  const buffer = new ArrayBuffer(4);
  // It sends when it is looked at: while another message is being read that would find the memory in use, and be dropped.
  Object.setPrototypeOf(buffer, new Proxy(ArrayBuffer.prototype, { has: () => native.send(id, 'from the trap') === 0 }));
  assert.equal(native.send(id, buffer), 1);
  await until('the message', () => socket.messages.length === 1);
  assert.deepEqual(socket.messages[0], Buffer.alloc(4));
  socket.terminate();
});

test('options are read whole, whatever a getter behind them does to bytes', async () => {
  const { authority } = await import('../e2e/certificates.mjs');
  const { cert, key } = authority().issue('localhost', { names: ['localhost'] });
  const pem = { cert: Buffer.from(cert), key: Buffer.from(key) };
  let read = 0;
  // It is not given, so it is looked for on Object.prototype, when the certificate has been read.
  const spoil = () => {
    read++;
    for (const bytes of Object.values(pem)) bytes.fill(0);
  };
  Object.defineProperty(Object.prototype, 'maxFirstPayload', { configurable: true, get: spoil });
  try {
    const pair = { cert: { name: 'cert', pem: pem.cert }, key: { name: 'key', pem: pem.key } };
    const tls = { pairs: [pair], ca: [], requestCert: false, rejectUnauthorized: true, minVersion: 'TLSv1.2' };
    await native.closeListener(await native.listen(listenOptions({ tls })));
    assert.equal(read, 1);
  } finally {
    delete Object.prototype.maxFirstPayload;
  }
});

test('a list is looked at as far as it is right', () => {
  let read = 0;
  const list = new Array(10_000_000);
  list[0] = 'a';
  Object.defineProperty(list, 9_999_999, { get: () => read++ });
  const before = process.memoryUsage.rss();
  for (const call of [() => native.subscribeMany(1, list), () => native.unsubscribeMany(1, list)]) {
    assert.throws(call, { code: 'ERR_WSBROKER_INVALID_ARG_TYPE', message: /"channels\[1\]" must be .*, got undefined$/ });
  }
  assert.throws(() => native.sendToChannel('c', 'x', { exclude: new Array(10_000_000) }), { message: /"options\.exclude\[0\]" must be a number, got undefined$/ });
  assert.equal(read, 0, 'nothing behind the mistake was looked at');
  assert.ok(process.memoryUsage.rss() - before < 64 << 20, 'and nothing was collected for it');
});

test('a list is read once, and its getters may do what they like', async () => {
  const [socket, id] = await connect();
  const list = ['one', 'two', 'three'];
  Object.defineProperty(list, 1, { get() { native.send(id, 'from the getter'); list.length = 2; return 'two'; } });
  assert.throws(() => native.subscribeMany(id, list), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE', message: /channels\[2\].*undefined/ });
  await until('the message', () => socket.messages.length === 1);
  const broken = ['one'];
  Object.defineProperty(broken, 0, { get() { throw new RangeError('mine'); } });
  assert.throws(() => native.subscribeMany(id, broken), { name: 'RangeError', message: 'mine' });
  socket.terminate();
});

test('a header is a property of its own, whatever it is called and whatever objects inherit', async () => {
  const { port } = server;
  let ran = 0;
  Object.defineProperty(Object.prototype, 'x-odd', { configurable: true, set: () => ran++ });
  try {
    const raw = net.connect(port, '127.0.0.1');
    const count = requests.length;
    raw.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
      + 'X-Odd: yes\r\n__proto__: null\r\nconstructor: mine\r\n\r\n');
    await until('the request', () => requests.length > count);
    const { headers } = requests.at(-1);
    assert.deepEqual(['x-odd', '__proto__', 'constructor'].map((name) => Object.getOwnPropertyDescriptor(headers, name)?.value), ['yes', 'null', 'mine']);
    assert.equal(ran, 0);
    raw.destroy();
  } finally {
    delete Object.prototype['x-odd'];
  }
});
