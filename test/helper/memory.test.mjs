// What goes is forgotten: nothing of it is left in any table.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { until } from '../e2e/harness.mjs';
import { fakeWorld } from './fake-world.mjs';
import { turns } from './kit.mjs';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');
const require = createRequire(import.meta.url);
const { Clients } = require('../../lib/helper/clients/clients.cjs');
const { Users } = require('../../lib/helper/clients/users.cjs');
const { Rooms } = require('../../lib/helper/clients/rooms.cjs');
const { settingsOf } = require('../../lib/helper/settings.cjs');

/** A client that has been what a client can be, and has gone. Nothing of it is referred to from here. */
async function gone(w, encrypted) {
  const client = await w.member({ user: 'u' });
  if (encrypted) w.helper.enableClientEncryption({ clientId: client.id });
  w.helper.joinRoom({ clientId: client.id, room: 'r' });
  w.helper.sendToClient({ clientId: client.id, event: 'x', data: 1 });
  w.helper.sendToUser({ userId: 'u', event: 'x', data: 1 });
  await turns();
  const entry = new WeakRef(client.entry);
  client.close();
  await turns();
  return entry;
}

test('the entry of a client that has gone can be collected, encrypted or not', async (t) => {
  const w = await fakeWorld(t, { outboundTransformer: async ({ event, data }) => ({ event, data }) });
  for (const encrypted of [false, true]) {
    const entry = await gone(w, encrypted);
    await until(async () => {
      await turns();
      gc();
      return entry.deref() === undefined;
    }, `nobody to refer to ${encrypted ? 'the encrypted one' : 'it'}`);
  }
});

test('users and rooms without a client leave nothing', () => {
  const silent = { for: () => silent, debug() {}, info() {}, warn() {}, error() {} };
  const clients = new Clients();
  const users = new Users(clients, () => undefined);
  const rooms = new Rooms(settingsOf({}), clients, () => undefined, silent);
  const socket = { subscribe() {}, unsubscribe() {} };
  const used = () => {
    gc();
    return process.memoryUsage().heapUsed;
  };
  const many = (from, count) => {
    for (let i = from; i < from + count; i++) {
      const client = Object.assign(clients.add('one', socket), { userId: `user ${i}` });
      users.add(client);
      rooms.join(client, `room ${i}`);
      rooms.join(client, `another ${i}`);
      rooms.leave(client, `another ${i}`);
      users.remove(client);
      rooms.forget(client);
    }
  };
  many(0, 1000);
  const before = used();
  many(1000, 100_000);
  // A set and a name take 200 bytes at least: what is left of one in ten would show.
  assert.ok(used() - before < 2 << 20, `${used() - before} bytes are left of 100,000 users and 200,000 rooms`);
});
