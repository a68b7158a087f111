// What `stats()` says: its shape, its totals, and what it speaks of. That every cause is counted is in counters.test.mjs.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';

const stats = (server) => server.main((wsb) => wsb.stats());
const nonzero = (counts) => Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
const REJECTED = [
  'badRequest', 'origin', 'notFound', 'method', 'upgradeRequired', 'headerSize', 'httpVersion', 'maxConnections', 'maxConnectionsPerIp', 'maxPendingUpgrades',
  'notServed', 'openTimeout', 'workerGone', 'handler', 'handshakeTimeout', 'tls', 'proxyProtocol', 'gone',
];
const CLOSES = [
  'peer', 'lost', 'application', 'terminated', 'shutdown', 'protocol', 'invalidPayload', 'maxPayload', 'idleTimeout', 'closeTimeout', 'maxBackpressure',
  'maxSendMemory', 'maxReceiveMemory', 'rateLimit', 'maxLifetime', 'historyLost', 'workerEnded', 'beforeOpen',
];
const DROPPED = ['dropNewest', 'dropOldest', 'maxSendMemory', 'gone'];
const FAILED = ['unreachable', 'badResponse', 'timeout', 'clientTimeout', 'badBody', 'gone'];
const REQUESTS = ['answered', 'forwarded', 'bytesIn', 'bytesOut'];
const HISTORY = ['channels', 'messages', 'bytes', 'evictions', 'recovered', 'notRecovered', 'replayed', 'lost', 'duplicates', 'idsDropped'];
const TRAFFIC = ['messagesIn', 'messagesOut', 'bytesIn', 'bytesOut', 'wireBytesIn', 'wireBytesOut'];
const NUMBERS = ['connections', 'channels', 'pendingUpgrades', 'accepted', 'acceptFailures', 'opened', 'closed', ...TRAFFIC, 'sendMemory', 'receiveMemory', 'commandBytes'];

/** Exactly these members, all of them numbers. */
function assertNumbers(object, names) {
  assert.deepEqual(Object.keys(object).sort(), [...names].sort());
  for (const name of names) assert.ok(Number.isFinite(object[name]), `${name} is ${object[name]}`);
}

test('before start all of it is there and 0, and after shutdown again', async (t) => {
  const server = await launch(t, { start: false });
  const check = async () => {
    const { rejected, closes, dropped, workers, shards, http, history, ...numbers } = await stats(server);
    const { failed, ...requests } = http;
    assertNumbers(failed, FAILED);
    assertNumbers(requests, REQUESTS);
    assertNumbers(history, HISTORY);
    assertNumbers(rejected, REJECTED);
    assertNumbers(closes, CLOSES);
    assertNumbers(dropped, DROPPED);
    assertNumbers(numbers, NUMBERS);
    assert.deepEqual([workers, shards], [[], []]);
    assert.deepEqual([nonzero(rejected), nonzero(closes), nonzero(dropped), nonzero(numbers), nonzero(failed), nonzero(requests), nonzero(history)], [{}, {}, {}, {}, {}, {}, {}]);
  };
  await check();
  await server.start({ workerPath: server.workerFile('(wsb, kit) => kit.standard(wsb)'), threads: 1 });
  await server.connect('', { id: false });
  assert.equal((await stats(server)).opened, 1);
  await server.main((wsb) => wsb.shutdown());
  await check();
});

