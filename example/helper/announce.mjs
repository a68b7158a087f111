// A process without sockets that says something to everyone, like a cron job, a worker of a queue,
// or a shell.
//
//   REDIS_URL=redis://127.0.0.1:6379 node example/helper/announce.mjs 'Lunch is ready' [who says it]

import { WebSocketEmitter } from 'wsbroker/server-helper';

const [text, from = 'the house'] = process.argv.slice(2);
if (!process.env.REDIS_URL || !text) {
  console.error("usage: REDIS_URL=redis://127.0.0.1:6379 node example/helper/announce.mjs 'Lunch is ready' [who says it]");
  process.exit(2);
}

const emitter = new WebSocketEmitter({ redisConnection: process.env.REDIS_URL });
try {
  await emitter.configure();
  // It goes through Redis unencrypted; each instance encrypts it for each of its clients.
  await emitter.broadcast({ event: 'announcement', data: { text, from, pid: process.pid, at: Date.now() } });
} catch (error) {
  console.error(`Not announced: ${error.message}`);
  process.exitCode = 1;
} finally {
  await emitter.shutdown();
}
