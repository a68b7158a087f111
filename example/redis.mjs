// The Redis that example/cluster and example/helper meet on: the one that REDIS_URL names, or one
// of the example's own, on a free port, which ends with it.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_DEADLINE = 10_000;
const missing = (command) => `There is no redis-server on this machine. Install it:

    apt-get install redis-server          Debian, Ubuntu
    brew install redis                    macOS

or let this example use one that runs already:

    REDIS_URL=redis://127.0.0.1:6379 ${command}`;

/**
 * @param {string} command what starts the example, for the message that there is no Redis
 * @returns {Promise<{ url: string, own: boolean, running: boolean, start: () => Promise<void>,
 * stop: () => Promise<void>, close: () => Promise<void> }>} `start` and `stop` are only for the
 * example's own.
 */
export async function findRedis(command) {
  if (process.env.REDIS_URL) {
    return { url: process.env.REDIS_URL, own: false, running: true, start: async () => {}, stop: async () => {}, close: async () => {} };
  }
  if (spawnSync('redis-server', ['--version']).status !== 0) throw new Error(missing(command));
  const redis = new OwnRedis(await freePort());
  await redis.start();
  return redis;
}

class OwnRedis {
  own = true;
  #port;
  #child;
  #exited;
  #folder = mkdtempSync(join(tmpdir(), 'wsbroker-example-'));

  constructor(port) {
    this.#port = port;
    this.url = `redis://127.0.0.1:${port}`;
  }

  get running() {
    return this.#child !== undefined;
  }

  async start() {
    if (this.running) return;
    const options = ['--port', `${this.#port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    // The shell waits for the end of its input, which ends with ours, however we end: no Redis is
    // left behind.
    const child = spawn('sh', ['-c', 'redis-server "$@" < /dev/null & read -r end; kill -9 $!', 'sh', ...options], {
      cwd: this.#folder,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', resolve));
    const deadline = Date.now() + START_DEADLINE;
    while (!(await answers(this.#port))) {
      if (Date.now() > deadline) throw new Error(`redis-server did not listen on port ${this.#port} within ${START_DEADLINE} ms`);
      await sleep(20);
    }
  }

  /** Like a crash: without telling anyone. */
  async stop() {
    this.#child?.stdin.end();
    await this.#exited;
    this.#child = undefined;
  }

  async close() {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
