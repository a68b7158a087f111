import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Flags for rustc. Paths of this machine are not to be in what others get: those of crates and of
 * the package's folder are replaced.
 */
export function pathFlags(root) {
  const cargoHome = process.env.CARGO_HOME || join(homedir(), '.cargo');
  return [[join(cargoHome, 'registry', 'src'), '/crates'], [root, '/wsbroker']].map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
}
