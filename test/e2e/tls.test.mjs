// Encryption: certificates, names, clients that have certificates of their own, and changing all of it while connections are open.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import tls from 'node:tls';
import WebSocket from 'ws';

import { freePort } from '../free-port.mjs';
import { authority } from './certificates.mjs';
import { DEADLINE, launch, until, within } from './harness.mjs';
import { frame, PONG, PING, Raw, request, tcp, TEXT } from './raw.mjs';

const ca = authority();
const local = { names: ['localhost', '127.0.0.1'] };
const first = ca.issue('first', local);
const second = ca.issue('second', local);
const pair = ({ cert, key }) => ({ cert, key });

/** A worker that tells what it knows of each request. */
const curious = (wsb, kit) => ({
  ...kit.standard(wsb),
  handleOpen(id, ip, headers, { secure, clientCertificate: client }) {
    const shown = client && { raw: client.raw.toString('hex'), buffer: Buffer.isBuffer(client.raw), fingerprint256: client.fingerprint256, authorized: client.authorized };
    kit.tell('asked', { ip, secure, client: shown });
  },
});

/** A TLS connection on which nothing was said yet, or the error that the handshake ended with. */
async function handshake(server, options = {}) {
  const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca: ca.cert, ...options });
  const raw = new Raw(socket);
  server.raws.push(raw);
  await until(() => raw.error || raw.ended || socket.authorized || socket.getPeerCertificate()?.raw, 'a handshake');
  return raw;
}

/** The name in the certificate that a new handshake gets. */
async function shown(server, options) {
  const raw = await handshake(server, options);
  const name = raw.socket.getPeerCertificate().subject?.CN;
  raw.destroy();
  return name;
}

/** What becomes of a client that tries to connect. */
function tried(server, options) {
  return within(
    new Promise((resolve) => {
      const ws = new WebSocket(server.url, { perMessageDeflate: false, ca: ca.cert, ...options });
      ws.on('error', (error) => resolve(error));
      ws.on('open', () => resolve((ws.terminate(), 'open')));
    }),
    'an end of the attempt',
  );
}

test('a server with a certificate speaks wss, and its handlers know', async (t) => {
  const server = await launch(t, { options: { tls: pair(first) }, worker: curious });
  assert.match(server.url, /^wss:\/\/127\.0\.0\.1:\d+$/);
  const client = await server.connect('', { ca: ca.cert });
  assert.deepEqual(await server.told.next('asked'), { type: 'asked', ip: '127.0.0.1', secure: true });
  client.send('through the cipher');
  assert.equal((await server.told.next('text')).data, 'through the cipher');
  await client.run((wsb, id) => wsb.send(id, Buffer.from([1, 2, 3])));
  assert.deepEqual(await client.next(), Buffer.from([1, 2, 3]));
  await client.close(4001, 'done');
  assert.deepEqual((({ code, reason }) => [code, reason])(await server.told.next('close')), [4001, 'done']);
  const plain = await server.start({ tls: undefined });
  await server.connect('', { at: plain });
  assert.equal((await server.told.next('asked')).secure, false);
});

test('large messages and many of them arrive whole in both directions', async (t) => {
  const server = await launch(t, {
    options: { tls: pair(first), maxPayload: 8 << 20, maxBackpressure: 32 << 20 },
    worker: (wsb) => ({ handleBinaryMessage: (bytes, id) => void wsb.send(id, bytes) }),
  });
  const client = await server.connect('', { ca: ca.cert });
  const sizes = [0, 1, 125, 126, 16_383, 16_384, 65_535, 65_536, 1 << 20, 4 << 20, ...Array.from({ length: 300 }, (_, n) => n * 37)];
  for (const size of sizes) client.send(Buffer.alloc(size, size & 255));
  for (const size of sizes) {
    const got = await client.next();
    assert.ok(got.equals(Buffer.alloc(size, size & 255)), `${size} bytes`);
  }
});

test('pings, pieces of records and half closes are the same as without encryption', async (t) => {
  const server = await launch(t, { options: { tls: pair(first) } });
  const raw = await handshake(server, { ALPNProtocols: ['h2', 'http/1.1'] });
  assert.equal(raw.socket.alpnProtocol, 'http/1.1');
  const bytes = Buffer.concat([Buffer.from(request()), frame(TEXT, 'at once'), frame(PING, 'p')]);
  for (const byte of bytes) raw.write(Buffer.from([byte]));
  assert.equal(await raw.answer(), 101);
  assert.equal((await server.told.next('text')).data, 'at once');
  assert.equal((await raw.frame(PONG)).text, 'p');
  raw.destroy();
  assert.equal((await server.told.next('close')).code, 1006);
});

