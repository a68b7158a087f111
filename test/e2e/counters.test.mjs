// Every way to be turned away, closed or dropped has a counter in `stats()` that counts it, and no other counts it too.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { authority } from './certificates.mjs';
import { launch, until } from './harness.mjs';
import { frame, open, request, tcp, TEXT } from './raw.mjs';

const HELPER = fileURLToPath(new URL('../helper/fixtures/native.cjs', import.meta.url));
const stats = (server) => server.main((wsb) => wsb.stats());
const nonzero = (counts) => Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
const ca = authority();
const local = ca.issue('localhost', { names: ['127.0.0.1'] });
const said = async (server, bytes) => {
  const raw = await tcp(server);
  raw.write(bytes);
  await raw.end();
};
const flood = (server, id, bytes) => server.main((wsb, kit, to, size) => {
  const block = Buffer.alloc(1 << 16);
  for (let sent = 0; sent < size; sent += block.length) wsb.send(to, block);
}, id, bytes);
/** Sends in turns, so that the I/O thread comes to look at them, until that is counted. */
const floodUntil = async (server, id, where, cause) => {
  await until(async () => {
    await flood(server, id, 1 << 19);
    return (await stats(server))[where][cause] > 0;
  }, `${where}.${cause}`);
};
const standard = (wsb, kit) => kit.standard(wsb);
/** A connection that does not read what it is sent, and the id of its socket. */
const deaf = async (server) => {
  const raw = await open(server);
  raw.socket.pause();
  return [raw, (await server.told.next('open')).id];
};

