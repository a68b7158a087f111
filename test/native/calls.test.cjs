'use strict';
// Arguments and results of the raw functions.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const WebSocket = require('ws');

const { native, attach, serve } = require('./addon.cjs');

const TYPE = 'ERR_WSBROKER_INVALID_ARG_TYPE';
const VALUE = 'ERR_WSBROKER_INVALID_ARG_VALUE';
const DATA = 'a string, ArrayBuffer or Uint8Array';

function throws(body, type, code, message) {
  assert.throws(body, (error) => {
    assert.ok(error instanceof type, `${error} is no ${type.name}`);
    assert.equal(error.code, code);
    assert.equal(error.message, message);
    assert.equal(error.name, type === Error ? 'WSBrokerError' : type.name);
    return true;
  });
}

function wrongTypes() {
  const wrong = [[undefined, 'undefined'], [null, 'null'], [7, 'number'], [true, 'boolean'], [{}, 'an object'], [[], 'an array'], [() => 1, 'function'],
    [Symbol('s'), 'symbol'], [1n, 'bigint'], [new Uint16Array(2), 'an object'], [new DataView(new ArrayBuffer(2)), 'an object'],
    [new Uint8ClampedArray(2), 'an object'], [new Int8Array(2), 'an object']];
  for (const [value, got] of wrong) {
    throws(() => native.send(1, value), TypeError, TYPE, `send: "data" must be ${DATA}, got ${got}`);
    throws(() => native.sendToChannel('room', value), TypeError, TYPE, `sendToChannel: "data" must be ${DATA}, got ${got}`);
    throws(() => native.sendToChannel(value, 'x'), TypeError, TYPE, `sendToChannel: "channel" must be ${DATA}, got ${got}`);
    throws(() => native.subscribe(1, value), TypeError, TYPE, `subscribe: "channel" must be ${DATA}, got ${got}`);
    throws(() => native.setToken(1, value), TypeError, TYPE, `setToken: "token" must be ${DATA}, got ${got}`);
    throws(() => native.copySubscriptions('a', value), TypeError, TYPE, `copySubscriptions: "to" must be ${DATA}, got ${got}`);
    throws(() => native.hasSubscriptions(value), TypeError, TYPE, `hasSubscriptions: "channel" must be ${DATA}, got ${got}`);
    throws(() => native.subscribeMany(1, ['a', value]), TypeError, TYPE, `subscribeMany: "channels[1]" must be ${DATA}, got ${got}`);
  }
  for (const value of ['1', undefined, null, {}, 1n]) {
    const got = value === null ? 'null' : typeof value === 'object' ? 'an object' : typeof value;
    for (const [name, ...rest] of [['send', 'x'], ['subscribe', 'c'], ['unsubscribe', 'c'], ['setToken', 't'], ['getToken'], ['close'], ['terminate'], ['isOpen'],
      ['bufferedAmount'], ['isSubscribed', 'c'], ['getSubscriptions'], ['unsubscribeAll'], ['subscribeMany', []], ['tokenVersion']]) {
      throws(() => native[name](value, ...rest), TypeError, TYPE, `${name}: "socketId" must be a number, got ${got}`);
    }
  }
  throws(() => native.subscribeMany(1, 'abc'), TypeError, TYPE, 'subscribeMany: "channels" must be an array of strings, ArrayBuffers or Uint8Arrays, got string');
  throws(() => native.sendToChannel('c', 'x', 5), TypeError, TYPE, 'sendToChannel: "options" must be an object, got number');
  throws(() => native.sendToChannel('c', 'x', { exclude: 'x' }), TypeError, TYPE, 'sendToChannel: "options.exclude" must be a number or an array of numbers, got string');
  throws(() => native.sendToChannel('c', 'x', { exlude: 1 }), Error, 'ERR_WSBROKER_UNKNOWN_OPTION', 'sendToChannel: unknown option "exlude"; did you mean "exclude"?');
  throws(() => native.sendToChannel('c', 'x', { to: 1 }), Error, 'ERR_WSBROKER_UNKNOWN_OPTION', 'sendToChannel: unknown option "to"; known options: exclude, compress');
  throws(() => native.sendToChannel('c', 'x', { exclude: [1, '2'] }), TypeError, TYPE, 'sendToChannel: "options.exclude[1]" must be a number, got string');
  throws(() => native.sendToChannel('c', 'x', { compress: 1 }), TypeError, TYPE, 'sendToChannel: "options.compress" must be a boolean, got number');
  throws(() => native.send(1, 'x', 5), TypeError, TYPE, 'send: "options" must be an object, got number');
  throws(() => native.send(1, 'x', null), TypeError, TYPE, 'send: "options" must be an object, got null');
  throws(() => native.send(1, 'x', { compress: 'yes' }), TypeError, TYPE, 'send: "options.compress" must be a boolean, got string');
  throws(() => native.send(1, 'x', { compres: true }), Error, 'ERR_WSBROKER_UNKNOWN_OPTION', 'send: unknown option "compres"; did you mean "compress"?');
  throws(() => native.send(1, 'x', { exclude: 1 }), Error, 'ERR_WSBROKER_UNKNOWN_OPTION', 'send: unknown option "exclude"; known options: compress');
  native.send(1, 'x', undefined);
  native.send(1, 'x', { compress: undefined });
  native.sendToChannel('c', 'x', undefined);
  throws(() => native.close(1, '1000'), TypeError, TYPE, 'close: "code" must be a number, got string');
  throws(() => native.close(1, 1000, 5), TypeError, TYPE, 'close: "reason" must be a string, got number');
}

