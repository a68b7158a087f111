import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const servers = fileURLToPath(new URL('../servers/', import.meta.url));

/** A server that has not reported its port by then never will. */
const START_DEADLINE = 30_000;
/** Time after SIGTERM before SIGKILL. */
const STOP_DEADLINE = 3_000;

/**
 * `isThere` says whether a peer is compared when none is named.
 * @type {Record<string, { title: string, command: () => string[], isThere?: () => boolean }>}
 */
export const PEERS = {
  wsbroker: { title: 'wsbroker, Node', command: () => [process.execPath, join(servers, 'wsbroker.mjs')] },
  'wsbroker-newest': {
    title: 'wsbroker, newest Node',
    command: () => [newestNode() ?? fail('no other Node: run npm test -- package once, or name its file in BENCH_NODE_NEWEST'), join(servers, 'wsbroker.mjs')],
    isThere: () => newestNode() !== undefined,
  },
  // Only when it is named: what a history in memory adds to a publish.
  'wsbroker-history': {
    title: 'wsbroker, Node, with history',
    command: () => [process.execPath, join(servers, 'wsbroker.mjs'), '--history'],
    isThere: () => false,
  },
  'wsbroker-bun': { title: 'wsbroker, Bun', command: () => [bun(), join(servers, 'wsbroker.mjs')] },
  bun: { title: 'Bun.serve', command: () => [bun(), join(servers, 'bun.ts')] },
  ws: { title: 'ws, Node', command: () => [process.execPath, join(servers, 'ws.mjs')] },
};

/**
 * Those that are compared across two instances: told where Redis is by BENCH_REDIS. `path` is that
 * of the URL, `args` what the generator must know.
 * @type {Record<string, { title: string, command: () => string[], path?: string, args?: string[]
 * }>}
 */
export const BUS_PEERS = {
  wsbroker: PEERS.wsbroker,
  'wsbroker-bun': PEERS['wsbroker-bun'],
  bridge: { title: 'Bun.serve and ioredis', command: () => [bun(), join(servers, 'bridge.ts')] },
  socketio: {
    title: 'Socket.IO, Node',
    command: () => [process.execPath, join(servers, 'socketio.mjs')],
    path: 'socket.io/?EIO=4&transport=websocket',
    args: ['--socket-io'],
  },
};

/**
 * The peers with these names, in that order; without names, all.
 * @param {string[]} names
 */
export function choosePeers(names) {
  const unknown = names.find((name) => !Object.hasOwn(PEERS, name));
  if (unknown !== undefined) {
    throw new Error(`unknown peer "${unknown}", expected one of ${Object.keys(PEERS).join(', ')}`);
  }
  const there = Object.keys(PEERS).filter((name) => PEERS[name].isThere?.() ?? true);
  return (names.length === 0 ? there : names).map((name) => ({ name, ...PEERS[name] }));
}

/** Versions of all that is compared. */
export function versions() {
  const root = new URL('../../', import.meta.url);
  const text = (command, ...args) => {
    const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  };
  const changed = text('git', 'status', '--porcelain', '--', 'crates', 'src', 'bench', 'Cargo.lock');
  return {
    wsbroker: JSON.parse(readFileSync(new URL('package.json', root), 'utf8')).version,
    commit: text('git', 'rev-parse', 'HEAD'),
    ...(changed && { uncommitted: changed.split('\n').length }),
    node: process.version,
    newestNode: newestNode() && text(newestNode(), '--version'),
    bun: text(bun(), '--version'),
    ws: require('ws/package.json').version,
    rustc: text('rustc', '--version'),
  };
}

/**
 * `BENCH_NODE_NEWEST` in the environment, else the newest of those that the tests have installed.
 */
function newestNode() {
  if (process.env.BENCH_NODE_NEWEST) {
    return process.env.BENCH_NODE_NEWEST;
  }
  const cache = fileURLToPath(new URL('../../test/.cache/', import.meta.url));
  const versions = existsSync(cache) ? readdirSync(cache).filter((name) => /^node-\d/.test(name)) : [];
  const newest = versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  const modules = newest && join(cache, newest, 'node_modules');
  const folder = modules && existsSync(modules) ? readdirSync(modules).find((name) => name.startsWith('node-')) : undefined;
  return folder && join(modules, folder, 'bin', 'node');
}

function fail(message) {
  throw new Error(message);
}

/** `BUN` in the environment, else the binary of the dev dependency, else whatever PATH has. */
function bun() {
  if (process.env.BUN) {
    return process.env.BUN;
  }
  try {
    const file = join(dirname(require.resolve('bun/package.json')), 'bin', 'bun.exe');
    return existsSync(file) ? file : 'bun';
  } catch {
    return 'bun';
  }
}

/** A running server. `stop()` resolves when its process is gone. */
export class Server {
  #child;
  #exited;

  constructor(child, exited, scheme, { port, pid }) {
    this.#child = child;
    this.#exited = exited;
    this.url = `${scheme}://127.0.0.1:${port}/`;
    this.pid = pid;
  }

  /**
   * @param {{ name: string, command: () => string[] }} peer
   * @param {string[]} prefix what comes before the command, such as taskset
   * @param {Record<string, string>} [env] added to the environment; with BENCH_CERT it speaks TLS
   */
  static async start(peer, prefix, env) {
    const [file, ...args] = [...prefix, ...peer.command()];
    const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const failed = new Promise((_, reject) => child.once('error', reject));
    const lines = createInterface({ input: child.stdout });
    const line = new Promise((resolve) => lines.once('line', resolve));
    const deadline = AbortSignal.timeout(START_DEADLINE);
    const late = new Promise((_, reject) => {
      deadline.onabort = () => reject(new Error(`${peer.name} told no port within ${START_DEADLINE} ms`));
    });
    try {
      const early = exited.then((code) => Promise.reject(new Error(`${peer.name} ended at start, with code ${code}`)));
      early.catch(() => {}); // it ends some time, and then nobody waits for it here
      late.catch(() => {});
      const scheme = env?.BENCH_CERT ? 'wss' : 'ws';
      return new Server(child, exited, scheme, JSON.parse(await Promise.race([line, early, failed, late])));
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      deadline.onabort = null;
    }
  }

  async stop() {
    this.#child.kill();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE);
    await this.#exited;
    clearTimeout(timer);
  }
}
