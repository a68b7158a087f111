// `npm run cross`: builds the addon for targets other than this machine's. `npm run cross --
// linux-arm64-musl darwin-arm64` builds these two; without a name it builds all. Each addon goes to
// lib/ and to its package under platforms/.
//
// Linux and macOS targets are linked by zig (cargo-zigbuild), Windows ones by cargo-xwin. The
// script says what is missing and how to get it, and installs nothing. It cannot run cross-compiled
// addons: that takes a machine of their kind.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { platform } from './platforms.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const main = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const platforms = main.napi.targets.map(platform);

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !platforms.some((one) => one.name === name));
if (unknown.length > 0) {
  console.error(`unknown target: ${unknown.join(', ')}; expected one of ${platforms.map((one) => one.name).join(', ')}`);
  process.exit(2);
}

const works = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const installed = spawnSync('rustup', ['target', 'list', '--installed'], { encoding: 'utf8' }).stdout ?? '';
const host = /^host: (.*)$/m.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout ?? '')?.[1];

/** What this target needs and this machine lacks, each with the command that installs it. */
function missing({ triple, os }) {
  if (triple === host) return [];
  const lacks = [];
  if (!installed.split('\n').includes(triple)) lacks.push(['the standard library of Rust for it', `rustup target add ${triple}`]);
  if (os === 'win32') {
    if (!works('cargo', 'xwin', '--version')) lacks.push(['cargo-xwin', 'cargo install cargo-xwin']);
  } else {
    if (!works('cargo', 'zigbuild', '--help')) lacks.push(['cargo-zigbuild', 'cargo install cargo-zigbuild']);
    if (!works('zig', 'version')) lacks.push(['zig', 'pip install ziglang, or https://ziglang.org/download']);
  }
  return lacks;
}

let failed = 0;
for (const one of platforms) {
  if (asked.length > 0 && !asked.includes(one.name)) continue;
  const lacks = missing(one);
  if (lacks.length > 0) {
    console.log(`${one.name}: not built. It needs ${lacks.map(([what, how]) => `${what} (${how})`).join(' and ')}`);
    failed++;
    continue;
  }
  console.log(`${one.name}: building for ${one.triple}`);
  const args = ['scripts/build.mjs', '--native-only', '--target', one.triple, ...(one.triple === host ? [] : ['--cross'])];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  const file = `${main.name}.${one.name}.node`;
  if (status !== 0 || !existsSync(path.join(root, 'lib', file))) {
    console.log(`${one.name}: FAILED`);
    failed++;
    continue;
  }
  copyFileSync(path.join(root, 'lib', file), path.join(root, 'platforms', one.name, file));
  console.log(`${one.name}: lib/${file} and platforms/${one.name}/${file}`);
}
process.exitCode = failed > 0 ? 1 : 0;
