// What `npm start` runs: builds the addon if there is none yet, then starts the chat.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

// Only loading proves that a binary exists, is for this system, and matches the JavaScript around
// it. Another process tries it, since a failed load cannot be undone.
const loads = () => spawnSync(process.execPath, ['-e', "require('wsbroker')"], { cwd: root }).status === 0;

if (!loads()) {
  console.log('There is no addon for this system yet: building it from source, once. `npm run build` makes a faster one, and takes longer.\n');
  const build = spawnSync(process.execPath, ['scripts/build.mjs', '--quick'], { cwd: root, stdio: 'inherit' });
  if (build.status !== 0) {
    console.error('\nThe build failed. It needs Rust (https://rustup.rs), and `npm install` before it.');
    process.exit(build.status ?? 1);
  }
}

await import('./chat/server.mjs');
