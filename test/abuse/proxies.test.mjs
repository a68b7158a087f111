// The PROXY protocol on a port that wants it: headers that are not valid, that are late, or that lie about their length.
import assert from 'node:assert/strict';

import { frame, PING, request, TEXT } from '../e2e/raw.mjs';
import { many, site, sized } from './kit.mjs';

const V1 = 'PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n';
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** A header of version 2: the byte of version and command, the byte of family and protocol, what follows, and its length as told. */
function v2(command, family, body, length = body.length) {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 255]), body]);
}
const ADDRESSES = Buffer.from([192, 0, 2, 1, 192, 0, 2, 2, 0x9c, 0x40, 1, 0xbb]);

const BAD = [
  ['no header at all', request()],
  ['a TLS hello', Buffer.from('16030100f5010000f10303' + '5a'.repeat(240), 'hex')],
  ['PROXY and nothing else', 'PROXY\r\nGET / HTTP'],
  ['small letters', V1.toLowerCase() + request()],
  ['a family that there is not', V1.replace('TCP4', 'TCP5') + request()],
  ['UDP', V1.replace('TCP4', 'UDP4') + request()],
  ['an IPv6 address as IPv4', V1.replace('192.0.2.1', '2001:db8::1') + request()],
  ['an IPv4 address as IPv6', V1.replace('TCP4', 'TCP6') + request()],
  ['an invalid address', V1.replace('192.0.2.1', '192.0.2.256') + request()],
  ['an address with leading zeros', V1.replace('192.0.2.1', '192.000.002.001') + request()],
  ['a name instead of an address', V1.replace('192.0.2.1', 'localhost') + request()],
  ['a port above 65,535', V1.replace('40000', '65536') + request()],
  ['a port with a sign', V1.replace('40000', '+4000') + request()],
  ['a port with leading zeros', V1.replace('40000', '00400') + request()],
  ['a port too few', V1.replace(' 443', '') + request()],
  ['a word too many', V1.replace(' 443', ' 443 x') + request()],
  ['two spaces', V1.replace('TCP4 ', 'TCP4  ') + request()],
  ['a tab', V1.replace('TCP4 ', 'TCP4\t') + request()],
  ['a bare LF', V1.replace('\r\n', '\n') + request()],
  ['a bare CR', V1.replace('\r\n', '\r') + request()],
  ['a NUL', V1.replace('443', '443\0') + request()],
  ['a line that does not end', `PROXY UNKNOWN ${'x'.repeat(200)}`],
  ['version 3', v2(0x31, 0x11, ADDRESSES)],
  ['version 1 in binary', v2(0x11, 0x11, ADDRESSES)],
  ['a command that there is not', v2(0x22, 0x11, ADDRESSES)],
  ['a binary family that there is not', v2(0x21, 0x41, ADDRESSES)],
  ['a protocol that there is not', v2(0x21, 0x13, ADDRESSES)],
  ['no room for the addresses', Buffer.concat([v2(0x21, 0x11, ADDRESSES.subarray(0, 11)), Buffer.from(request())])],
  ['no room for the addresses of IPv6', Buffer.concat([v2(0x21, 0x21, ADDRESSES), Buffer.from(request())])],
  ['no addresses', Buffer.concat([v2(0x21, 0x11, Buffer.alloc(0)), Buffer.from(request())])],
  ['65,535 bytes announced', Buffer.concat([v2(0x21, 0x11, ADDRESSES, 65_535), Buffer.alloc(70_000)])],
  ['half a signature', Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from(request())])],
];

const TIMES = sized(8, 200);
const HANDSHAKE = sized(400, 3000);

