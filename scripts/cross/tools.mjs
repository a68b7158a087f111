// What a build for another platform needs: zig to link with, cargo-zigbuild between cargo and zig,
// and Rust's standard library for the target. What the machine has comes first. `fetchTools` gets
// the rest from PyPI and from Debian into test/.cache/tools, and changes nothing of the system.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { command, must, works } from './commands.mjs';
import { Debian } from './debian.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const tools = path.join(root, 'test/.cache/tools');

const PYTHON_PACKAGES = ['ziglang==0.17.1', 'cargo-zigbuild==0.24.1'];
const python = path.join(tools, 'python');
const fetchedZig = path.join(python, 'ziglang/zig');
const fetchedZigbuild = path.join(python, 'bin/cargo-zigbuild');
/** Whole, or not there: a fetch that was interrupted is not trusted. */
const pythonDone = path.join(python, '.done');

/** What rustc says of itself. */
export function rustc() {
  const said = command('rustc', ['-vV']).stdout ?? '';
  const sysroot = command('rustc', ['--print', 'sysroot']).stdout?.trim() ?? '';
  const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(said)?.[1] ?? '';
  return { host: field('host'), release: field('release'), sysroot };
}

export function zig() {
  if (works('zig', 'version')) return 'zig';
  return existsSync(pythonDone) ? fetchedZig : undefined;
}

export function zigbuild() {
  if (works('cargo-zigbuild', '--version')) return 'cargo-zigbuild';
  return existsSync(pythonDone) ? fetchedZigbuild : undefined;
}

/**
 * Rust's standard library for a target: { ready: true } if it is installed, { source } if it can
 * be built, or undefined.
 */
export function standardLibrary(triple) {
  const { sysroot, release } = rustc();
  if (existsSync(path.join(sysroot, 'lib/rustlib', triple, 'lib'))) return { ready: true };
  const source = [path.join(sysroot, 'lib/rustlib/src/rust/library'), fetchedSource(release)].find((folder) => existsSync(path.join(folder, 'Cargo.lock')));
  return source && { source };
}

const fetchedSource = (release) => path.join(tools, `rust-src-${release}/usr/src/rustc-${release}/library`);

/**
 * Gets what is missing to build for these. The source of the standard library has to be of rustc's
 * own version, and Debian may not have that one.
 *
 * @returns what could not be had, one sentence each
 */
export function fetchTools(triples) {
  const lacks = [];
  mkdirSync(tools, { recursive: true });
  if (zig() === undefined || zigbuild() === undefined) {
    rmSync(python, { recursive: true, force: true });
    must('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--disable-pip-version-check', '--target', python, ...PYTHON_PACKAGES]);
    writeFileSync(pythonDone, '');
  }
  const { release } = rustc();
  const without = triples.filter((triple) => standardLibrary(triple) === undefined);
  if (without.length > 0) {
    const folder = path.join(tools, `rust-src-${release}`);
    const debian = new Debian(path.join(tools, 'debian'), ['amd64']);
    const version = debian.version('rust-src', `${release}+`);
    if (version === undefined) lacks.push(`Debian has no source of Rust's standard library ${release}. With rustup there is a library for each target: rustup target add ${without.join(' ')}`);
    else debian.unpack([`rust-src=${version}`], folder);
  }
  return lacks;
}
