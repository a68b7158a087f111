// The server that is measured: told by its parent when, it tells what it holds.
import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fileURLToPath } from 'node:url';
import { connectionCount, hasSubscriptions, start, stats, subscriberCount } from 'wsbroker';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const server = await start({
  bind: '127.0.0.1:0',
  workerPath: fileURLToPath(new URL('worker.mjs', import.meta.url)),
  threads: 1,
  handshakeTimeout: 5000,
});

const descriptors = () => {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0; // Only Linux tells.
  }
};

/** Memory of its own. What is mapped from files comes and goes as the system pleases; only Linux tells the two apart. */
const memory = () => {
  try {
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
  } catch {
    return process.memoryUsage.rss();
  }
};

process.on('message', (ask) => {
  collect();
  const { rejected, closes, channels, pendingUpgrades } = stats();
  const left = hasSubscriptions('everyone') ? subscriberCount('everyone') : 0;
  process.send({ ask, rss: process.memoryUsage.rss(), memory: memory(), connections: connectionCount(), left, descriptors: descriptors(), channels, pendingUpgrades, rejected, closes });
});
process.on('disconnect', () => process.exit());
process.send({ url: server.url });
