// An instance of the cluster, in a process of its own.
import assert from 'node:assert/strict';

import { launch } from '../e2e/harness.mjs';

/** A server process that has joined; it tells what the bus tells. `redis`: one of `startRedis`, or `{ url }` of anything that the option takes. `options` of `cluster`, and `more` of `start`. */
export async function instance(t, redis, options = {}, more = {}) {
  const server = await launch(t, { start: false });
  server.at = await server.main((wsb, kit, given) => kit.start({
    ...given, cluster: { ...given.cluster, onBus: (event) => kit.tell('bus', { event }) },
  }), { ...server.defaults, ...more, cluster: { redis: redis.url, ...options } });
  server.standard = true;
  return server;
}

export const ready = (server) => server.told.next('bus', ({ event }) => event.state === 'ready');

/** A client in that room, which hears the other instances. */
export async function member(server, room) {
  const client = await server.connect();
  await client.run((wsb, id, room) => wsb.subscribe(id, room), room);
  assert.equal(await server.main((wsb, kit, room) => wsb.listening(room), room), true);
  return client;
}
