// Everything that finds mistakes without running anything.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');

const failed = [
  [process.execPath, tsc, '-p', '.'],
  [process.execPath, tsc, '-p', 'test/types'],
  [process.execPath, 'scripts/lint-names.mjs', '--report'],
  [process.execPath, 'scripts/lint-imports.mjs'],
  [process.execPath, 'scripts/lint-comments.mjs', '--report'],
  [process.execPath, 'scripts/lint-words.mjs', '--report'],
  ['cargo', 'fmt', '--all', '--check'],
  ['cargo', 'clippy', '--workspace', '--all-targets', '--', '--deny', 'warnings'],
].filter(([command, ...args]) => {
  console.log(`> ${[command, ...args].join(' ')}`);
  return spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status !== 0;
});

process.exit(failed.length === 0 ? 0 : 1);
