// A redis-server of the test's own, on a free port.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { until } from '../e2e/harness.mjs';
import { freePort } from '../free-port.mjs';

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => socket.destroy());
    socket.on('connect', () => socket.destroy());
  });
}

/** Tells a Redis to be a Cluster of itself. */
async function alone(port) {
  const socket = connect(port, '127.0.0.1');
  let said = '';
  socket.on('data', (data) => (said += data)).on('error', () => {});
  socket.write('CLUSTER ADDSLOTSRANGE 0 16383\r\n');
  await until(() => said !== '', 'the slots are given');
  await until(() => {
    if (said.includes('cluster_state:ok')) return true;
    socket.write('CLUSTER INFO\r\n');
    return false;
  }, 'the Cluster is there');
  socket.destroy();
}

/**
 * Ends with the test `t`. `url`, `kill()`, `run()`, `signal(name)`; `count(field)`: a number of its `INFO stats`. With `cluster` it is the one node of a Cluster; with `tls`, a certificate and its key, there is also
 * `tlsPort`; `args` are more arguments of its own. The node of a Cluster has a port for the others, too.
 */
export async function startRedis(t, { cluster = false, tls, args = [] } = {}) {
  const port = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), 'wsbroker-redis-'));
  const tlsPort = tls === undefined ? undefined : await freePort();
  const more = [...args];
  if (cluster || args.includes('--cluster-enabled')) more.push('--cluster-announce-ip', '127.0.0.1', '--cluster-port', await freePort());
  if (cluster) more.push('--cluster-enabled', 'yes');
  if (tls !== undefined) {
    for (const name of ['cert', 'key']) writeFileSync(path.join(folder, `${name}.pem`), tls[name]);
    more.push('--tls-port', tlsPort, '--tls-cert-file', 'cert.pem', '--tls-key-file', 'key.pem', '--tls-auth-clients', 'no');
  }
  let child;
  const run = async () => {
    child = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...more], { cwd: folder, stdio: 'ignore' });
    const own = child;
    await until(async () => own.exitCode !== null || await listens(port), 'redis-server listens');
    if (own.exitCode !== null) throw new Error(`redis-server ended with code ${own.exitCode}`);
    if (cluster) await alone(port);
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
  return { port, tlsPort, url: `redis://127.0.0.1:${port}`, run, kill, count, signal: (name) => child.kill(name) };
}

/** A Sentinel that watches this Redis under that name, and alone decides that it is gone after half a second. Ends with the test. */
export async function startSentinel(t, name, { port: primary }) {
  const port = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), 'wsbroker-sentinel-'));
  const file = path.join(folder, 'sentinel.conf');
  writeFileSync(file, [
    `port ${port}`, 'bind 127.0.0.1', `sentinel monitor ${name} 127.0.0.1 ${primary} 1`,
    `sentinel down-after-milliseconds ${name} 500`, `sentinel failover-timeout ${name} 5000`, '',
  ].join('\n'));
  const child = spawn('redis-server', [file, '--sentinel'], { cwd: folder, stdio: 'ignore' });
  t.after(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill('SIGKILL')) await gone;
    rmSync(folder, { recursive: true, force: true });
  });
  await until(async () => child.exitCode !== null || await listens(port), 'the Sentinel listens');
  if (child.exitCode !== null) throw new Error(`the Sentinel ended with code ${child.exitCode}`);
  return { port };
}
