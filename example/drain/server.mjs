// A server that can be replaced without its clients coming back all at once: see README.md.
//
//   node example/drain/server.mjs        or        bun example/drain/server.mjs

import { drain, shutdown, start } from 'wsbroker';

const { HOST = '127.0.0.1', PORT = '8080' } = process.env;
/** How long the load balancer needs to see that this instance is not ready any more. */
const DELAY = Number(process.env.DELAY ?? 5_000);
/** Over how long its connections are closed. */
const OVER = Number(process.env.OVER ?? 20_000);

const server = await start({
  bind: `${HOST}:${PORT}`,
  workerPath: new URL('./worker.mjs', import.meta.url),
  path: '/ws',
  answers: { '/healthz': 'health', '/readyz': 'ready' },
});

async function leave() {
  const { closed, cut } = await drain({
    delay: DELAY,
    over: OVER,
    onProgress: ({ open }) => console.log(`${open} connections are left`),
  });
  console.log(`${closed} connections closed, ${cut} cut`);
  // Ends the workers, and what /healthz was still answered by.
  await shutdown();
}

process.once('SIGTERM', () => {
  // A second signal means that there is no time: what is left is closed at once.
  process.on('SIGTERM', () => void drain({ over: 0 }));
  void leave();
});

console.log(`http://${server.address}:${server.port} (WebSockets on port ${server.port} at /ws)`);
