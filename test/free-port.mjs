// Ports for programs that must be told theirs before they listen.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below what systems give to outgoing connections (32768 on Linux, 49152 elsewhere), so that none of these takes the port before its program does. */
const [FIRST, BEYOND] = [10_000, 30_000];
const ATTEMPTS = 100;

/** A port of 127.0.0.1 that nobody listens on, now, and that nobody gets by chance. */
export async function freePort() {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FIRST, BEYOND);
    const server = createServer();
    const free = await new Promise((resolve) => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)));
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  throw new Error(`none of ${ATTEMPTS} ports from ${FIRST} to ${BEYOND - 1} is free`);
}
