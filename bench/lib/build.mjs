// What a run measures with is built first.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Builds the package in its release profile. */
export function buildPackage() {
  run(process.execPath, [join(root, 'scripts', 'build.mjs')]);
}

/** Builds wsbroker-load and returns its path, which depends on where cargo is told to build. */
export function buildGenerator() {
  const messages = run('cargo', ['build', '--release', '--package', 'wsbroker-load', '--message-format', 'json-render-diagnostics']);
  const executables = messages.split('\n').filter(Boolean).map((line) => JSON.parse(line).executable);
  return executables.findLast(Boolean);
}

function run(command, args) {
  const { status, error, stdout } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) {
    throw new Error(`${[command, ...args].join(' ')} failed`, { cause: error });
  }
  return stdout;
}
