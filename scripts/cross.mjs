// Builds the addon for other platforms than this machine's.
//
//   npm run cross                              all platforms that are released
//   npm run cross -- linux-arm64-musl ...      these
//   npm run cross -- --check win32-x64-msvc    only compiles, and links nothing
//   npm run cross -- --tools                   gets what a build needs, into test/.cache/tools
//   npm run cross -- --debug ...               quick to build, for tests
//   npm run cross -- --debug win32-x64-gnu     for tests of Windows on Linux, not released
//
// An optimized addon goes to its package under platforms/, where packing finds it; one for tests to
// target/cross/. zig links for Linux, and for macOS with Apple's SDK. A Windows addon for release is
// built on Windows: from here it can be compiled, and MinGW makes one for tests. Rust's standard
// library is rustup's if it is installed, else it is built along, which needs its source.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { command, works } from './cross/commands.mjs';
import { fetchTools, root, rustc, standardLibrary, tools, zig, zigbuild } from './cross/tools.mjs';
import { mismatch, OLDEST_GLIBC, tooNew } from './pack/format.mjs';
import { pathFlags } from './path-flags.mjs';
import { platform } from './platforms.mjs';

const main = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const released = main.napi.targets.map(platform);
/** Built as MinGW does it, so that what is particular to Windows can be tried in Wine. */
const standIn = platform('x86_64-pc-windows-gnu');

