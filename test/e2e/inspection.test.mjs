// What operators ask about sockets: which there are, which are slow, and what is known of one.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { failure, launch, until } from './harness.mjs';
import { fill, open, PONG, PING, frame } from './raw.mjs';

test('getSockets has the open ones in order and in pages, on any thread', async (t) => {
  const server = await launch(t, { options: { threads: 2, ioThreads: 2 } });
  const clients = [];
  for (let i = 0; i < 7; i++) clients.push(await server.connect());
  const ids = clients.map(({ id }) => id);
  const asked = await server.main((wsb) => [wsb.getSockets(), wsb.getSockets({ limit: 3 }), wsb.getSockets({ after: 3, limit: 3 }), wsb.getSockets({ after: 7 })]);
  assert.deepEqual(asked, [ids, ids.slice(0, 3), ids.slice(3, 6), []]);
  assert.deepEqual(await clients[0].run((wsb) => wsb.getSockets({ after: 5 })), ids.slice(5));
  await clients[2].close(1000);
  await server.told.next('close');
  assert.deepEqual(await server.main((wsb) => wsb.getSockets()), ids.filter((id) => id !== ids[2]));
  await server.main((wsb) => wsb.shutdown());
  assert.deepEqual(await server.main((wsb) => [wsb.getSockets(), wsb.slowSockets(), wsb.info(1) ?? null, wsb.roundTrip(1) ?? null]), [[], [], null, null]);
});

test('info says where a socket comes from and what went through it', async (t) => {
  const server = await launch(t, { options: { protocols: ['chat'] } });
  const from = Date.now();
  const client = await server.connect('/rooms/1?token=secret', { protocols: ['chat'] });
  const bare = await server.connect('/');
  client.send('hello');
  await server.told.next('text');
  await server.main((wsb, kit, id) => wsb.send(id, new Uint8Array(200)), client.id);
  assert.equal((await client.next()).length, 200);
  const [known, other] = await server.main((wsb, kit, ids) => ids.map((id) => wsb.info(id)), [client.id, bare.id]);
  const { opened, workerId, ...rest } = known;
  assert.deepEqual(rest, {
    ip: '127.0.0.1', path: '/rooms/1', protocol: 'chat', messagesIn: 1, bytesIn: 5, messagesOut: 1, bytesOut: 200,
  }, 'roundTrip is undefined, which does not travel');
  assert.ok(opened >= from - 100 && opened <= Date.now(), `${opened}`);
  assert.deepEqual([other.path, other.protocol, other.messagesIn], ['/', '', 0]);
  const workers = await server.main((wsb) => wsb.stats().workers.map((worker) => worker.workerId));
  assert.deepEqual([workerId], workers);
  assert.deepEqual(await client.run((wsb, id) => [wsb.info(id).ip, wsb.info(9_999) ?? null, wsb.info(0.5) ?? null, wsb.info(-1) ?? null]), ['127.0.0.1', null, null, null]);
});

test('roundTrip is what the last answered ping took', async (t) => {
  const server = await launch(t, { options: { pingInterval: 1000 } });
  const raw = await open(server);
  const { id } = await server.told.next('open');
  await raw.frame(PING);
  assert.equal(await server.main((wsb, kit, id) => wsb.roundTrip(id) ?? null, id), null);
  raw.write(frame(PONG));
  const taken = await until(() => server.main((wsb, kit, id) => wsb.roundTrip(id), id), 'the answer to be seen');
  assert.ok(taken > 0 && taken < 60_000, `${taken}`);
  assert.equal(await server.main((wsb, kit, id) => wsb.info(id).roundTrip, id), taken);
});

test('slowSockets has those that do not read, the worst first, and what they missed', async (t) => {
  const server = await launch(t, { options: { ioThreads: 1, maxBackpressure: 1 << 20, overflow: 'dropNewest' } });
  const raws = [await open(server), await open(server)];
  const [one, two] = [await server.told.next('open'), await server.told.next('open')].map(({ id }) => id);
  const neighbour = await server.connect();
  for (const raw of raws) raw.stopReading();
  assert.deepEqual(await server.main((wsb) => wsb.slowSockets()), []);
  const from = Date.now();
  await fill(server, neighbour, one, 1 << 18);
  await fill(server, neighbour, two, 1 << 20);
  const dropped = await server.main((wsb, kit, id) => [wsb.send(id, 'a'), wsb.send(id, 'b')], two);
  assert.deepEqual(dropped, [0, 0]);
  const slow = await server.main((wsb) => wsb.slowSockets());
  assert.deepEqual(slow.map(({ socketId, ip }) => [socketId, ip]), [[two, '127.0.0.1'], [one, '127.0.0.1']]);
  assert.ok(slow[0].bufferedBytes >= 1 << 20 && slow[1].bufferedBytes >= 1 << 18, JSON.stringify(slow));
  assert.ok(slow.every(({ since }) => since >= from - 1 && since <= Date.now()), JSON.stringify(slow));
  assert.equal(slow[1].dropped, 0);
  assert.ok(slow[0].dropped >= 2, JSON.stringify(slow));
  assert.deepEqual((await server.main((wsb) => wsb.slowSockets(1))).map(({ socketId }) => socketId), [two]);
  raws[1].reset();
  await until(async () => (await server.main((wsb) => wsb.slowSockets())).length === 1, 'one that has gone to leave the list');
  raws[0].socket.resume();
  await until(async () => (await server.main((wsb) => wsb.slowSockets())).length === 0, 'one that has caught up to leave the list');
});

for (const [call, args, code, message] of [
  ['getSockets', [{ afer: 1 }], 'ERR_WSBROKER_UNKNOWN_OPTION', /^getSockets: unknown option "afer"; did you mean "after"/],
  ['getSockets', [{ limit: -1 }], 'ERR_WSBROKER_INVALID_ARG_VALUE', /^getSockets: "limit" must be an integer from 0/],
  ['slowSockets', ['10'], 'ERR_WSBROKER_INVALID_ARG_TYPE', /^slowSockets: "n" must be a number, got string/],
  ['info', ['1'], 'ERR_WSBROKER_INVALID_ARG_TYPE', /^info: "socketId" must be a number, got string/],
  ['roundTrip', [], 'ERR_WSBROKER_INVALID_ARG_TYPE', /^roundTrip: "socketId" must be a number, got undefined/],
  ['setLogger', [1], 'ERR_WSBROKER_INVALID_ARG_TYPE', /^setLogger: "logger" must be a function or null, got number/],
  ['setLogger', [null, { level: 'loud' }], 'ERR_WSBROKER_INVALID_ARG_VALUE', /^setLogger: "level" must be 'error', 'warn', 'info', 'debug' or 'trace', got 'loud'/],
  ['setLogger', [null, { lvl: 'info' }], 'ERR_WSBROKER_UNKNOWN_OPTION', /^setLogger: unknown option "lvl"; did you mean "level"/],
]) {
  test(`${call}(${JSON.stringify(args).slice(1, -1)}) is refused`, async (t) => {
    const server = await launch(t, { start: false });
    await failure(server.main((wsb, kit, call, args) => wsb[call](...args), call, args), { code, message });
  });
}
