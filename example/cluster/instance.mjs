// One instance: a process with its own broker, which meets the other on Redis. server.mjs
// starts two of these.
//
//   INSTANCE    what it is called
//   BIND        the address it listens on, such as 127.0.0.1:8081
//   REDIS_URL   where the instances meet

import { fileURLToPath } from 'node:url';
import { getSubscribers, send, shutdown, start, stats } from 'wsbroker';

const name = process.env.INSTANCE;

/**
 * To the pages that are connected here. A publish would also go to Redis, and count among those
 * that did not get there.
 */
const tell = (message) => {
  const text = JSON.stringify(message);
  for (const socketId of getSubscribers('talk')) send(socketId, text);
};

const server = await start({
  bind: process.env.BIND,
  workerPath: fileURLToPath(new URL('worker.mjs', import.meta.url)),
  threads: 1,
  maxPayload: 4096,
  rateLimit: { messages: 20, burst: 40 },
  idleTimeout: 30_000,
  cluster: {
    redis: process.env.REDIS_URL,
    instanceId: name,
    // `ready`, `lost` with a reason, `gap` with a number of messages. The channel of a gap is of no
    // interest to the page: there is one.
    onBus: ({ state, reason, channel, missed }) => tell({ type: 'bus', state, reason, missed, own: state === 'gap' && channel === undefined }),
  },
});

const timer = setInterval(() => tell({ type: 'stats', bus: stats().bus }), 1_000);

process.send({ port: server.port });

// The process that started this one has ended, or wants it to end.
process.once('disconnect', async () => {
  clearInterval(timer);
  await shutdown({ code: 1012, timeout: 2_000 });
});
// Ctrl+C reaches all processes of the group; server.mjs says when to end.
process.on('SIGINT', () => {});
