import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Flags for rustc. Paths of this machine are not to be in what others get: those of crates, of the
 * package's folder, and of the standard library where it is built along, are replaced.
 */
export function pathFlags(root, standardLibrary) {
  const cargoHome = process.env.CARGO_HOME || join(homedir(), '.cargo');
  const replaced = [[join(cargoHome, 'registry', 'src'), '/crates'], [root, '/wsbroker']];
  // The last one that fits counts: this may lie in the package's folder.
  if (standardLibrary !== undefined) replaced.push([standardLibrary, '/rust/library']);
  return replaced.map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
}