/** [where, cause, options, how to bring it about, what is counted besides] */
const CASES = [
  ['rejected', 'badRequest', {}, (server) => said(server, request('/', { 'Sec-WebSocket-Key': undefined }))],
  ['rejected', 'origin', { origins: 'https://a.example' }, (server) => server.refused('', { headers: { origin: 'https://b.example' } })],
  ['rejected', 'notFound', { path: '/a' }, (server) => server.refused('/b')],
  ['rejected', 'method', {}, (server) => said(server, request('/', {}, 'POST'))],
  ['rejected', 'upgradeRequired', {}, (server) => said(server, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['rejected', 'headerSize', { maxHeaderSize: 256 }, (server) => said(server, request('/', { 'X-Pad': 'x'.repeat(300) }))],
  ['rejected', 'httpVersion', {}, (server) => said(server, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  ['rejected', 'maxConnections', { maxConnections: 1 }, async (server) => (await server.connect(), await server.refused())],
  ['rejected', 'maxConnectionsPerIp', { maxConnectionsPerIp: 1 }, async (server) => (await server.connect(), await server.refused())],
  ['rejected', 'notServed', { path: '/a' }, async (server) => {
    await server.start({ bind: `127.0.0.1:${server.port}`, path: '/b' });
    await server.main((wsb, kit) => kit.state.servers[0].close());
    await server.refused('/a');
  }],
  ['rejected', 'openTimeout', { openTimeout: 100 }, (server) => server.refused(), { worker: () => ({ handleOpen: () => new Promise(() => {}) }) }],
  ['rejected', 'handler', {}, (server) => server.refused(), { worker: () => ({ handleOpen: () => false }) }],
  ['rejected', 'handshakeTimeout', { handshakeTimeout: 100 }, (server) => said(server, 'GET')],
  ['rejected', 'tls', { tls: { cert: local.cert, key: local.key } }, (server) => said(server, Buffer.alloc(100, 7))],
  ['rejected', 'proxyProtocol', { proxyProtocol: true }, (server) => said(server, request())],
  ['rejected', 'gone', {}, async (server) => (await tcp(server)).write('GET / HTTP/1.1\r\n').destroy()],
  ['rejected', 'maxPendingUpgrades', { maxPendingUpgrades: 1 }, async (server) => {
    const waiting = await tcp(server);
    waiting.write(request());
    await server.told.next('asked');
    await server.refused();
  }, { worker: (wsb, kit) => ({ handleOpen: () => (kit.tell('asked'), new Promise(() => {})) }) }],
  ['rejected', 'workerGone', { threads: 1 }, (server) => server.refused(), { worker: () => ({ handleOpen: () => process.exit(1) }) }],

  ['closes', 'peer', {}, async (server) => (await server.connect()).close(1000)],
  ['closes', 'lost', {}, async (server) => (await open(server)).destroy()],
  ['closes', 'application', {}, async (server) => {
    const client = await server.connect();
    await server.main((wsb, kit, id) => void wsb.close(id, 4000), client.id);
    await client.end();
  }],
  ['closes', 'terminated', {}, async (server) => {
    const client = await server.connect();
    await server.main((wsb, kit, id) => void wsb.terminate(id), client.id);
    await client.end();
  }],
  ['closes', 'shutdown', {}, async (server) => {
    const client = await server.connect();
    await server.start({ path: '/kept' });
    await server.main((wsb, kit) => kit.state.servers[0].close());
    await client.end();
  }],
  ['closes', 'protocol', {}, async (server) => (await open(server)).write(frame(TEXT, 'x', { mask: false })).end()],
  ['closes', 'invalidPayload', {}, async (server) => (await open(server)).write(frame(TEXT, Buffer.from([0xff]))).end()],
  ['closes', 'maxPayload', { maxPayload: 10 }, async (server) => (await open(server)).write(frame(TEXT, 'x'.repeat(11))).end()],
  ['closes', 'idleTimeout', { idleTimeout: 200, pings: false }, async (server) => (await open(server)).end()],
  ['closes', 'closeTimeout', { closeTimeout: 200 }, async (server) => {
    const raw = await open(server);
    const { id } = await server.told.next('open');
    await server.main((wsb, kit, to) => void wsb.close(to), id);
    await raw.end();
  }, { besides: { application: 1 } }],
  ['closes', 'maxBackpressure', { maxBackpressure: 65_536 }, async (server) => flood(server, (await deaf(server))[1], 32 << 20), { loose: ['dropped'] }],
  ['closes', 'maxSendMemory', { maxSendMemory: 1 << 20, maxBackpressure: 64 << 20 }, async (server) => floodUntil(server, (await deaf(server))[1], 'closes', 'maxSendMemory'), { loose: ['dropped'] }],
  ['closes', 'maxReceiveMemory', { maxReceiveMemory: 65_536, maxPayload: 1 << 20 }, async (server) => {
    const raw = await open(server);
    const whole = frame(TEXT, 'x'.repeat(1 << 20));
    raw.write(whole.subarray(0, whole.length - 1));
    await raw.end();
  }],
  ['closes', 'rateLimit', { rateLimit: { messages: 5, action: 'close' } }, async (server) => {
    const client = await server.connect();
    for (let n = 0; n < 20; n++) client.send('x');
    await client.end();
  }],
  ['closes', 'maxLifetime', { maxLifetime: 200 }, async (server) => (await server.connect()).end()],
  ['closes', 'historyLost', { history: [{ channels: 'kept' }] }, async (server) => {
    const client = await server.connect();
    await client.run((wsb, id) => wsb.recover(id, 'kept', 'now').then(() => undefined));
    await server.main((wsb) => wsb.deleteHistory('kept'));
    await client.end();
  }],
  ['closes', 'workerEnded', {}, async (server) => {
    const at = await server.main((wsb, kit, file) => new Promise((resolve) => {
      const { Worker } = require('node:worker_threads');
      const source = `
        const { parentPort, workerData } = require('node:worker_threads');
        const { helper } = require(workerData).make();
        helper.configure().then(() => parentPort.postMessage(helper.getAddress()));`;
      kit.state.worker = new Worker(source, { eval: true, workerData: file }).on('message', resolve);
    }), HELPER);
    const client = await server.connect('/ws', { at, id: false });
    await server.main((wsb, kit) => kit.state.worker.terminate().then(() => undefined));
    await client.end();
  }],
  ['closes', 'beforeOpen', {}, async (server) => {
    const raw = await tcp(server);
    raw.write(request());
    await server.told.next('asked');
    raw.destroy();
    await until(async () => (await stats(server)).rejected.gone === 1, 'that it is gone');
    server.file('go', '');
  }, { worker: (wsb, kit) => ({
    async handleOpen() {
      kit.tell('asked');
      while (!require('node:fs').existsSync('go')) await new Promise((resolve) => setTimeout(resolve, 10));
    },
  }), rejected: { gone: 1 } }],

  ['dropped', 'dropNewest', { maxBackpressure: 65_536, overflow: 'dropNewest' }, async (server) => flood(server, (await deaf(server))[1], 32 << 20)],
  ['dropped', 'dropOldest', { maxBackpressure: 65_536, overflow: 'dropOldest' }, async (server) => flood(server, (await deaf(server))[1], 32 << 20)],
  ['dropped', 'gone', {}, (server) => server.main((wsb) => void wsb.send(12_345, 'x'))],
  // Whether sends find the memory full, or the socket closed because of it, is up to the threads: with new sockets until it was the one.
  ['dropped', 'maxSendMemory', { maxSendMemory: 1 << 20, maxBackpressure: 64 << 20 }, (server) => until(async () => {
    await flood(server, (await deaf(server))[1], 16 << 20);
    return (await stats(server)).dropped.maxSendMemory > 0;
  }, 'dropped.maxSendMemory'), { loose: ['closes', 'dropped'] }],
];

for (const [where, cause, options, provoke, { worker = standard, besides = {}, rejected = {}, loose = [] } = {}] of CASES) {
  test(`${where}.${cause} counts it`, async (t) => {
    const server = await launch(t, { options, worker, clean: cause !== 'workerGone' });
    server.standard = worker === standard;
    await provoke(server);
    const counted = await until(async () => {
      const all = await stats(server);
      return all[where][cause] > 0 && all;
    }, `${where}.${cause}`);
    const expected = { rejected, closes: {}, dropped: {} };
    expected[where] = { [cause]: where === 'dropped' ? counted.dropped[cause] : 1, ...besides };
    for (const group of ['rejected', 'closes', 'dropped']) {
      if (!loose.includes(group)) assert.deepEqual(nonzero(counted[group]), expected[group], group);
    }
  });
}

test('every cause there is has a case here', async (t) => {
  const all = await stats(await launch(t));
  for (const where of ['rejected', 'closes', 'dropped']) {
    assert.deepEqual(CASES.filter((one) => one[0] === where).map((one) => one[1]).sort(), Object.keys(all[where]).sort());
  }
});
