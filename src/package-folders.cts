import { dirname } from 'node:path';

/** Where the compiled package is: `lib/`, which also holds an addon that was built here. */
export const LIB = __dirname;
/** The package's folder. */
export const ROOT = dirname(LIB);
