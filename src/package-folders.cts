import { dirname } from 'node:path';

/**
 * Where the compiled package is: `lib/`, which also holds an addon that was built here. In a bundle
 * it is the folder of the bundle; in one that is an ES module, which has no `__dirname`, that of
 * the program.
 */
export const LIB =
  typeof __dirname === 'string' ? __dirname : dirname(process.argv[1] ?? process.execPath);
/** The package's folder. */
export const ROOT = dirname(LIB);