test('totals count connections, messages and bytes, and every thread sees the same', async (t) => {
  const server = await launch(t, { options: { threads: 2, ioThreads: 2 } });
  const clients = [];
  for (let n = 0; n < 4; n++) clients.push(await server.connect());
  for (const client of clients) await client.run((wsb, id) => void wsb.subscribe(id, 'all'));
  const before = await stats(server);
  assert.deepEqual([before.connections, before.accepted, before.opened, before.closed, before.channels], [4, 4, 4, 0, 1]);

  for (const client of clients) client.send('x'.repeat(100));
  clients[0].send(Buffer.alloc(50));
  await until(() => server.told.of('text').length === 4 && server.told.of('binary').length === 1, 'all messages');
  await server.main((wsb) => void (wsb.sendToChannel('all', 'y'.repeat(30)), wsb.send(1, 'z')));
  for (const client of clients) await until(() => client.messages.includes('y'.repeat(30)), 'the publish');
  await until(() => clients[0].messages.includes('z'), 'the send');
  const after = await until(async () => {
    const now = await stats(server);
    return now.messagesOut - before.messagesOut === 5 && now;
  }, 'the counters of the I/O threads');
  const gained = Object.fromEntries(TRAFFIC.map((name) => [name, after[name] - before[name]]));
  assert.deepEqual([gained.messagesIn, gained.bytesIn, gained.messagesOut, gained.bytesOut], [5, 450, 5, 121]);
  // A header of 2 bytes and, for what comes in, a mask of 4.
  assert.deepEqual([gained.wireBytesIn, gained.wireBytesOut], [450 + 5 * 6, 121 + 5 * 2]);

  assert.equal(after.shards.length, 2);
  for (const shard of after.shards) assertNumbers(shard, ['connections', ...TRAFFIC, 'outboxBytes', 'receiveBytes', 'commands', 'commandBytes']);
  for (const name of ['connections', ...TRAFFIC]) assert.equal(after.shards.reduce((sum, shard) => sum + shard[name], 0), after[name], name);
  assert.equal(after.workers.length, 2);
  for (const worker of after.workers) assertNumbers(worker, ['workerId', 'connections', 'inFlight', 'inFlightBytes', 'handled']);
  assert.deepEqual(after.workers.map(({ connections }) => connections), [2, 2]);

  const elsewhere = await clients[1].run((wsb) => wsb.stats());
  assert.deepEqual([elsewhere.opened, elsewhere.shards.length, elsewhere.workers.length], [4, 2, 2]);

  await clients[0].close(1000);
  await until(async () => (await stats(server)).closed === 1, 'the close');
  const last = await stats(server);
  assert.deepEqual([last.connections, last.opened, nonzero(last.closes)], [3, 4, { peer: 1 }]);
});

test('workers are named as onWorker names them, the main thread by 0', async (t) => {
  const server = await launch(t, { start: false });
  const worker = server.workerFile('(wsb, kit) => kit.standard(wsb)');
  await server.main(async (wsb, kit, workerPath) => {
    kit.ids = [];
    await wsb.start({ bind: '127.0.0.1:0', workerPath, threads: 2, onWorker: ({ type, workerId }) => type === 'started' && kit.ids.push(workerId) });
  }, worker);
  const [told, seen] = await server.main((wsb, kit) => [kit.ids, wsb.stats().workers.map(({ workerId }) => workerId)]);
  assert.deepEqual([...seen].sort(), [...told].sort());
  await server.main((wsb) => wsb.shutdown());
  await server.main((wsb) => (wsb.registerWorkerThread({}), wsb.start({ bind: '127.0.0.1:0' })).then(() => undefined));
  assert.deepEqual((await stats(server)).workers.map(({ workerId }) => workerId), [0]);
});

test('what is in hand and on its way shows at its worker', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleBinaryMessage: () => (kit.tell('got'), new Promise((resolve) => (globalThis.release = resolve))),
    }),
    options: { handlerTimeout: 0 },
  });
  server.standard = true;
  const client = await server.connect();
  const other = await server.connect();
  client.send(Buffer.alloc(1000));
  await server.told.next('got');
  const [busy] = (await stats(server)).workers;
  assert.deepEqual([busy.inFlight, busy.inFlightBytes], [1, 1128]);
  await other.run(() => globalThis.release());
  await until(async () => (await stats(server)).workers[0].inFlight === 0, 'the event to settle');
});