const ODD = [0, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 60, 999_999];

function nobody() {
  for (const id of ODD) {
    assert.equal(native.send(id, 'x'), 0);
    assert.equal(native.send(id, Buffer.from('x')), 0);
    assert.equal(native.subscribe(id, 'c'), false);
    assert.equal(native.unsubscribe(id, 'c'), false);
    assert.equal(native.subscribeMany(id, ['a', 'b']), 0);
    assert.equal(native.unsubscribeAll(id), 0);
    assert.equal(native.setToken(id, 't'), undefined);
    assert.equal(native.getToken(id), undefined);
    assert.equal(native.tokenVersion(id), 0);
    assert.equal(native.close(id), undefined);
    assert.equal(native.terminate(id), undefined);
    assert.equal(native.isOpen(id), false);
    assert.equal(native.bufferedAmount(id), 0);
    assert.equal(native.isSubscribed(id, 'c'), false);
    assert.deepEqual(native.getSubscriptions(id), []);
    assert.equal(native.sendToChannel('c', 'x', { exclude: id }), 0);
  }
  assert.equal(native.sendToChannel('c', 'x'), 0);
  assert.equal(native.subscriberCount('c'), 0);
  assert.deepEqual(native.getSubscribers('c'), []);
  assert.equal(native.hasSubscriptions('c'), false);
  assert.equal(native.closeChannel('c'), 0);
  assert.equal(native.copySubscriptions('a', 'b'), undefined);
}

test('without a broker: wrong types throw, everything else does nothing', () => {
  wrongTypes();
  nobody();
  assert.equal(native.connectionCount(), 0);
});

test('the functions have their names', () => {
  for (const [name, value] of Object.entries(native)) assert.equal(typeof value === 'function' && value.name, name);
});

const opened = [];
let server;

before(async () => {
  attach({ open: (id, request, slot) => { opened.push(id); native.openVerdict(slot, true); }, text: (id, text) => native.send(id, text) });
  server = await serve({ protocols: ['chat'] });
});

after(async () => {
  await native.shutdownBroker(1001, 2_000);
  native.detachWorker();
});

