// A redis-server of the test's own, on a free port.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { until } from '../e2e/harness.mjs';

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => socket.destroy());
    socket.on('connect', () => socket.destroy());
  });
}

/** Ends with the test `t`. `url`, `kill()`, `run()`; `count(field)`: a number of its `INFO stats`. */
export async function startRedis(t) {
  const port = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), 'wsbroker-redis-'));
  let child;
  const run = async () => {
    child = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { cwd: folder, stdio: 'ignore' });
    await until(() => listens(port), 'redis-server listens');
  };
  const kill = () => new Promise((resolve) => {
    if (child === undefined) return resolve();
    child.once('exit', resolve);
    child.kill('SIGKILL');
    child = undefined;
  });
  t.after(async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });
  await run();
  const count = (field) => new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('INFO stats\r\n'));
    let answer = '';
    socket.setEncoding('utf8').on('data', (text) => {
      answer += text;
      const found = new RegExp(`^${field}:(\\d+)\r\n`, 'mu').exec(answer);
      if (found) {
        resolve(Number(found[1]));
        socket.destroy();
      }
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`INFO stats has no ${field}`)));
  });
  return { port, url: `redis://127.0.0.1:${port}`, run, kill, count };
}