site('PROXY headers', { options: { proxyProtocol: true, handshakeTimeout: HANDSHAKE }, aside: true }, (attack) => {
  for (const [what, bytes] of BAD) {
    attack(
      `${what}: cut without a word`,
      (place) =>
        many(TIMES, 8, async () => {
          const began = Date.now();
          const one = await place.tcp();
          one.write(bytes);
          await one.end();
          assert.equal(one.status, undefined, one.head);
          assert.equal(one.bytes.length, 0);
          assert.ok(Date.now() - began < HANDSHAKE, 'as soon as it is known, not by the deadline');
        }),
      { expect: { opens: 0, closes: {} }, counts: { rejected: { proxyProtocol: TIMES } } },
    );
  }

  const slowly = (pieces, pause) => async (place) => {
    const began = Date.now();
    await many(50, 50, async () => {
      const one = await place.tcp();
      for (const piece of pieces()) {
        if (one.ended) break;
        one.write(piece);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
      await one.end();
      assert.equal(one.status, undefined, one.head);
    });
    const took = Date.now() - began;
    assert.ok(took >= HANDSHAKE - 50 && took < HANDSHAKE + 5000, `${took} ms`);
  };
  const none = { opens: 0, closes: {} };
  const late = { rejected: { handshakeTimeout: 50 } };
  attack('silence is cut by handshakeTimeout', slowly(() => [], 0), { expect: none, counts: late });
  attack('a header byte by byte is cut by handshakeTimeout', slowly(function* () { yield* V1.slice(0, 30); }, 30), { expect: none, counts: late });
  attack('a binary header that never ends is cut by handshakeTimeout', slowly(function* () { yield v2(0x21, 0x11, ADDRESSES, 4000); for (;;) yield 'x'; }, 20), { expect: none, counts: late });
  attack(
    'the deadline is one for the header and the request behind it',
    slowly(function* () { yield* [...V1.match(/.{1,8}/gs)]; yield 'GET / HTTP/1.1\r\n'; for (;;) yield 'X: y\r\n'; }, 40),
    { expect: none, counts: late },
  );

  attack(
    'two headers: the second is no request, 400',
    (place) => many(TIMES, 8, async () => assert.equal((await place.say(V1 + V1 + request())).status, 400)),
    { expect: none },
  );

  attack(
    'reset within the header',
    (place) =>
      many(TIMES * 5, 8, async (n) => {
        const one = await place.tcp();
        one.write(n % 2 ? V1.slice(0, 20) : v2(0x21, 0x11, ADDRESSES).subarray(0, 20));
        await new Promise((resolve) => setImmediate(resolve));
        one.reset();
      }),
    { expect: none },
  );

  const GOOD = [V1, 'PROXY UNKNOWN\r\n', `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`, 'PROXY TCP6 2001:db8::1 ::1 1 65535\r\n', v2(0x20, 0, Buffer.alloc(0)), v2(0x21, 0x11, ADDRESSES),
    v2(0x21, 0x11, Buffer.concat([ADDRESSES, Buffer.alloc(1000)])), v2(0x21, 0x31, Buffer.alloc(216)), v2(0x21, 0, Buffer.alloc(5))];
  attack(
    'good ones are taken, with a request and frames right behind them',
    (place) =>
      many(GOOD.length * 3, 8, async (n) => {
        const one = await place.tcp();
        one.write(Buffer.concat([Buffer.from(GOOD[n % GOOD.length]), Buffer.from(request()), frame(PING), frame(TEXT, 'hello')]));
        assert.equal(await one.answer(), 101, `${GOOD[n % GOOD.length]}`);
        assert.equal((await one.frame(TEXT)).text, 'hello');
      }),
    { expect: { opens: GOOD.length * 3, texts: GOOD.length * 3 } },
  );

  attack(
    'good ones that come byte by byte, too',
    (place) =>
      many(GOOD.length, 9, async (n) => {
        const one = await place.tcp();
        one.socket.setNoDelay(true);
        for (const byte of Buffer.from(GOOD[n]).subarray(0, 120)) {
          one.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        one.write(Buffer.from(GOOD[n]).subarray(120));
        one.write(request());
        assert.equal(await one.answer(), 101);
      }),
    { expect: { opens: GOOD.length } },
  );
});