const { values: flags, positionals: asked } = parseArgs({
  options: { check: { type: 'boolean' }, debug: { type: 'boolean' }, tools: { type: 'boolean' } },
  allowPositionals: true,
});
const possible = flags.debug ? [...released, standIn] : released;
const unknown = asked.filter((name) => !possible.some((one) => one.name === name));
if (unknown.length > 0) {
  console.error(`unknown target: ${unknown.join(', ')}; expected one of ${possible.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const { host } = rustc();
let failed = 0;
const wanted = asked.length > 0 ? possible.filter(({ name }) => asked.includes(name)) : released;
if (flags.tools) {
  for (const lack of fetchTools(wanted.map(({ triple }) => triple))) {
    console.log(lack);
    failed++;
  }
}
if (!flags.tools || asked.length > 0) {
  for (const one of wanted) {
    const problem = missing(one) ?? make(one);
    if (problem !== undefined) failed++;
    console.log(`${one.name}: ${problem ?? (flags.check ? 'compiles' : path.relative(root, outcome(one)))}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;

/** Why this target cannot be built on this machine, or undefined. */
function missing(one) {
  const { triple, os, name } = one;
  if (plain(one)) return undefined;
  const lacks = [];
  if (native(os)) {
    if (standardLibrary(triple)?.ready !== true) return `NOT BUILT: it needs the standard library of Rust for it: rustup target add ${triple}`;
    return undefined;
  }
  if (one === standIn) {
    if (!works('x86_64-w64-mingw32-gcc', '--version')) lacks.push('MinGW (apt-get install gcc-mingw-w64-x86-64-win32)');
  } else if (!flags.check) {
    const where = { win32: 'on Windows only', darwin: process.env.SDKROOT ? undefined : "on macOS, or with Apple's SDK in SDKROOT" }[os];
    if (where !== undefined) return `NOT BUILT: it is linked ${where}. Here it can be compiled: npm run cross -- --check ${name}`;
  }
  if (one !== standIn && zig() === undefined) lacks.push('zig');
  if (one !== standIn && zigbuild() === undefined) lacks.push('cargo-zigbuild');
  if (standardLibrary(triple) === undefined) lacks.push(`the standard library of Rust for ${triple}, or its source (rustup target add ${triple})`);
  return lacks.length > 0 ? `NOT BUILT: it needs ${lacks.join(' and ')}. To get them into test/.cache/tools: npm run cross -- --tools` : undefined;
}

/** Whether this system's own tools build for its other processors. */
function native(os) {
  return os !== 'linux' && os === process.platform;
}

/**
 * Whether cargo alone does it. An addon for Linux is linked by zig on Linux itself, too: the system's
 * linker would make it need the glibc of this machine.
 */
function plain({ triple, os }) {
  return triple === host && (os !== 'linux' || flags.check === true);
}

/** Where the addon goes. */
function outcome({ name }) {
  return path.join(root, flags.debug ? 'target/cross' : 'platforms', name, `${main.napi.binaryName}.${name}.node`);
}

/** Builds or checks. Returns what went wrong, or undefined. */
function make(one) {
  const { triple, os, libc } = one;
  const profile = flags.debug ? 'dev' : 'release';
  const library = triple === host || native(os) ? { ready: true } : standardLibrary(triple);
  const args = ['--package', 'wsbroker', '--locked', '--profile', profile];
  const env = { PATH: `${links()}${path.delimiter}${process.env.PATH}` };
  if (library.source !== undefined) {
    args.push('-Zbuild-std=std,panic_abort,panic_unwind,proc_macro');
    // Makes a stable compiler take -Zbuild-std, and says where the source is if it is not where
    // rustup would put it.
    Object.assign(env, { RUSTC_BOOTSTRAP: '1', __CARGO_TESTS_ONLY_SRC_ROOT: library.source });
  }
  // An addon is a shared library, which Rust does not make for musl unless libc is shared, too.
  const own = libc === 'musl' ? ['-Ctarget-feature=-crt-static'] : [];
  if (!flags.debug) own.push(...pathFlags(root, library.source));
  if (own.length > 0) env.CARGO_ENCODED_RUSTFLAGS = [...given(), ...own].join('\x1f');
  // What would make a second build faster is as large as the rest.
  if (flags.debug) Object.assign(env, { CARGO_PROFILE_DEV_DEBUG: '0', CARGO_INCREMENTAL: '0' });
  const foreign = !plain(one) && !native(os);
  const cross = foreign && os !== 'win32';
  if (one === standIn) {
    // Node's functions are looked up when the addon is loaded: there is nothing to link with, and
    // napi-build wants to see a library all the same.
    args.push('--features', 'napi/dyn-symbols');
    env.LIBNODE_PATH = emptyLibnode();
  } else if (foreign && flags.check && os === 'win32') Object.assign(env, compilers(triple));
  args.push('--target', cross && libc === 'glibc' ? `${triple}.${OLDEST_GLIBC}` : triple);
  const verb = flags.check ? 'check' : cross ? 'zigbuild' : 'build';
  const { status, error } = command(cross ? zigbuild() : 'cargo', [verb, ...args], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env });
  if (error !== undefined) return `NOT BUILT: ${error.message}`;
  if (status !== 0) return 'FAILED';
  if (flags.check) return undefined;
  const file = { win32: 'wsbroker.dll', darwin: 'libwsbroker.dylib' }[os] ?? 'libwsbroker.so';
  const made = path.join(root, 'target', triple, flags.debug ? 'debug' : 'release', file);
  if (!existsSync(made)) return `FAILED: ${path.relative(root, made)} is not there`;
  const wrong = mismatch(one, made) ?? (cross ? tooNew(one, made) : undefined);
  if (wrong !== undefined) return `FAILED: ${path.relative(root, made)} ${wrong}`;
  mkdirSync(path.dirname(outcome(one)), { recursive: true });
  // A new file: overwriting one that a process has loaded would crash it.
  rmSync(outcome(one), { force: true });
  copyFileSync(made, outcome(one));
  return undefined;
}

/** Flags for rustc that the environment has. */
function given() {
  const { CARGO_ENCODED_RUSTFLAGS: encoded, RUSTFLAGS: plain = '' } = process.env;
  return (encoded !== undefined ? encoded.split('\x1f') : plain.split(' ')).filter(Boolean);
}

function emptyLibnode() {
  const folder = path.join(tools, 'libnode');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'libnode.dll'), '');
  writeFileSync(path.join(folder, 'libnode.a'), '!<arch>\n');
  return folder;
}

/** A folder with the tools under the names by which they are called. */
function links() {
  const folder = path.join(tools, 'bin');
  mkdirSync(folder, { recursive: true });
  for (const [name, file] of [['zig', zig()], ['cargo-zigbuild', zigbuild()]]) {
    if (file === undefined || file === name) continue;
    rmSync(path.join(folder, name), { force: true });
    symlinkSync(file, path.join(folder, name));
  }
  return folder;
}

/**
 * For a check: the C code of dependencies is compiled because their build scripts do so, and is
 * never linked. So any compiler for this processor will do.
 */
function compilers(triple) {
  const folder = path.join(tools, 'bin');
  const target = `${triple.split('-')[0]}-windows-gnu`;
  const written = (name, text) => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    chmodSync(file, 0o755);
    return file;
  };
  const id = triple.replaceAll('-', '_');
  return {
    // The target that build scripts give is one that zig has under another name.
    [`CC_${id}`]: written(
      `cc-${triple}`,
      `#!/bin/sh
for given do
  shift
  case $given in --target=*) ;; *) set -- "$@" "$given" ;; esac
done
exec zig cc -target ${target} "$@"
`,
    ),
    // They archive as MSVC does it.
    [`AR_${id}`]: written(`ar-${triple}`, '#!/bin/sh\nexec zig lib "$@"\n'),
  };
}
