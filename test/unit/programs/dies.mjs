import { shutdown, start } from '../../../lib/index.mjs';

const orders = new BroadcastChannel('die');
let started = 0;
await start({
  bind: '127.0.0.1:0',
  workerPath: process.argv[2],
  threads: 1,
  onWorker({ type, reason }) {
    console.log(type, reason?.cause?.message ?? '');
    if (type !== 'started') return;
    if (++started < 3) return orders.postMessage('now');
    orders.close();
    void shutdown();
  },
});
