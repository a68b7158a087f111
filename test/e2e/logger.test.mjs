// `setLogger`: what happens inside, as records, and never what clients have sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';
import { open, tcp } from './raw.mjs';

/** Records go to the test. */
const listen = (server, options = {}) => server.main((wsb, kit, options) => wsb.setLogger((record) => kit.tell('record', record), options), options);
const records = (server) => server.told.of('record').map(({ type: _, ...record }) => record);

test('records have a level, a target, a message, fields and a time, until null removes the logger', async (t) => {
  const server = await launch(t, { options: { path: '/ws' } });
  await listen(server, { level: 'debug' });
  const from = Date.now();
  await server.refused('/other?token=secret');
  const record = await server.told.next('record', ({ message }) => message === 'an upgrade is refused');
  const { time, type: _, ...rest } = record;
  assert.deepEqual(rest, {
    level: 'debug', target: 'wsbroker_core::front::upgrade', message: 'an upgrade is refused',
    fields: { path: '/other', status: 404 }, dropped: 0,
  });
  assert.ok(time >= from - 1 && time <= Date.now(), `${time}`);
  await server.main((wsb) => wsb.setLogger(null));
  const before = records(server).length;
  await server.refused('/third');
  await listen(server, { level: 'debug' });
  await server.refused('/fourth');
  await server.told.next('record', ({ fields }) => fields.path === '/fourth');
  assert.deepEqual(records(server).slice(before).map(({ fields }) => fields.path), ['/fourth'], 'nothing of the third');
});

test('a level leaves out what matters less, and the default is info', async (t) => {
  const server = await launch(t, { options: { path: '/ws', threads: 1 }, worker: (wsb, kit) => ({
    handleTextMessage(text, id) {
      while (!require('node:fs').existsSync('go'));
      wsb.send(id, 'done');
    },
  }) });
  await listen(server);
  await server.refused('/other');
  const client = await server.connect('/ws', { id: false });
  client.send('hang');
  client.send('wait');
  const record = await server.told.next('record');
  assert.deepEqual([record.level, record.message, record.target], ['warn', 'a worker is stuck', 'wsbroker::process::workers']);
  const { worker, socket, milliseconds } = record.fields;
  assert.ok(worker > 0 && socket > 0 && milliseconds >= 1000, JSON.stringify(record.fields));
  await listen(server, { level: 'error' });
  await server.refused('/other');
  await listen(server, { level: 'debug' });
  await server.refused('/last');
  await server.told.next('record', ({ fields }) => fields.path === '/last');
  assert.deepEqual(records(server).map(({ level }) => level), ['warn', 'debug']);
  server.file('go', '');
  assert.deepEqual(await client.take(2), ['done', 'done']);
});

