// Encrypted ports: handshakes that are not valid, that are slow, and records that are broken.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';

import { authority } from '../e2e/certificates.mjs';
import { until } from '../e2e/harness.mjs';
import { BINARY, closeFrame, frame, PING, PONG, request, TEXT } from '../e2e/raw.mjs';
import { many, MiB, site, sized } from './kit.mjs';

const { cert, key } = authority().issue('localhost', { names: ['localhost', '127.0.0.1'] });
const HANDSHAKE = sized(500, 5000);
const TIMES = sized(8, 100);
const CROWD = sized(50, 500);

/** What a TLS client says first. */
async function clientHello(options = {}) {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({ port: server.address().port, host: '127.0.0.1', ...options }).on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [hello] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

const HELLO = await clientHello();
const record = (type, body, length = body.length) => Buffer.concat([Buffer.from([type, 3, 3, length >> 8, length & 255]), body]);

const GARBAGE = [
  ['zeros', Buffer.alloc(500)],
  ['noise', Buffer.from(Array.from({ length: 500 }, (_, n) => (n * 7919 + 13) & 255))],
  ['a record of 65,535 bytes', record(22, Buffer.alloc(1000), 65_535)],
  ['an empty handshake record', record(22, Buffer.alloc(0))],
  ['application data before the handshake', record(23, Buffer.from('hello'))],
  ['a change of cipher before the handshake', Buffer.concat(Array.from({ length: 50 }, () => record(20, Buffer.from([1]))))],
  ['a fatal alert', record(21, Buffer.from([2, 40]))],
  ['an unknown type of record', record(99, Buffer.alloc(10))],
  ['a heartbeat', record(24, Buffer.from([1, 0x40, 0]))],
  ['a hello of version 2 of SSL', Buffer.from('802e0100020015000000100100800200800300800400800500800600400700c0' + '00'.repeat(16), 'hex')],
  ['a hello with a length that lies', Buffer.concat([HELLO.subarray(0, 6), Buffer.from([0xff, 0xff, 0xff]), HELLO.subarray(9)])],
  ['a hello with its middle zeroed', Buffer.concat([HELLO.subarray(0, 60), Buffer.alloc(HELLO.length - 60)])],
  ['a hello that is a server\'s', Buffer.concat([HELLO.subarray(0, 5), Buffer.from([2]), HELLO.subarray(6)])],
  ['a WebSocket frame', frame(TEXT, 'hello')],
];

site('encrypted ports', { options: { tls: { cert, key }, handshakeTimeout: HANDSHAKE, maxBackpressure: 256 << 10, closeTimeout: 500 } }, (attack) => {
  const none = { opens: 0, closes: {} };
  const late = { rejected: { handshakeTimeout: CROWD }, closes: {} };
  const secure = (place, more) => place.open({ secure: {}, ...more });

  for (const [what, bytes] of GARBAGE) {
    attack(
      `${what} ends the connection, without a word of HTTP`,
      (place) =>
        many(TIMES, 8, async () => {
          const one = await place.tcp();
          one.write(bytes);
          // Some of it is a beginning of which the rest does not come.
          await one.end(HANDSHAKE + 3000);
          assert.equal(one.bytes.includes('HTTP'), false);
          assert.ok(one.bytes.length < 100, `${one.bytes.length} bytes`);
        }),
      { expect: none },
    );
  }

  attack(
    'plain HTTP is answered with 400',
    (place) => many(TIMES, 8, async () => assert.equal((await place.say(request())).status, 400)),
    { expect: none, counts: { rejected: { tls: TIMES } } },
  );

  attack(
    'only old versions of TLS are refused by an alert',
    (place) =>
      many(TIMES, 8, async () => {
        await assert.rejects(place.tcp({ secure: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } }));
      }),
    { expect: none, counts: { rejected: { tls: TIMES } } },
  );

  const slowly = (talk) => async (place) => {
    const began = Date.now();
    await many(CROWD, CROWD, async (n) => {
      const one = await talk(place, n);
      await one.end(HANDSHAKE + 5000);
      assert.ok([undefined, 408].includes(one.status), one.head);
    });
    const took = Date.now() - began;
    assert.ok(took >= HANDSHAKE - 50 && took < HANDSHAKE + 5000, `${took} ms`);
  };
  const drip = async (one, pieces, pause) => {
    for (const piece of pieces) {
      if (one.ended) return one;
      one.socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    return one;
  };
  attack('silence is cut by handshakeTimeout', slowly((place) => place.tcp()), { expect: none, counts: late });
  attack('a hello byte by byte is cut by handshakeTimeout', slowly(async (place) => drip(await place.tcp(), Array.from(HELLO.subarray(0, 100), (byte) => Buffer.from([byte])), 20)), { expect: none, counts: late });
  attack('a hello with nothing behind it is cut by handshakeTimeout', slowly(async (place) => (await place.tcp()).write(HELLO)), { expect: none, counts: late });
  attack(
    'the deadline is one for the handshake and the request behind it',
    slowly(async (place) => {
      const one = await place.tcp({ secure: {} });
      return drip(one, (function* () { yield 'GET / HTTP/1.1\r\n'; for (;;) yield 'X: y\r\n'; })(), 40);
    }),
    { expect: none, counts: late },
  );

  attack(
    'handshakes by the hundred delay nobody else',
    (place) => many(sized(100, 3000), 50, async () => (await place.tcp({ secure: {} })).destroy()),
    { expect: none, tolerance: 6 * MiB },
  );

  attack(
    'hellos by the hundred, reset at once',
    (place) =>
      many(sized(150, 5000), 50, async () => {
        const one = await place.tcp();
        one.write(HELLO);
        await new Promise((resolve) => setImmediate(resolve));
        one.reset();
      }),
    { expect: none },
  );

  attack(
    'everything in one go: hello, request and frames',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await secure(place, { behind: Buffer.concat([frame(PING, 'p'), frame(TEXT, 'hello')]) });
        assert.equal((await one.frame(TEXT)).text, 'hello');
        assert.equal((await one.frame(PONG)).text, 'p');
      }),
    { expect: { opens: TIMES, texts: TIMES } },
  );

  attack(
    'frames in records of a byte each are whole',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await secure(place);
        for (const byte of frame(TEXT, 'byte by byte '.repeat(20))) one.write(Buffer.from([byte]));
        assert.equal((await one.frame(TEXT)).text, 'byte by byte '.repeat(20));
      }),
    { expect: { opens: TIMES, texts: TIMES } },
  );

  attack(
    'a malformed frame is closed with its code',
    (place) => many(TIMES, 8, () => place.closedWith(1002, frame(3, 'x'), { secure: {} })),
    { expect: { opens: TIMES, closes: { 1002: TIMES } }, counts: { closes: { protocol: TIMES } } },
  );

  /** An encrypted connection over one that can be misused `beneath`. */
  const bare = async (place) => {
    const socket = net.connect({ port: place.server.port, host: '127.0.0.1' });
    const one = await place.tcp({ secure: { socket } });
    one.beneath = socket;
    return one;
  };
  const opened = async (place) => {
    const one = await bare(place);
    one.write(request());
    assert.equal(await one.answer(), 101);
    return one;
  };
  for (const [what, bytes] of [
    ['a broken record', record(23, Buffer.alloc(100, 7))],
    ['plain text', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a plain WebSocket frame', frame(TEXT, 'hello')],
    ['a second hello', HELLO],
  ]) {
    attack(
      `${what} in an open connection ends it`,
      (place) =>
        many(TIMES, 8, async () => {
          const one = await opened(place);
          one.beneath.write(bytes);
          await one.end();
        }),
      { expect: { opens: TIMES, texts: 0, closes: { 1006: TIMES } } },
    );
  }

  attack(
    'renegotiation is not spoken',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await place.tcp({ secure: { maxVersion: 'TLSv1.2' } });
        one.write(request());
        assert.equal(await one.answer(), 101);
        // No answer is an answer, too: OpenSSL waits for one.
        const answer = new Promise((resolve) => one.socket.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error ? 'refused' : 'done')));
        assert.notEqual(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200))]), 'done');
        one.destroy();
      }),
    { expect: { opens: TIMES } },
  );

  for (const [what, how] of [
    ['before the handshake is done', async (place) => { const one = await place.tcp(); one.write(HELLO.subarray(0, 50)); await new Promise((resolve) => setImmediate(resolve)); one.reset(); }],
    ['behind the handshake', async (place) => (await bare(place)).beneath.resetAndDestroy()],
    ['when it is open', async (place) => (await opened(place)).beneath.resetAndDestroy()],
    ['within a record', async (place) => { const one = await opened(place); one.beneath.write(record(23, Buffer.alloc(10), 5000)); await new Promise((resolve) => setImmediate(resolve)); one.beneath.resetAndDestroy(); }],
    ['by a close_notify alone', async (place) => { const one = await secure(place); one.socket.end(); await one.end(); }],
  ]) {
    attack(`reset ${what}`, (place) => many(TIMES, 8, () => how(place)));
  }

  attack(
    'an echo that is not read: at maxBackpressure 1013',
    async (place) => {
      const one = await secure(place, { target: '/subscribe' });
      one.stopReading();
      await until(async () => {
        await place.server.main((wsb) => void wsb.sendToChannel('news', 'x'.repeat(100_000)));
        return (await place.server.main((wsb) => wsb.subscriberCount('news'))) === 0;
      }, 'the connection to be closed', 30_000);
    },
    { expect: { opens: 1, closes: { 1013: 1 } }, counts: { closes: { maxBackpressure: 1 } }, most: 16 * MiB, tolerance: 6 * MiB },
  );

  attack(
    'closing handshakes are kept to',
    (place) => many(TIMES, 8, () => place.closedWith(4001, closeFrame(4001, 'bye'), { secure: {} })),
    { expect: { opens: TIMES, closes: { 4001: TIMES } }, counts: { closes: { peer: TIMES } } },
  );

  attack(
    'a flood of large messages is echoed whole',
    async (place) => {
      const one = await secure(place);
      for (let n = 0; n < 50; n++) {
        one.write(frame(BINARY, Buffer.alloc(100_000, n)));
        assert.ok((await one.frame(BINARY, n)).payload.every((byte) => byte === n));
      }
      one.destroy();
    },
    { expect: { opens: 1, binaries: 50 }, most: 16 * MiB, tolerance: 6 * MiB },
  );
});
