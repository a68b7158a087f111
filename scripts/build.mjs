// Builds the addon into lib/ and compiles src/ there.
//
//   node scripts/build.mjs [--debug]
//
// In an installed package there are no developer tools: then cargo alone builds the addon, and the
// compiled TypeScript is there already.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { debug = false } = parseArgs({ options: { debug: { type: 'boolean' } } }).values;

mkdirSync(join(root, 'lib'), { recursive: true });
if (has('@napi-rs/cli')) await buildWithNapi();
else buildWithCargo();
if (has('typescript')) run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']);

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
  const compiled = join(root, 'lib', 'target.cjs');
  if (!existsSync(compiled)) throw new Error('the developer tools are not there: run npm install first');
  const { platformTarget } = require(compiled);
  run('cargo', ['build', '--package', 'wsbroker', ...(debug ? [] : ['--release'])]);
  const { target_directory: target } = JSON.parse(run('cargo', ['metadata', '--format-version=1', '--no-deps'], 'pipe'));
  const file = { darwin: 'libwsbroker.dylib', win32: 'wsbroker.dll' }[process.platform] ?? 'libwsbroker.so';
  const addon = join(root, 'lib', `wsbroker.${platformTarget()}.node`);
  // A new file: overwriting one that a process has loaded would crash it.
  copyFileSync(join(target, debug ? 'debug' : 'release', file), `${addon}.new`);
  if (existsSync(addon)) rmSync(addon);
  renameSync(`${addon}.new`, addon);
}

/**
 * Only a tool of this package's own: what the application around an installed package uses has
 * nothing to do with it.
 */
function has(tool) {
  return existsSync(join(root, 'node_modules', tool, 'package.json'));
}

function run(command, args, stdout = 'inherit') {
  const { status, error, stdout: output } = spawnSync(command, args, { cwd: root, stdio: ['ignore', stdout, 'inherit'], encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (error?.code === 'ENOENT') throw new Error(`${command} is not there; the addon needs Rust: https://rustup.rs`);
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
  return output;
}
