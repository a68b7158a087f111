// Runs the programs of the documentation as a reader would: the package is packed as it was built
// here, installed into an empty folder, and each program is pasted into a folder below it. Other
// packages that a program imports are the developer tools of this repository. Only addresses are
// changed, since they may be taken here: each port that a program names (PORTS) becomes a free one,
// and 6379 that of a redis-server which is started for the program.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { freePort } from '../free-port.mjs';
import { startRedis } from '../redis/redis.mjs';
import { findBun, findNode, NODE_VERSIONS } from '../runner/runtimes.mjs';
import { root } from './pages.mjs';

const DEADLINE = 20_000;
const PORTS = [8080, 8081, 8082, 8443, 3000, 9090];
/**
 * What runs a program. `newest`: the newest Node that the tests know, which runs TypeScript by
 * itself. `compiled`: the program's own tsconfig.json compiles it into dist/, and this Node runs
 * that.
 */
const RUNTIMES = {
  node: () => ({ binary: process.execPath }),
  compiled: () => ({ binary: process.execPath }),
  bun: findBun,
  newest: () => findNode(NODE_VERSIONS.at(-1)),
};
export const windows = process.platform === 'win32';

export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${DEADLINE} ms: ${what()}`)), DEADLINE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function must(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000, shell: windows && command === 'npm', ...options });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
  return stdout;
}

/** A folder for everything here, gone when the process ends. */
export const folder = mkdtempSync(path.join(tmpdir(), 'wsb-docs-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

export function pack(where) {
  const [{ filename }] = JSON.parse(must('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: where }));
  return path.join(folder, filename);
}

let packed;
export const tarball = () => (packed ??= pack(root));

/** An empty folder with the package installed from its tarball; nothing comes from elsewhere. */
export function project(name, archives = [tarball()]) {
  const where = path.join(folder, name);
  mkdirSync(where);
  writeFileSync(path.join(where, 'package.json'), '{ "private": true }\n');
  must('npm', ['install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', ...archives], { cwd: where });
  return where;
}

let installed;
/** The folder that all programs are below of. */
function installation() {
  if (installed) return installed;
  installed = project('programs');
  linkTools(path.join(installed, 'node_modules'));
  return installed;
}

/** The developer tools, as packages that a reader has installed. */
export function linkTools(modules) {
  const tools = path.join(root, 'node_modules');
  const names = readdirSync(tools).flatMap((name) => (name.startsWith('@') ? readdirSync(path.join(tools, name)).map((one) => `${name}/${one}`) : [name]));
  for (const name of names) {
    const link = path.join(modules, name);
    if (name.startsWith('.') || existsSync(link)) continue;
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(path.join(tools, name), link, 'junction');
  }
}

/** Why a runtime is not here, if it is not. */
export const missing = async (runtime) => (await RUNTIMES[runtime]()).why;

let count = 0;

/**
 * Pastes a program and starts it. Resolves when it says where it listens, or has ended: `url` and
 * `urls`, where it listens; `child`; `exited`, a promise; `said()`, its output so far.
 */
export async function running(t, { page, name, files, entry }, runtime, prepare) {
  const where = path.join(installation(), `${name}-${count++}`);
  mkdirSync(where);
  const everything = Object.values(files).join('\n');
  const ports = new Map();
  for (const port of PORTS) if (new RegExp(`\\b${port}\\b`).test(everything)) ports.set(String(port), await freePort());
  if (/\b6379\b/.test(everything)) ports.set('6379', (await startRedis(t)).port);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(where, file)), { recursive: true });
    writeFileSync(path.join(where, file), text.replace(/\b\d{4}\b/g, (port) => ports.get(port) ?? port));
  }
  await prepare?.(where);
  if (runtime === 'compiled') must(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], { cwd: where });
  const { binary } = await RUNTIMES[runtime]();
  const started = runtime === 'compiled' ? `dist/${entry.replace(/ts$/, 'js')}` : entry;
  // A file of node:test runs as a program of its own only without this.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(binary, [started], { cwd: where, env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  const said = () => text;
  const exited = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const listening = () => [...text.matchAll(/listening on (wss?:[^\s,]+)/g)].map(([, url]) => url);
  const heard = new Promise((resolve) => {
    const look = (chunk) => {
      text += chunk;
      if (listening().length > 0) resolve();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
  });
  const ended = exited.then((end) => assert.deepEqual(end, { code: 0, signal: null }, `${page}: "${name}" ended with ${JSON.stringify(end)}:\n${text}`));
  await within(Promise.race([heard, ended]), () => `${page}: "${name}" to listen or to end:\n${text}`);
  return { url: listening()[0], urls: listening(), child, exited, said, ports, folder: where };
}
