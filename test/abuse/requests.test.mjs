// Requests that are not valid, or that a proxy before us could read in another way than we do.
import assert from 'node:assert/strict';

import { frame, PING, PONG, request, TEXT } from '../e2e/raw.mjs';
import { many, MiB, site, sized } from './kit.mjs';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
/** The lines of a good request, with others at the end, and changed by a function. */
const lines = (more = [], change = (all) => all) =>
  change([
    'GET / HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${KEY}`, ...more,
  ]).join('\r\n') + '\r\n\r\n';
const withLine = (from, to) => lines([], (all) => all.map((line) => (line.startsWith(from) ? to : line)));
const without = (from) => lines([], (all) => all.filter((line) => !line.startsWith(from)));

/** What a request that hides in the body of another would be. */
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n';

const REFUSED = [
  // Two ways to see where the request ends.
  ['a Content-Length', 400, lines([`Content-Length: ${HIDDEN.length}`]) + HIDDEN],
  ['a Content-Length and a Transfer-Encoding', 400, lines(['Content-Length: 6', 'Transfer-Encoding: chunked']) + '0\r\n\r\nG'],
  ['a Transfer-Encoding and a Content-Length', 400, lines(['Transfer-Encoding: chunked', 'Content-Length: 6']) + '0\r\n\r\nG'],
  ['Transfer-Encoding: chunked', 400, lines(['Transfer-Encoding: chunked']) + `0\r\n\r\n${HIDDEN}`],
  ['Transfer-Encoding: xchunked', 400, lines(['Transfer-Encoding: xchunked']) + `0\r\n\r\n${HIDDEN}`],
  ['a Transfer-Encoding with a tab', 400, lines(['Transfer-Encoding:\tchunked']) + `0\r\n\r\n${HIDDEN}`],
  ['a doubled Transfer-Encoding', 400, lines(['Transfer-Encoding: identity', 'Transfer-Encoding: chunked']) + '0\r\n\r\n'],
  ['two Content-Length headers that differ', 400, lines(['Content-Length: 0', 'Content-Length: 5']) + 'GET /'],
  ['a list of Content-Lengths', 400, lines(['Content-Length: 0, 5']) + 'GET /'],
  ['a Content-Length with a sign', 400, lines(['Content-Length: +5']) + 'GET /'],
  ['a Content-Length in hexadecimal', 400, lines(['Content-Length: 0x5']) + 'GET /'],
  ['an empty Content-Length', 400, lines(['Content-Length:']) + 'GET /'],
  // Lines that some join and some split.
  ['a folded header', 400, lines(['X-A: b', ' Transfer-Encoding: chunked'])],
  ['a header folded with a tab', 400, lines(['X-A: b', '\tTransfer-Encoding: chunked'])],
  ['a space before a colon', 400, lines(['Transfer-Encoding : chunked'])],
  ['a tab before a colon', 400, lines(['Content-Length\t: 5'])],
  ['a space before the first header', 400, withLine('Host', ' Host: localhost')],
  ['a bare LF', 400, lines(['X-A: b\nTransfer-Encoding: chunked'])],
  ['bare LFs only', 400, lines().replaceAll('\r\n', '\n')],
  ['a bare CR', 400, lines(['X-A: b\rTransfer-Encoding: chunked'])],
  ['a bare CR at the end of a line', 400, lines(['X-A: b\r\r'])],
  ['a NUL in a value', 400, lines(['X-A: b\0c'])],
  ['a NUL in a name', 400, lines(['X-\0A: b'])],
  ['a header without a colon', 400, lines(['nonsense'])],
  ['a header without a name', 400, lines([': chunked'])],
  ['a name that is no token', 400, lines(['X(A): b'])],
  ['a name in UTF-8', 400, lines(['X-Ä: b'])],
  // Whose request it is.
  ['no Host', 400, without('Host')],
  ['two Hosts', 400, lines(['Host: elsewhere'])],
  ['the same Host twice', 400, lines(['Host: localhost'])],
  ['a Host with a space', 400, withLine('Host', 'Host: a b')],
  ['a Host that joins two', 400, withLine('Host', 'Host: a, b')],
  ['a Host with a path', 400, withLine('Host', 'Host: a/b')],
  ['a Host with a user', 400, withLine('Host', 'Host: a@b')],
  ['a Host that is a URL', 400, withLine('Host', 'Host: http://a')],
  ['a Host with an invalid port', 400, withLine('Host', 'Host: a:8o')],
  ['a target in absolute form without a host', 400, withLine('GET', 'GET http://:80/ HTTP/1.1')],
  ['the target * of a GET', 400, withLine('GET', 'GET * HTTP/1.1')],
  ['a target in absolute form with a user', 400, withLine('GET', 'GET http://localhost@elsewhere/ HTTP/1.1')],
  ['a target without a slash', 400, withLine('GET', 'GET x HTTP/1.1')],
  ['a target with a fragment', 400, withLine('GET', 'GET /#x HTTP/1.1')],
  ['a target with a space', 400, withLine('GET', 'GET /a b HTTP/1.1')],
  ['a request line with a tab', 400, withLine('GET', 'GET\t/ HTTP/1.1')],
  ['a request line with two spaces', 400, withLine('GET', 'GET  / HTTP/1.1')],
  ['a CONNECT', 400, withLine('GET', 'CONNECT localhost:80 HTTP/1.1')],
  ['a method that is no token', 400, withLine('GET', 'G@T / HTTP/1.1')],
  ['a NUL in the target', 400, withLine('GET', 'GET /\0 HTTP/1.1')],
  // Other protocols.
  ['HTTP/1.0', 426, withLine('GET', 'GET / HTTP/1.0')],
  ['HTTP/0.9', 400, 'GET /\r\n\r\n'],
  ['the preface of HTTP/2', 505, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'],
  ['HTTP/1.2', 505, withLine('GET', 'GET / HTTP/1.2')],
  ['http in small letters', 400, withLine('GET', 'GET / http/1.1')],
  ['an upgrade to h2c', 426, withLine('Upgrade', 'Upgrade: h2c')],
  ['a TLS hello', 400, Buffer.from('16030100f5010000f10303' + '5a'.repeat(240), 'hex')],
  ['a PROXY line that nobody asked for', 400, `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n${lines()}`],
  ['a binary PROXY header that nobody asked for', 400, Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a2111000c0a0000010a00000200010002', 'hex'), Buffer.from(lines())])],
  ['zeros', 400, Buffer.alloc(1000)],
  ['a WebSocket frame before the request', 400, Buffer.concat([frame(TEXT, 'hello'), Buffer.from(lines())])],
  // The handshake itself.
  ['no Upgrade', 426, without('Upgrade')],
  ['no Connection', 400, without('Connection')],
  ['a Connection without Upgrade', 400, withLine('Connection', 'Connection: keep-alive')],
  ['no version', 426, without('Sec-WebSocket-Version')],
  ['version 12', 426, withLine('Sec-WebSocket-Version', 'Sec-WebSocket-Version: 12')],
  ['two versions', 426, lines(['Sec-WebSocket-Version: 8'])],
  ['the same version twice', 426, lines(['Sec-WebSocket-Version: 13'])],
  ['no key', 400, without('Sec-WebSocket-Key')],
  ['two keys', 400, lines([`Sec-WebSocket-Key: ${KEY}`])],
  ['a short key', 400, withLine('Sec-WebSocket-Key', 'Sec-WebSocket-Key: c2hvcnQ=')],
  ['a long key', 400, withLine('Sec-WebSocket-Key', `Sec-WebSocket-Key: ${'A'.repeat(4000)}==`)],
  ['a key that is no base64', 400, withLine('Sec-WebSocket-Key', 'Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==')],
  ['a subprotocol that is no token', 400, lines(['Sec-WebSocket-Protocol: a b'])],
  ['a subprotocol twice', 400, lines(['Sec-WebSocket-Protocol: a, a'])],
  ['an empty Sec-WebSocket-Protocol', 400, lines(['Sec-WebSocket-Protocol:'])],
  ['thousands of subprotocols', 400, lines([`Sec-WebSocket-Protocol: ${Array.from({ length: 2000 }, (_, n) => `p${n}`).join(',')}`])],
  ['a POST', 405, withLine('GET', 'POST / HTTP/1.1')],
  ['a HEAD', 405, withLine('GET', 'HEAD / HTTP/1.1')],
  // Too much.
  ['a request line over the limit', 431, withLine('GET', `GET /${'p'.repeat(17 << 10)} HTTP/1.1`)],
  ['a request line over the limit that does not end', 431, `GET /${'p'.repeat(17 << 10)}`],
  ['a header over the limit', 431, lines([`X-A: ${'b'.repeat(17 << 10)}`])],
  ['a header name over the limit that does not end', 431, `GET / HTTP/1.1\r\n${'x'.repeat(17 << 10)}`],
  ['headers over the limit together', 431, lines(Array.from({ length: 90 }, (_, n) => `X-${n}: ${'b'.repeat(200)}`))],
  ['more than a hundred headers', 431, lines(Array.from({ length: 101 }, (_, n) => `X-${n}: b`))],
  ['empty lines without end', 431, '\r\n'.repeat(9 << 10)],
  ['a cookie of 60 KiB', 431, lines([`Cookie: ${'b'.repeat(60 << 10)}`])],
];

const CAUSES = { 400: 'badRequest', 405: 'method', 426: 'upgradeRequired', 431: 'headerSize', 505: 'httpVersion' };
/** Every attack here comes so often in a round: what it leaks would add up. */
const TIMES = sized(6, 400);

site('requests', {}, (attack) => {
  for (const [what, status, bytes] of REFUSED) {
    attack(
      `${what} is answered with ${status}`,
      (place) =>
        many(TIMES, 8, async () => {
          const one = await place.say(bytes);
          assert.equal(one.status, status, one.head);
          assert.equal(one.headers.connection.split(', ').at(-1), 'close');
          await one.end();
          assert.ok(one.body.length <= Number(one.headers['content-length']), 'one answer, and nothing behind it');
          one.destroy();
        }),
      { expect: { opens: 0, closes: {} }, counts: { rejected: { [CAUSES[status]]: TIMES }, closes: {} } },
    );
  }

  attack(
    'a cookie of megabytes is answered with 431, or the connection is cut while it is still being sent',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await place.say(lines([`Cookie: ${'b'.repeat(4 << 20)}`]));
        assert.ok([431, undefined].includes(one.status), one.head);
        await one.end();
      }),
    { expect: { opens: 0 }, most: 4 * MiB },
  );

  attack(
    'what is no handshake has no second chance on its connection',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await place.say(`GET / HTTP/1.1\r\nHost: localhost\r\n\r\n${lines()}`);
        assert.equal(one.status, 426);
        await one.end();
        assert.equal(one.body.toString('latin1').includes('101'), false, 'the request behind it is not answered');
      }),
    { expect: { opens: 0 } },
  );

  attack(
    'frames behind the request are frames of the connection, and no second request',
    (place) =>
      many(TIMES, 8, async (n) => {
        const one = await place.open({ behind: Buffer.concat([frame(TEXT, `early ${n}`), frame(PING, 'p'), frame(TEXT, 'second')]) });
        assert.equal((await one.frame(TEXT)).text, `early ${n}`);
        assert.equal((await one.frame(TEXT, 1)).text, 'second');
        assert.equal((await one.frame(PONG)).text, 'p');
        one.destroy();
      }),
    { expect: { opens: TIMES, texts: 2 * TIMES } },
  );

  attack(
    'a request behind the request is garbage in the connection: 1002',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await place.open({ behind: Buffer.from(HIDDEN) });
        await place.closes(one, 1002);
      }),
    { expect: { opens: TIMES, texts: 0, closes: { 1002: TIMES } }, counts: { rejected: {}, closes: { protocol: TIMES } } },
  );

  attack(
    'a refused connection takes nothing of what it pipelined with it',
    (place) =>
      many(TIMES, 8, async () => {
        const one = await place.say(Buffer.concat([Buffer.from(request('/refuse')), frame(TEXT, 'let me in')]));
        assert.equal(one.status, 403);
        await one.end();
      }),
    { expect: { opens: 0, refused: TIMES, texts: 0 }, counts: { rejected: { handler: TIMES }, closes: {} } },
  );
});