test('what is no TLS does not get in, and a client that trusts nobody hears the certificate only', async (t) => {
  const server = await launch(t, { options: { tls: pair(first) } });
  const odd = await tcp(server);
  odd.write(Buffer.alloc(100, 7));
  await odd.end();
  assert.equal(odd.head, undefined);
  const plain = await tcp(server);
  plain.write(request());
  assert.equal(await plain.answer(), 400, 'a client that forgot the s is told');
  assert.match(String(await tried(server, { ca: undefined })), /UNABLE_TO_VERIFY|self.signed|unable to (verify|get)/i);
  assert.deepEqual(server.told.of('open'), []);
  await server.connect('', { ca: ca.cert });
});

test('handshakeTimeout: covers the TLS handshake', async (t) => {
  const server = await launch(t, { options: { tls: pair(first), handshakeTimeout: 2000 } });
  const silent = await tcp(server);
  const spoke = await handshake(server);
  await Promise.all([silent.end(), spoke.end()]);
  await server.connect('', { ca: ca.cert });
});

test('the certificate is the one for the name that the client asks for, wildcards included', async (t) => {
  const one = ca.issue('one', { names: ['one.example'] });
  const wild = ca.issue('wild', { names: ['*.wild.example', 'wild.example'] });
  const server = await launch(t, { options: { tls: { cert: [first.cert, one.cert, wild.cert], key: [first.key, one.key, wild.key] } } });
  for (const [servername, name] of [
    ['one.example', 'one'], ['ONE.example', 'one'], ['a.wild.example', 'wild'], ['wild.example', 'wild'], ['a.b.wild.example', 'first'], ['other.example', 'first'], ['localhost', 'first'], [undefined, 'first'],
  ]) {
    assert.equal(await shown(server, { servername, checkServerIdentity: () => undefined, rejectUnauthorized: false }), name, `asked for ${servername}`);
  }
});

test('minVersion: older clients do not get through', async (t) => {
  const server = await launch(t, { options: { tls: pair(first) } });
  assert.equal(await tried(server, { maxVersion: 'TLSv1.2' }), 'open');
  assert.equal(await tried(server, { minVersion: 'TLSv1.3' }), 'open');
  assert.ok((await tried(server, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })) instanceof Error);
  const strict = await server.start({ tls: { ...pair(first), minVersion: 'TLSv1.3' } });
  assert.equal(await tried(strict, {}), 'open');
  assert.ok((await tried(strict, { maxVersion: 'TLSv1.2' })) instanceof Error);
});

test('requestCert: clients with a certificate of the authority get in, and handlers see it', async (t) => {
  const server = await launch(t, { options: { tls: { ...pair(first), ca: ca.cert, requestCert: true } }, worker: curious });
  const bob = ca.issue('bob');
  await server.connect('', { ca: ca.cert, cert: bob.cert, key: bob.key });
  const { client } = await server.told.next('asked');
  assert.deepEqual(client, { raw: bob.raw.toString('hex'), buffer: true, fingerprint256: bob.fingerprint256, authorized: true });
  const stranger = authority('Another').issue('bob');
  const expired = ca.issue('late', { from: new Date(Date.now() - 7_200_000), to: new Date(Date.now() - 3_600_000) });
  for (const options of [{}, { cert: stranger.cert, key: stranger.key }, { cert: expired.cert, key: expired.key }]) {
    assert.ok((await tried(server, options)) instanceof Error);
  }
  assert.deepEqual(server.told.of('asked').length, 1);
});

test('rejectUnauthorized: false lets everybody in, and tells who is who', async (t) => {
  const server = await launch(t, {
    options: { tls: { ...pair(first), ca: ca.cert, requestCert: true, rejectUnauthorized: false } },
    worker: curious,
  });
  const bob = ca.issue('bob');
  const stranger = authority('Another').issue('bob');
  await server.connect('', { ca: ca.cert });
  assert.equal((await server.told.next('asked')).client, undefined);
  await server.connect('', { ca: ca.cert, cert: bob.cert, key: bob.key });
  assert.equal((await server.told.next('asked')).client.authorized, true);
  await server.connect('', { ca: ca.cert, cert: stranger.cert, key: stranger.key });
  const { client } = await server.told.next('asked');
  assert.deepEqual([client.authorized, client.fingerprint256], [false, stranger.fingerprint256]);
});

