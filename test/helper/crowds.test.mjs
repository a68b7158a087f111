// Many clients: those that never authenticate, and those that fall silent.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { deferred, turns, world } from './world.mjs';

test('five thousand that never authenticate are gone after authTimeout, and no timer is left', async (t) => {
  const open = new Set();
  const [set, clear] = [setTimeout, clearTimeout];
  t.mock.method(globalThis, 'setTimeout', (fn, ms, ...args) => {
    const timer = set(() => {
      open.delete(timer);
      fn(...args);
    }, ms);
    open.add(timer);
    return timer;
  });
  t.mock.method(globalThis, 'clearTimeout', (timer) => (open.delete(timer), clear(timer)));
  const [all, left] = [deferred(), new Set()];
  const w = await world(t, {
    authTimeout: 100,
    authenticateFn: () => new Promise(() => {}),
    clientDisconnectedFn: ({ clientId }) => left.add(clientId).size === 5000 && all.resolve(),
  });
  const before = open.size;
  const clients = [];
  for (let i = 0; i < 5000; i++) clients.push(await w.connect());
  assert.equal(open.size - before, 5000, 'one timer each');
  // Every other one begins, and never ends; some leave by themselves.
  for (const [i, client] of clients.entries()) {
    if (i % 2) client.send({ event: 'authenticate' });
    if (i % 10 === 0) client.close();
  }
  await all.promise;
  assert.equal(w.helper.countClients(), 0);
  assert.equal(open.size, before, 'timers are back to where they were');
  assert.equal(clients.filter(({ ended }) => ended?.code === 4001).length, 4500);
  assert.deepEqual([...w.server.topics.values()].filter((sockets) => sockets.size > 0), []);
});

test('a sweep over fifty thousand clients closes the silent ones, and no other', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const count = 50_000;
  const w = await world(t, { heartbeatInterval: 30_000, defaultRooms: [], authTimeout: Infinity });
  const clients = [];
  for (let i = 0; i < count; i++) {
    const client = await w.connect();
    client.send({ event: 'authenticate' });
    clients.push(client);
  }
  await turns();
  const sweep = () => {
    const from = performance.now();
    t.mock.timers.tick(30_000);
    return performance.now() - from;
  };
  const quiet = sweep();
  assert.equal(w.helper.countClients(), count);
  for (let i = 0; i < count; i += 1000) clients[i].entry.lastActivity -= 90_001 + 30_000;
  const busy = sweep();
  assert.equal(w.helper.countClients(), count - 50);
  assert.ok(clients.every(({ ended }, i) => (ended?.code === 4002) === (i % 1000 === 0)));
  t.diagnostic(`a sweep over ${count} clients: ${quiet.toFixed(1)} ms; with 50 closes: ${busy.toFixed(1)} ms`);
});
