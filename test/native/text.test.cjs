'use strict';
// What goes in comes out: every kind of payload, both ways, at every size near the edges of our buffers.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const WebSocket = require('ws');

const { native, attach, serve } = require('./addon.cjs');

let server;
let client;
/** What the server's handlers got. */
const received = [];
let answer = (id, value) => native.send(id, value);

before(async () => {
  attach({
    text: (id, text) => { received.push(text); answer(id, text); },
    binary: (id, bytes) => { received.push(bytes); answer(id, bytes); },
  });
  server = await serve();
  client = await connect();
});

after(async () => {
  client.terminate();
  await native.shutdownBroker(1001, 2_000);
  native.detachWorker();
});

async function connect() {
  const socket = new WebSocket(server.url, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  return socket;
}

/** The next message. ws checks that text is UTF-8 and closes with 1007 if not, which fails the test. */
function next(socket = client) {
  return new Promise((resolve, reject) => {
    socket.once('message', (data, binary) => resolve(binary ? data : data.toString()));
    socket.once('close', (code) => reject(new Error(`closed with ${code}`)));
  });
}

async function echo(message) {
  const arrived = next();
  client.send(message);
  return arrived;
}

test('text of every alphabet comes back as it was', async () => {
  const samples = ['', 'a', 'plain', 'grüße', 'ÿ', 'Ā', 'κόσμε', '日本語', '🎉', 'a🎉b', '\0', '\ufeffbom', '\u{10ffff}', '﷽', 'e\u0301'];
  for (const text of samples) {
    assert.equal(await echo(text), text);
    assert.equal(received.at(-1), text);
  }
});

test('text of every length near a power of two comes back, whatever its characters', async () => {
  for (const character of ['x', 'é', '語', '🎉']) {
    for (const near of [16, 64, 128, 1024, 2048, 4096, 16_384, 65_536]) {
      for (let length = near - 5; length <= near + 5; length++) {
        const text = character.repeat(Math.ceil(length / Buffer.byteLength(character))) + 'x'.repeat(length % 4);
        assert.equal(await echo(text), text, `${length} of ${character}`);
      }
    }
  }
});

test('many texts in a row fill the buffer to every offset', async () => {
  const texts = Array.from({ length: 3_000 }, (_, i) => '🎉é語x'.repeat(1 + (i * 7) % 97) + i);
  const back = [];
  const all = new Promise((resolve) => {
    const collect = (data) => {
      back.push(data.toString());
      if (back.length === texts.length) {
        client.off('message', collect);
        resolve();
      }
    };
    client.on('message', collect);
  });
  for (const text of texts) client.send(text);
  await all;
  assert.deepEqual(back, texts);
});

test('a lone surrogate becomes U+FFFD, never invalid UTF-8', async () => {
  const samples = [
    ['\ud800', '\ufffd'], ['\udc00', '\ufffd'], ['a\ud83cb', 'a\ufffdb'], ['\udf89\ud83c', '\ufffd\ufffd'], ['\ud83c\ud83c\udf89', '\ufffd🎉'],
    [`${'x'.repeat(5_000)}\ud83c`, `${'x'.repeat(5_000)}\ufffd`], ['\ud800'.repeat(700), '\ufffd'.repeat(700)],
  ];
  for (const [text, expected] of samples) {
    answer = (id) => native.send(id, text);
    assert.equal(await echo('say it'), expected);
    answer = (id) => {
      native.subscribe(id, `room ${text}`);
      native.sendToChannel(`room ${text}`, text);
      native.unsubscribe(id, `room ${text}`);
    };
    assert.equal(await echo('say it'), expected);
  }
  answer = (id, value) => native.send(id, value);
});

test('surrogates at every place of a filling buffer are replaced too', async () => {
  // Alone among many, so that the end of the buffer falls right before, into and behind them.
  const texts = Array.from({ length: 1_100 }, (_, i) => `${'y'.repeat(i)}\ud83c`);
  let count = 0;
  const all = new Promise((resolve, reject) => {
    const collect = (data) => {
      const i = count++;
      if (data.toString() !== `${'y'.repeat(i)}\ufffd`) reject(new Error(`the ${i}th is wrong`));
      if (count === texts.length) {
        client.off('message', collect);
        resolve();
      }
    };
    client.on('message', collect);
    client.once('close', (code) => reject(new Error(`closed with ${code}`)));
  });
  answer = (id) => texts.forEach((text) => native.send(id, text));
  client.send('all of them');
  await all;
  answer = (id, value) => native.send(id, value);
});

test('what a string becomes is exactly its UTF-8, wherever the buffer ends', async () => {
  // A token is read as any string is, and can be looked at here; a client could not tell invalid UTF-8 from what its runtime makes of it.
  let id;
  answer = (socketId, value) => { id = socketId; native.send(socketId, value); };
  await echo('who am I');
  const endings = ['', 'é', '語', '🎉', '\ud83c', '\udf89', '\ud83c\ud83c', '🎉\ud83c', '\udf89🎉'];
  for (let length = 980; length < 1_060; length++) {
    for (const ending of endings) {
      const text = 'x'.repeat(length) + ending;
      native.setToken(id, text);
      assert.deepEqual(native.getToken(id), Buffer.from(text), `${length} and ${JSON.stringify(ending)}`);
    }
  }
  let seed = 1;
  const random = (below) => (seed = (seed * 48_271) % 0x7fffffff) % below;
  for (let i = 0; i < 3_000; i++) {
    const units = Array.from({ length: random(400) }, () => [random(128), random(0x800), 0xd800 + random(0x800), random(0x10000)][random(4)]);
    const text = String.fromCharCode(...units);
    native.setToken(id, text);
    assert.deepEqual(native.getToken(id), Buffer.from(text));
  }
});

test('bytes of every length near the limits of sharing come back, and belong to the handler', async () => {
  const mark = received.length;
  const sent = [];
  for (const near of [0, 8, 64, 1024, 2048, 4096, 65_536, 1 << 20]) {
    for (let length = Math.max(0, near - 2); length <= near + 2; length++) {
      const bytes = Buffer.alloc(length, length % 251);
      sent.push(bytes);
      assert.deepEqual(await echo(bytes), bytes, `${length} bytes`);
    }
  }
  // Kept by the "handler", and still what they were.
  assert.deepEqual(received.slice(mark), sent);
});

test('payloads that share a buffer do not touch each other', async () => {
  const mark = received.length;
  for (let i = 0; i < 500; i++) client.send(Buffer.alloc(i % 40, i % 200));
  answer = (id, bytes) => {
    const before = Buffer.from(bytes);
    bytes.fill(0xee);
    native.send(id, before);
  };
  const all = [];
  await new Promise((resolve) => {
    const collect = (data) => {
      all.push(data);
      if (all.length === 500) {
        client.off('message', collect);
        resolve();
      }
    };
    client.on('message', collect);
  });
  all.forEach((bytes, i) => assert.deepEqual(bytes, Buffer.alloc(i % 40, i % 200), `the ${i}th`));
  assert.ok(received.slice(mark).every((bytes) => bytes.every((byte) => byte === 0xee)));
  answer = (id, value) => native.send(id, value);
});

test('1 MiB of text and of bytes', async () => {
  const text = 'Größe🎉'.repeat((1 << 20) / 11);
  assert.equal(await echo(text), text);
  const bytes = Buffer.from(text);
  assert.deepEqual(await echo(bytes), bytes);
});

test('ArrayBuffer, Uint8Array and parts of them are sent as they are, whatever their offset', async () => {
  const whole = new Uint8Array(64).map((_, i) => i);
  const samples = [
    [whole, whole], [whole.buffer, whole], [whole.subarray(3, 9), whole.subarray(3, 9)], [Buffer.from('abc'), Buffer.from('abc')],
    [new Uint8Array(0), Buffer.alloc(0)], [new ArrayBuffer(0), Buffer.alloc(0)], [whole.subarray(5, 5), Buffer.alloc(0)],
  ];
  for (const [value, expected] of samples) {
    answer = (id) => native.send(id, value);
    assert.deepEqual(await echo('send it'), Buffer.from(expected));
  }
  answer = (id, value) => native.send(id, value);
});
