// Builds the addon into lib/ and compiles src/ there.
//
//   node scripts/build.mjs [--debug | --quick]
//
// --debug   without optimization, for work on the addon
// --quick   the same, without what only tests need: for a first look. `npm start` does it
//
// An installed package has no developer tools: cargo alone builds the addon, and the compiled
// TypeScript is already there.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { pathFlags } from './path-flags.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { debug = false, quick = false } = parseArgs({ options: { debug: { type: 'boolean' }, quick: { type: 'boolean' } } }).values;
/** The profile of Cargo.toml, and its folder under target/. */
const profile = quick ? 'quick' : debug ? 'dev' : 'release';
const profileFolder = profile === 'dev' ? 'debug' : profile;

mkdirSync(join(root, 'lib'), { recursive: true });
if (profile === 'release') withoutPaths();
if (has('@napi-rs/cli') && !quick) await buildWithNapi();
else buildWithCargo();
noteProfile();
if (has('typescript')) {
  // Not in the published package, whose lib/ is complete.
  const { writeLoaderSource } = await import('./packages.mjs');
  writeLoaderSource();
  const { compile } = await import('./compile.mjs');
  await compile();
}

function withoutPaths() {
  const flags = pathFlags(root);
  const { CARGO_ENCODED_RUSTFLAGS: encoded, RUSTFLAGS: plain = '' } = process.env;
  if (encoded !== undefined) process.env.CARGO_ENCODED_RUSTFLAGS = [encoded, ...flags].filter(Boolean).join('\x1f');
  // The variable cannot hold a path with a space, and napi-rs adds flags of its own to it.
  else process.env.RUSTFLAGS = [plain, ...flags.filter((flag) => !flag.includes(' '))].filter(Boolean).join(' ');
}

/** What the addon in lib/ is, for tests that concern one kind only. */
function noteProfile() {
  mkdirSync(join(root, 'target'), { recursive: true });
  writeFileSync(join(root, 'target', 'addon.json'), JSON.stringify({ profile }));
}

async function buildWithNapi() {
  const { NapiCli } = await import('@napi-rs/cli');
  // Not in the published package, where this function is not called.
  const { DECLARATIONS, writeGenerated } = await import('./native-types.mjs');
  const { task } = await new NapiCli().build({
    cwd: root,
    package: 'wsbroker',
    manifestPath: 'crates/wsbroker/Cargo.toml',
    packageJsonPath: 'package.json',
    outputDir: 'lib',
    platform: true,
    release: !debug,
    noJsBinding: true,
    dts: `../${DECLARATIONS}`,
  });
  await task;
  writeGenerated();
}

function buildWithCargo() {
  const compiled = join(root, 'lib', 'native', 'target.cjs');
  if (!existsSync(compiled)) throw new Error('the developer tools are missing: run npm install first');
  const { platformTarget } = require(compiled);
  run('cargo', ['build', '--package', 'wsbroker', '--locked', '--profile', profile]);
  const { target_directory: target } = JSON.parse(run('cargo', ['metadata', '--format-version=1', '--no-deps'], 'pipe'));
  const file = { darwin: 'libwsbroker.dylib', win32: 'wsbroker.dll' }[process.platform] ?? 'libwsbroker.so';
  const addon = join(root, 'lib', `wsbroker.${platformTarget()}.node`);
  // A new file: overwriting one that a process has loaded would crash it.
  copyFileSync(join(target, profileFolder, file), `${addon}.new`);
  if (existsSync(addon)) rmSync(addon);
  renameSync(`${addon}.new`, addon);
}

/**
 * Finds only tools of this package itself, not those of the application that it is installed in.
 */
function has(tool) {
  return existsSync(join(root, 'node_modules', tool, 'package.json'));
}

function run(command, args, stdout = 'inherit') {
  const { status, error, stdout: output } = spawnSync(command, args, { cwd: root, stdio: ['ignore', stdout, 'inherit'], encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (error?.code === 'ENOENT') throw new Error(`${command} is missing; the addon needs Rust: https://rustup.rs`);
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
  return output;
}
