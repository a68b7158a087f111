// wsbroker, on Node and on Bun: one I/O thread, and as many workers as BENCH_THREADS says (default
// 1). With --history all channels have a history, in bare frames: the same bytes to the clients.
import { fileURLToPath } from 'node:url';
import { start } from 'wsbroker';
import { deflate, tls } from './work.mjs';

const server = await start({
  bind: '127.0.0.1:0',
  workerPath: fileURLToPath(new URL('wsbroker-worker.mjs', import.meta.url)),
  threads: Number(process.env.BENCH_THREADS ?? 1),
  ioThreads: 1,
  ...(process.env.BENCH_REDIS && { cluster: { redis: process.env.BENCH_REDIS, required: true } }),
  ...(tls && { tls }),
  ...(deflate && { perMessageDeflate: true }),
  ...(process.argv.includes('--history') && { history: [{ channels: '*', framed: false }] }),
});

console.log(JSON.stringify({ port: server.port, pid: process.pid }));