test('reloadTls: new handshakes get the new certificate, and no connection is dropped', async (t) => {
  const server = await launch(t, { start: false });
  server.standard = true;
  const [cert, key] = [server.file('cert.pem', first.cert), server.file('key.pem', first.key)];
  await server.start({ tls: { cert, key } });
  const client = await server.connect('', { ca: ca.cert, id: false });
  assert.equal(await shown(server), 'first');

  server.file('cert.pem', second.cert);
  const error = await server.main((wsb, kit) => kit.state.servers[0].reloadTls()).catch((failure) => failure);
  assert.equal(error.code, 'ERR_WSBROKER_TLS');
  assert.equal(error.message, `reloadTls: "tls.key" (${key}) does not belong to "tls.cert" (${cert})`);
  assert.equal(await shown(server), 'first', 'the old pair stays');

  server.file('key.pem', second.key);
  await server.main((wsb, kit) => kit.state.servers[0].reloadTls());
  assert.equal(await shown(server), 'second');
  await server.main((wsb, kit, given) => kit.state.servers[0].reloadTls(given), pair(first));
  assert.equal(await shown(server), 'first');
  assert.deepEqual(await client.fence(), []);
  assert.equal(client.ended, undefined);
});

test('reloadTls: works while clients come and go', async (t) => {
  const server = await launch(t, { options: { tls: pair(first) } });
  const steady = await server.connect('', { ca: ca.cert });
  let stop = false;
  const reloads = (async () => {
    for (let n = 0; !stop; n++) await server.main((wsb, kit, given) => kit.state.servers[0].reloadTls(given), pair(n % 2 ? first : second));
  })();
  for (let n = 0; n < 40; n++) {
    const client = await server.connect('', { ca: ca.cert });
    await client.fence();
    client.ws.terminate();
  }
  stop = true;
  await reloads;
  assert.deepEqual(await steady.fence(), []);
});

test('a pair that cannot be used rejects start, says why, and leaves the address free', async (t) => {
  const server = await launch(t, { start: false });
  const worker = server.workerFile('() => ({})');
  const [cert, key, other] = [server.file('c.pem', first.cert), server.file('k.pem', first.key), server.file('o.pem', second.key)];
  const free = `127.0.0.1:${await freePort()}`;
  const attempt = (given) => server.start({ bind: free, workerPath: worker, threads: 1, tls: given }).catch((error) => error);
  for (const [given, message] of [
    [{ cert, key: other }, `start: "tls.key" (${other}) does not belong to "tls.cert" (${cert})`],
    [{ cert: key, key }, `start: "tls.cert" (${key}) contains no certificate`],
    [{ cert, key: cert }, `start: "tls.key" (${cert}) contains no private key`],
    [{ cert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', key }, /^start: the certificate in "tls\.cert" cannot be read: /],
    [{ cert, key: `${key}.gone` }, /^start: "tls\.key" \(.*k\.pem\.gone\) cannot be read: ENOENT/],
    [{ cert: [cert, cert], key: [key, other] }, `start: "tls.key[1]" (${other}) does not belong to "tls.cert[1]" (${cert})`],
    [{ cert, key, ca: key, requestCert: true }, `start: "tls.ca" (${key}): there is no certificate in it`],
  ]) {
    const error = await attempt(given);
    assert.equal(error.code, 'ERR_WSBROKER_TLS', error.message);
    if (message instanceof RegExp) assert.match(error.message, message);
    else assert.equal(error.message, message);
    assert.ok(!error.message.includes('PRIVATE'), error.message);
  }
  server.at = await attempt({ cert, key });
  assert.equal(await shown(server), 'first');
});

test('servers that share an address share its encryption', async (t) => {
  const server = await launch(t, { options: { tls: pair(first), path: '/a' } });
  const bind = `127.0.0.1:${server.port}`;
  await server.start({ bind, path: '/b', tls: pair(first) });
  await server.connect('/b', { ca: ca.cert });
  for (const given of [undefined, pair(second), { ...pair(first), minVersion: 'TLSv1.3' }]) {
    const error = await server.start({ bind, path: '/c', tls: given }).catch((failure) => failure);
    assert.equal(error.code, 'ERR_WSBROKER_CONFLICT', String(error));
    assert.match(error.message, /another value of "tls"/);
  }
});

test('a thousand handshakes that break off leave nothing behind', { timeout: 4 * DEADLINE }, async (t) => {
  const server = await launch(t, { options: { tls: pair(first) } });
  const hello = Buffer.from('16030100c8010000c403030000', 'hex');
  for (let n = 0; n < 20; n++) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const raw = await tcp(server);
        if (i % 2) raw.write(hello.subarray(0, i % hello.length));
        raw.destroy();
      }),
    );
  }
  const client = await server.connect('', { ca: ca.cert });
  await client.fence();
  assert.equal(server.told.of('open').length, 1);
});
