import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { freePort } from '../../test/free-port.mjs';

/** A Redis that has not begun by then will not. */
const START_DEADLINE = 10_000;

/**
 * A redis-server of the benchmark's own, with its defaults but for the files it would write.
 * `stop()` resolves when its process is gone.
 */
export class Redis {
  #child;
  #exited;
  #folder;

  constructor(child, exited, folder, port) {
    this.#child = child;
    this.#exited = exited;
    this.#folder = folder;
    this.pid = child.pid;
    this.address = `127.0.0.1:${port}`;
    this.url = `redis://${this.address}`;
  }

  /**
   * @param {string[]} prefix what comes before the command, such as taskset; it must become the
   * command, as that does
   */
  static async start(prefix) {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'wsbroker-bench-redis-'));
    const [file, ...args] = [...prefix, 'redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const child = spawn(file, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const redis = new Redis(child, exited, folder, port);
    try {
      await new Promise((resolve, reject) => {
        child.once('error', (error) => reject(error.code === 'ENOENT' ? new Error(`${file} is not there; the benchmark of several instances needs redis-server 7`) : error));
        exited.then((code) => reject(new Error(`redis-server ended at start, with code ${code}`)));
        setTimeout(reject, START_DEADLINE, new Error(`redis-server was not ready within ${START_DEADLINE} ms`)).unref();
        createInterface({ input: child.stdout }).on('line', (line) => line.includes('Ready to accept connections') && resolve());
      });
      return redis;
    } catch (error) {
      await redis.stop();
      throw error;
    }
  }

  async stop() {
    if (this.#child.pid !== undefined) {
      this.#child.kill('SIGKILL');
      await this.#exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
