// Bundlers, and what they make of a program with wsbroker: each bundle runs in another folder than
// the one it was made in. With handlers on the calling thread, wsbroker may be in the bundle; the
// threads of a pool need it beside.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import WebSocket from 'ws';

import { loaderSource, mainManifest, root } from '../../scripts/packages.mjs';
import { findBun } from '../runner/runtimes.mjs';

const require = createRequire(import.meta.url);
const { platformTarget } = require('../../lib/native/target.cjs');
const DEADLINE = 60_000;
const windows = process.platform === 'win32';

const POOL = {
  'server.mjs': `
import { shutdown, start } from 'wsbroker';
start({ bind: '127.0.0.1:0', workerPath: new URL('./worker.mjs', import.meta.url), threads: 1 }).then((server) => {
  process.once('SIGTERM', () => shutdown());
  console.log(server.url);
});`,
  'worker.mjs': `
import { send } from 'wsbroker';
export function handleTextMessage(text, socketId) { send(socketId, \`heard \${text}\`); }`,
};
const ONE_THREAD = {
  'server.mjs': `
import { registerWorkerThread, send, shutdown, start } from 'wsbroker';
registerWorkerThread({ handleTextMessage: (text, socketId) => send(socketId, \`heard \${text}\`) });
start({ bind: '127.0.0.1:0', threads: 0 }).then((server) => {
  process.once('SIGTERM', () => shutdown());
  console.log(server.url);
});`,
};

const folder = mkdtempSync(path.join(tmpdir(), 'wsb-bundlers-'));
const modules = path.join(folder, 'app/node_modules');
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

before(() => {
  // As a release is installed: the addon is in the package of the platform.
  const target = platformTarget();
  const own = `wsbroker-${target}`;
  const main = { ...mainManifest(), optionalDependencies: { [own]: mainManifest().version } };
  cpSync(path.join(root, 'lib'), path.join(modules, 'wsbroker/lib'), { recursive: true, filter: (file) => !file.endsWith('.node') });
  writeFileSync(path.join(modules, 'wsbroker/lib/native/packages.cjs'), loaderSource(main, { compiled: true }));
  const { name, version, exports, main: entry } = main;
  writeFileSync(path.join(modules, 'wsbroker/package.json'), JSON.stringify({ name, version, exports, main: entry, optionalDependencies: main.optionalDependencies }));
  mkdirSync(path.join(modules, own));
  writeFileSync(path.join(modules, own, 'package.json'), JSON.stringify({ name: own, version, main: 'addon.node' }));
  copyFileSync(path.join(root, 'lib', `wsbroker.${target}.node`), path.join(modules, own, 'addon.node'));
  for (const [name, files] of Object.entries({ pool: POOL, one: ONE_THREAD })) {
    mkdirSync(path.join(folder, 'app', name));
    for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder, 'app', name, file), text);
  }
});

const source = (name) => path.join(folder, 'app', name, 'server.mjs');
let count = 0;
/** An empty folder, away from the one that the bundle is made in. With `modules`, wsbroker is beside. */
function elsewhere({ withModules = false } = {}) {
  const where = path.join(folder, `out${count++}`);
  mkdirSync(where);
  if (withModules) cpSync(modules, path.join(where, 'node_modules'), { recursive: true });
  return where;
}

