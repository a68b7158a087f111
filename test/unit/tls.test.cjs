'use strict';
const assert = require('node:assert/strict');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join, relative } = require('node:path');
const { after, afterEach, beforeEach, test } = require('node:test');
const { pathToFileURL } = require('node:url');
const { fake, wsbroker } = require('./setup.cjs');

const { registerWorkerThread, shutdown, start } = wsbroker;
const bind = '127.0.0.1:0';
const CERT = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
const KEY = '-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n';
const folder = mkdtempSync(join(tmpdir(), 'wsbroker-'));
const certFile = join(folder, 'cert.pem');
const keyFile = join(folder, 'key.pem');
const failure = async (promise) => promise.then(() => assert.fail('it resolved'), (error) => error);
const given = () => fake.callsOf('listen').at(-1)[0].tls;
const reloaded = () => fake.callsOf('reloadTls').map(([, { pairs }]) => String(pairs[0].cert.pem));

beforeEach(() => {
  fake.calls.length = 0;
  writeFileSync(certFile, CERT);
  writeFileSync(keyFile, KEY);
  registerWorkerThread({});
});
afterEach(async () => {
  for (const name of Object.keys(fake.instead)) delete fake.instead[name];
  await shutdown({ timeout: 5000 });
});
after(() => rmSync(folder, { recursive: true }));

test('pem_may_be_text_bytes_a_path_or_a_url', async () => {
  const same = { name: '"tls.cert"', pem: Buffer.from(CERT) };
  const file = { name: `"tls.cert" (${certFile})`, pem: Buffer.from(CERT) };
  const bytes = new Uint8Array(Buffer.from(CERT));
  for (const [cert, expected] of [
    [CERT, same], [Buffer.from(CERT), same], [bytes, same], [bytes.buffer, same], [`intermediate\n${CERT}`, { ...same, pem: Buffer.from(`intermediate\n${CERT}`) }],
    [certFile, file], [relative(process.cwd(), certFile), file], [pathToFileURL(certFile), file], [pathToFileURL(certFile).href, file],
  ]) {
    await start({ bind, tls: { cert, key: KEY } });
    assert.deepEqual(given(), {
      pairs: [{ cert: expected, key: { name: '"tls.key"', pem: Buffer.from(KEY) } }], ca: [], requestCert: false, rejectUnauthorized: true, minVersion: 'TLSv1.2',
    });
  }
});

test('lists_are_pairs_in_their_order', async () => {
  await start({ bind, tls: { cert: [CERT, certFile], key: [keyFile, KEY], ca: [CERT, certFile], requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' } });
  const { pairs, ca, ...settings } = given();
  assert.deepEqual(pairs.map(({ cert, key }) => [cert.name, key.name]), [
    ['"tls.cert[0]"', `"tls.key[0]" (${keyFile})`], [`"tls.cert[1]" (${certFile})`, '"tls.key[1]"'],
  ]);
  assert.deepEqual(ca.map(({ name }) => name), ['"tls.ca[0]"', `"tls.ca[1]" (${certFile})`]);
  assert.deepEqual(settings, { requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
});

test('a_file_that_cannot_be_read_is_named_with_the_reason_and_nothing_is_bound', async () => {
  const missing = join(folder, 'missing.pem');
  for (const [key, code] of [[missing, 'ENOENT'], [folder, 'EISDIR']]) {
    const error = await failure(start({ bind, tls: { cert: certFile, key } }));
    assert.deepEqual([error.code, error.syscallCode, error.name], ['ERR_WSBROKER_TLS', code, 'WSBrokerError']);
    assert.ok(error.message.startsWith(`start: "tls.key" (${key}) cannot be read: ${code}`), error.message);
  }
  assert.deepEqual(fake.callsOf('listen'), []);
  await start({ bind, ioThreads: 7 });
});

test('a_key_that_lost_its_first_line_is_not_shown', async () => {
  const secret = KEY.split('\n').slice(1).join('\n');
  const error = await failure(start({ bind, tls: { cert: certFile, key: secret } }));
  assert.equal(error.code, 'ERR_WSBROKER_INVALID_ARG_VALUE');
  assert.ok(!error.message.includes('AA=='), error.message);
});

test('bytes_may_change_after_the_call', async () => {
  const cert = Buffer.from(CERT);
  const starting = start({ bind, tls: { cert, key: KEY } });
  cert.fill(0);
  const server = await starting;
  assert.equal(String(given().pairs[0].cert.pem), CERT);
  await server.reloadTls();
  assert.deepEqual(reloaded(), [CERT]);
});

test('reloadTls_reads_the_same_files_again_or_takes_what_it_is_given', async () => {
  const server = await start({ bind, tls: { cert: certFile, key: keyFile } });
  writeFileSync(certFile, `second ${CERT}`);
  assert.equal(await server.reloadTls(), undefined);
  await server.reloadTls({ cert: `third ${CERT}`, key: KEY });
  await server.reloadTls();
  assert.deepEqual(reloaded(), [`second ${CERT}`, `third ${CERT}`, `third ${CERT}`]);
});

test('what_reloadTls_cannot_use_changes_nothing', async () => {
  const server = await start({ bind, tls: { cert: certFile, key: keyFile } });
  assert.equal((await failure(server.reloadTls({ cert: CERT }))).message, 'reloadTls: "tls.key" must be PEM (a string or bytes) or the path of a file, got undefined');
  assert.equal((await failure(server.reloadTls({ cert: join(folder, 'no'), key: KEY }))).code, 'ERR_WSBROKER_TLS');
  assert.deepEqual(reloaded(), []);
  fake.instead.reloadTls = () => {
    throw Object.assign(new Error('reloadTls: bad'), { code: 'ERR_WSBROKER_TLS' });
  };
  const error = await failure(server.reloadTls({ cert: `bad ${CERT}`, key: KEY }));
  assert.deepEqual([error.code, error.message, error.name], ['ERR_WSBROKER_TLS', 'reloadTls: bad', 'WSBrokerError']);
  delete fake.instead.reloadTls;
  await server.reloadTls();
  assert.equal(reloaded().at(-1), CERT, 'the ones that were good');
});

test('the_last_of_several_reloads_wins_whatever_is_read_faster', async () => {
  const server = await start({ bind, tls: { cert: certFile, key: keyFile } });
  await Promise.all([server.reloadTls({ cert: certFile, key: keyFile }), server.reloadTls({ cert: `text ${CERT}`, key: KEY })]);
  assert.deepEqual(reloaded(), [CERT, `text ${CERT}`]);
});

test('reloadTls_needs_a_server_that_is_open_and_has_tls', async () => {
  const plain = await start({ bind });
  const error = await failure(plain.reloadTls({ cert: CERT, key: KEY }));
  assert.deepEqual([error.code, error.message], ['ERR_WSBROKER_TLS', 'reloadTls: the server was started without "tls"']);
  const server = await start({ bind, tls: { cert: certFile, key: keyFile } });
  await server.close();
  assert.equal((await failure(server.reloadTls())).message, 'reloadTls: the server is closed');
});
