// An instance of bench/recovery.mjs: channels with history on one Redis, and without REDIS_URL, for
// bench/slow-readers.mjs, in memory. Says its port; answers 'stats' with what it holds.
import { start, stats } from 'wsbroker';

const { PORT = '0', REDIS_URL } = process.env;
const server = await start({
  bind: `127.0.0.1:${PORT}`,
  workerPath: new URL('recovery-worker.mjs', import.meta.url),
  threads: 1,
  history: [{ channels: 'bench:*', size: 2_000, maxBytes: 8 << 20, maxReplay: 2_000 }],
  cluster: REDIS_URL ? { redis: REDIS_URL, required: true } : undefined,
});

process.on('message', () => process.send({ stats: stats(), rss: process.memoryUsage.rss() }));
process.on('disconnect', () => process.exit());
process.send({ port: server.port });