function must(command, args, options) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: DEADLINE, ...options });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Runs the server, talks to it, and ends it. */
async function talks(command, args, env = {}) {
  const { WSBROKER_BINARY: _, ...rest } = process.env;
  const child = spawn(command, args, { cwd: folder, env: { ...rest, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE);
  let said = '';
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  try {
    const url = await new Promise((resolve, reject) => {
      const look = (chunk) => {
        said += chunk;
        const [found] = /ws:\/\/\S+/.exec(said) ?? [];
        if (found) resolve(found);
      };
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      child.once('error', reject);
      ended.then((end) => reject(new Error(`it ended with ${end}:\n${said}`)));
    });
    const socket = new WebSocket(url);
    const heard = await new Promise((resolve, reject) => {
      socket.once('open', () => socket.send('a bundle'));
      socket.once('message', (data) => resolve(String(data)));
      socket.once('error', reject);
      ended.then((end) => reject(new Error(`it ended with ${end}:\n${said}`)));
    });
    assert.equal(heard, 'heard a bundle');
    socket.close();
    child.kill('SIGTERM');
    const end = await ended;
    if (!windows) assert.equal(end, 0, said);
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

describe('bundlers', { timeout: 400_000 }, () => {
  test('esbuild: wsbroker in the bundle', async () => {
    const out = elsewhere();
    await (await import('esbuild')).build({ entryPoints: [source('one')], bundle: true, platform: 'node', format: 'cjs', outdir: out, loader: { '.node': 'copy' }, logLevel: 'silent' });
    await talks(process.execPath, [path.join(out, 'server.js')]);
  });

  test('esbuild: a pool, with wsbroker beside', async () => {
    const out = elsewhere({ withModules: true });
    const entryPoints = ['server', 'worker'].map((name) => path.join(folder, 'app/pool', `${name}.mjs`));
    await (await import('esbuild')).build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outdir: out, outExtension: { '.js': '.mjs' }, external: ['wsbroker'], logLevel: 'silent' });
    await talks(process.execPath, [path.join(out, 'server.mjs')]);
  });

  test('a pool whose wsbroker is in the bundle says what to do', async () => {
    const out = elsewhere();
    await (await import('esbuild')).build({ entryPoints: [source('pool')], bundle: true, platform: 'node', format: 'cjs', outdir: out, loader: { '.node': 'copy' }, logLevel: 'silent', define: { 'import.meta.url': JSON.stringify(pathToFileURL(source('pool')).href) } });
    const { status, stderr } = spawnSync(process.execPath, [path.join(out, 'server.js')], { encoding: 'utf8', timeout: DEADLINE });
    assert.notEqual(status, 0);
    assert.match(stderr, /wsbroker is in a bundle\. Leave it out \(with esbuild: --external:wsbroker\), or run the handlers on the calling thread \(threads: 0\)/);
  });

  const ncc = (args) => must(process.execPath, [require.resolve('@vercel/ncc/dist/ncc/cli.js'), 'build', ...args, '--no-cache']);
  test('ncc: wsbroker in the bundle', async () => {
    const out = elsewhere();
    ncc([source('one'), '--out', out]);
    await talks(process.execPath, [path.join(out, 'index.mjs')]);
  });

  test('ncc: a pool, with wsbroker beside', async () => {
    const out = elsewhere({ withModules: true });
    ncc([source('pool'), '--out', out, '--external', 'wsbroker']);
    await talks(process.execPath, [path.join(out, 'index.mjs')]);
  });

  test('@vercel/nft: a pool, from the files it traces', async () => {
    const out = elsewhere();
    const base = path.join(folder, 'app');
    const { nodeFileTrace } = await import('@vercel/nft');
    const { fileList } = await nodeFileTrace(['server', 'worker'].map((name) => path.join(base, 'pool', `${name}.mjs`)), { base });
    for (const file of fileList) cpSync(path.join(base, file), path.join(out, file));
    assert.ok(!existsSync(path.join(out, 'node_modules/wsbroker/lib/index.d.cts')), 'only what runs is traced');
    await talks(process.execPath, [path.join(out, 'pool/server.mjs')]);
  });

  test('bun build: wsbroker in the bundle, and a pool with wsbroker beside', async (t) => {
    const { binary: bun, why } = await findBun();
    if (bun === undefined) return t.skip(why);
    const one = elsewhere();
    must(bun, ['build', source('one'), '--target=node', `--outdir=${one}`]);
    await talks(process.execPath, [path.join(one, 'server.js')]);
    const pool = elsewhere({ withModules: true });
    must(bun, ['build', source('pool'), path.join(folder, 'app/pool/worker.mjs'), '--target=bun', '--external', 'wsbroker', `--outdir=${pool}`, '--entry-naming=[dir]/[name].mjs']);
    await talks(bun, [path.join(pool, 'server.mjs')]);
  });

  test('bun build --compile: one file, with the addon in it', async (t) => {
    const { binary: bun, why } = await findBun();
    if (bun === undefined) return t.skip(why);
    const file = path.join(elsewhere(), windows ? 'server.exe' : 'server');
    must(bun, ['build', '--compile', source('one'), `--outfile=${file}`]);
    await talks(file, []);
  });

  const [major] = process.versions.node.split('.').map(Number);
  test("Node's single executable applications: WSBROKER_BINARY names the addon", { skip: (major < 20 || process.platform !== 'linux') && 'tried with Node 20 and later, on Linux' }, async () => {
    const out = elsewhere();
    const bundle = path.join(out, 'server.cjs');
    await (await import('esbuild')).build({ entryPoints: [source('one')], bundle: true, platform: 'node', format: 'cjs', outfile: bundle, external: ['*.node'], loader: { '.node': 'copy' }, logLevel: 'silent' });
    const [config, blob, file] = ['sea.json', 'sea.blob', 'server'].map((name) => path.join(out, name));
    writeFileSync(config, JSON.stringify({ main: bundle, output: blob, disableExperimentalSEAWarning: true }));
    must(process.execPath, ['--experimental-sea-config', config]);
    copyFileSync(process.execPath, file);
    chmodSync(file, 0o755);
    await require('postject').inject(file, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2' });
    const addon = path.join(out, 'wsbroker.node');
    copyFileSync(path.join(modules, `wsbroker-${platformTarget()}`, 'addon.node'), addon);
    await talks(file, [], { WSBROKER_BINARY: addon });
  });
});