async function connect() {
  const socket = new WebSocket(server.url, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  socket.messages = [];
  socket.on('message', (data) => socket.messages.push(data.toString()));
  socket.closed = new Promise((resolve) => socket.on('close', (code, reason) => resolve([code, reason.toString()])));
  return [socket, opened.at(-1)];
}

/** What was sent before has arrived. */
async function settle(socket) {
  const mark = `mark ${Math.random()}`;
  await new Promise((resolve) => {
    socket.on('message', (data) => { if (data.toString() === mark) resolve(); });
    socket.send(mark);
  });
  return socket.messages.filter((message) => !message.startsWith('mark'));
}

test('with a broker the same arguments are wrong, and the same sockets gone', () => {
  wrongTypes();
  nobody();
});

test('channels: strings and bytes are the same names', async () => {
  const [socket, id] = await connect();
  assert.equal(native.subscribe(id, 'news'), true);
  assert.equal(native.subscribe(id, Buffer.from('news')), false);
  assert.equal(native.subscribe(id, new Uint8Array([0xff, 0])), true);
  assert.equal(native.isSubscribed(id, new TextEncoder().encode('news').buffer), true);
  assert.deepEqual(new Set(native.getSubscriptions(id).map(String)), new Set(['news', String(Buffer.from([0xff, 0]))]));
  assert.ok(native.getSubscriptions(id).some((name) => Buffer.isBuffer(name) && name.equals(Buffer.from([0xff, 0]))));
  assert.deepEqual([native.subscriberCount('news'), native.hasSubscriptions('news'), native.getSubscribers('news')], [1, true, [id]]);
  assert.equal(native.subscribeMany(id, ['a', 'b', 'news', Buffer.from('c')]), 3);
  assert.equal(native.unsubscribeMany(id, ['a', 'zzz']), 1);
  assert.equal(native.unsubscribeAll(id), 4);
  assert.equal(native.hasSubscriptions('news'), false);
  assert.equal(native.subscribe(id, ''), true);
  assert.equal(native.sendToChannel('', 'to the empty name'), 1);
  assert.deepEqual(await settle(socket), ['to the empty name']);
  socket.terminate();
});

test('sends, publishes and subscriptions of one turn take effect in call order', async () => {
  const [socket, id] = await connect();
  native.subscribe(id, 'r');
  native.send(id, '1');
  native.sendToChannel('r', '2');
  native.unsubscribe(id, 'r');
  native.sendToChannel('r', 'not this');
  native.subscribe(id, 'r');
  native.sendToChannel('r', '3');
  native.copySubscriptions('r', 's');
  native.sendToChannel('s', '4');
  native.send(id, '5');
  assert.deepEqual(await settle(socket), ['1', '2', '3', '4', '5']);
  socket.terminate();
});

test('exclude leaves out one or several', async () => {
  const [a, idA] = await connect();
  const [b, idB] = await connect();
  for (const id of [idA, idB]) native.subscribe(id, 'x');
  assert.equal(native.sendToChannel('x', 'b only', { exclude: idA }), 2);
  assert.equal(native.sendToChannel('x', 'nobody', { exclude: [idA, idB, 0, NaN, 1e9] }), 2);
  assert.equal(native.sendToChannel('x', 'both', { exclude: [], compress: true }), 2);
  assert.equal(native.sendToChannel('x', 'both again', { exclude: undefined }), 2);
  assert.deepEqual(await settle(a), ['both', 'both again']);
  assert.deepEqual(await settle(b), ['b only', 'both', 'both again']);
  a.terminate();
  b.terminate();
});

test('a getter among the options may send', async () => {
  const [socket, id] = await connect();
  native.subscribe(id, 'x');
  const options = { get exclude() { native.send(id, 'from the getter'); return []; } };
  native.sendToChannel('x', 'from outside', options);
  assert.deepEqual(await settle(socket), ['from the getter', 'from outside']);
  const broken = { get exclude() { throw new RangeError('mine'); } };
  assert.throws(() => native.sendToChannel('x', 'never', broken), { name: 'RangeError', message: 'mine' });
  socket.terminate();
});

test('a detached ArrayBuffer is refused, not taken for an empty one', () => {
  const buffer = new ArrayBuffer(8);
  const view = new Uint8Array(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  const message = 'send: "data" must be a string, ArrayBuffer or Uint8Array, got one whose ArrayBuffer is detached';
  throws(() => native.send(opened[0], buffer), TypeError, TYPE, message);
  throws(() => native.send(opened[0], view), TypeError, TYPE, message);
});

test('close codes and reasons: what may stand on the wire', async () => {
  const expected = 'a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)';
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, -1, 65_536 + 1000, NaN]) {
    throws(() => native.close(1, code), RangeError, VALUE, `close: "code" must be ${expected}, got ${code}`);
    throws(() => native.closeChannel('c', code), RangeError, VALUE, `closeChannel: "code" must be ${expected}, got ${code}`);
  }
  throws(() => native.close(1, 1000, 'é'.repeat(62)), RangeError, VALUE, 'close: "reason" must be at most 123 bytes long in UTF-8, got 124 bytes');
  const reason = `${'é'.repeat(61)}x`;
  for (const [args, told] of [[[], [1000, '']], [[4000], [4000, '']], [[1001, reason], [1001, reason]], [[undefined, 'why'], [1000, 'why']], [[3000, '\ud800'], [3000, '\ufffd']]]) {
    const [socket, id] = await connect();
    native.close(id, ...args);
    assert.deepEqual(await socket.closed, told);
  }
  const [socket, id] = await connect();
  native.subscribe(id, 'gone');
  assert.equal(native.closeChannel('gone', 4001, 'all'), 1);
  assert.deepEqual(await socket.closed, [4001, 'all']);
  const [cut, cutId] = await connect();
  native.terminate(cutId);
  assert.deepEqual(await cut.closed, [1006, '']);
});