test('nothing that a client sends is in a record, whatever it does', async (t) => {
  const secrets = ['header-secret', 'cookie-secret', 'query-secret', 'payload-secret', 'token-secret', 'reason-secret', 'body-secret', 'protocol-secret'];
  const server = await launch(t, { options: { path: ['/ws'], maxPayload: 1000, handshakeTimeout: 1000, protocols: ['protocol-secret'], origins: ['https://a.example'] }, worker: (wsb, kit) => ({
    handleOpen: (id, ip, headers) => {
      if (headers['x-reject']) return { status: 403, headers: { 'x-why': 'header-secret' }, body: 'body-secret' };
      return { token: 'token-secret', channels: ['payload-secret'] };
    },
    handleTextMessage: (text, id) => void wsb.send(id, text),
    handleClose() {},
  }) });
  await listen(server, { level: 'trace' });
  const headers = { 'x-key': 'header-secret', cookie: 'sid=cookie-secret', authorization: 'Bearer token-secret' };
  const client = await server.connect('/ws?key=query-secret', { headers, protocols: ['protocol-secret'], id: false });
  client.send('payload-secret');
  await client.next();
  await client.close(4000, 'reason-secret');
  await server.refused('/ws?key=query-secret', { headers: { ...headers, 'x-reject': '1' } });
  await server.refused('/nowhere?key=query-secret', { headers });
  await server.refused('/ws?key=query-secret', { headers: { ...headers, origin: 'http://header-secret' } });
  for (const bytes of [
    'GET /ws?key=query-secret HTTP/1.1\r\nhost : header-secret\r\n\r\n',
    'POST /ws?key=query-secret HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nbody-secret',
    'query-secret header-secret\r\n\r\n',
    '\x16\x03\x01header-secret',
  ]) {
    const raw = await tcp(server);
    raw.write(bytes);
    await raw.end();
  }
  for (const bytes of [
    [0x81, 0x8e, 0, 0, 0, 0, ...Buffer.from('payload-secre\xff', 'latin1')],
    [0xf1, 0x8e, 0, 0, 0, 0, ...Buffer.from('payload-secret')],
    [0x81, 0xfe, 0x7f, 0xff, 0, 0, 0, 0, ...Buffer.from('payload-secret')],
    [0x88, 0x8f, 0, 0, 0, 0, 0, 1, ...Buffer.from('reason-secret')],
    [0x88, 0x8f, 0, 0, 0, 0, 3, 0xe8, ...Buffer.from('reason-secre\xff', 'latin1')],
  ]) {
    const raw = await open(server, { target: '/ws?key=query-secret', headers });
    raw.write(Buffer.from(bytes));
    await raw.end();
  }
  await listen(server, { level: 'debug' });
  await server.refused('/last');
  await server.told.next('record', ({ fields }) => fields.path === '/last');
  const all = records(server);
  const errors = all.filter(({ message }) => message === 'protocol error');
  assert.ok(errors.length >= 4, JSON.stringify(all));
  for (const { fields } of errors) assert.ok(Number.isInteger(fields.socket), `an id as other calls take it: ${JSON.stringify(fields)}`);
  assert.ok(all.length > 15, `${all.length} records`);
  for (const secret of secrets) assert.ok(!JSON.stringify(all).includes(secret), `${secret} in ${JSON.stringify(all.find((one) => JSON.stringify(one).includes(secret)))}`);
});

test('a logger that throws is reported once and stays, and the last one set on any thread counts', async (t) => {
  const server = await launch(t, { options: { path: '/ws' } });
  await server.main((wsb, kit) => wsb.setLogger((record) => {
    kit.tell('called', record);
    throw new Error('my mistake');
  }, { level: 'debug' }));
  await server.refused('/one');
  await server.refused('/two');
  await server.told.next('called', ({ fields }) => fields.path === '/two');
  assert.equal((await server.said()).split('the logger threw').length, 2, server.stderr);
  const client = await server.connect('/ws');
  await client.run((wsb) => {
    const { writeSync } = require('node:fs');
    const { threadId } = require('node:worker_threads');
    wsb.setLogger(({ fields }) => writeSync(3, `${JSON.stringify({ type: 'in worker', thread: threadId, path: fields.path })}\n`), { level: 'debug' });
  });
  const before = server.told.of('called').length;
  await server.refused('/three');
  const { thread } = await server.told.next('in worker', ({ path }) => path === '/three');
  assert.ok(thread > 0);
  assert.equal(server.told.of('called').length, before, 'the first is called no more');
});

test('beyond 1,024 waiting records more are dropped, and the next one says how many', async (t) => {
  const server = await launch(t, { options: { path: '/ws', threads: 1 } });
  await listen(server, { level: 'debug' });
  await server.told.next('record', () => true, 1).catch(() => {});
  // The main thread takes none while it counts what the front has refused.
  const asked = server.main((wsb) => {
    const { refused } = { refused: () => wsb.stats().rejected.notFound };
    const deadline = Date.now() + 60_000;
    while (refused() < 1500) if (Date.now() > deadline) throw new Error(`only ${refused()}`);
  });
  const one = 'GET /no HTTP/1.1\r\nHost: x\r\n\r\n';
  for (let i = 0; i < 1500; i += 50) {
    await Promise.all(Array.from({ length: 50 }, async () => {
      const raw = await tcp(server);
      raw.write(one);
      await raw.end();
    }));
  }
  await asked;
  await server.refused('/last');
  const last = await server.told.next('record', ({ fields }) => fields.path === '/last');
  await until(() => records(server).length > 1, 'the records');
  const all = records(server);
  const dropped = all.reduce((sum, record) => sum + record.dropped, 0);
  assert.ok(dropped > 0 && all.length <= 1500 + 1, `${dropped} dropped, ${all.length} told`);
  assert.equal(all.filter(({ message }) => message === 'an upgrade is refused').length + dropped, 1501, JSON.stringify(last));
});