test('tokens: bytes and text, and gone with the socket', async () => {
  const [socket, id] = await connect();
  assert.equal(native.tokenVersion(id), 0);
  native.setToken(id, Buffer.from([1, 2, 3]));
  assert.deepEqual(native.getToken(id), Buffer.from([1, 2, 3]));
  const version = native.tokenVersion(id);
  assert.ok(version > 0);
  native.setToken(id, '{"a":"é"}');
  assert.deepEqual(JSON.parse(native.getToken(id)), { a: 'é' });
  assert.notEqual(native.tokenVersion(id), version);
  native.setToken(id, '');
  assert.deepEqual(native.getToken(id), Buffer.alloc(0));
  native.getToken(id).fill(0);
  socket.terminate();
});

test('an id is open until it is closed; its bytes are counted', async () => {
  const [socket, id] = await connect();
  assert.equal(native.isOpen(id), true);
  const before = native.connectionCount();
  assert.ok(before >= 1);
  assert.equal(native.send(id, 'x'.repeat(1_000)), 1);
  assert.ok(native.bufferedAmount(id) >= 1_000);
  native.close(id);
  await socket.closed;
  const deadline = Date.now() + 5_000;
  while (native.connectionCount() === before && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(native.connectionCount(), before - 1);
  assert.equal(native.isOpen(id), false);
  assert.equal(native.send(id, 'late'), 0);
});

test('internal functions say what is wrong too', () => {
  throws(() => native.attachWorker('1', () => 1, () => 1, true), TypeError, TYPE, 'attachWorker: "mask" must be a number, got string');
  throws(() => native.attachWorker(1, 5, () => 1, true), TypeError, TYPE, 'attachWorker: "dispatch" must be a function, got number');
  throws(() => native.init('x'), TypeError, TYPE, 'init: "scheduleFlush" must be a function, got string');
  throws(() => native.openVerdict(0, 'yes'), TypeError, TYPE, 'openVerdict: "accepted" must be a boolean, got string');
  assert.equal(native.openVerdict(12_345, true), false);
  assert.equal(native.slotToken(12_345), undefined);
  assert.equal(native.copyToken(12_345, new Uint8Array(1)), -1);
});
