/**
 * Where the compiled package is: `lib/`, which also holds an addon that was built here. In a bundle
 * it is the folder of the bundle; in one that is an ES module, which has no `__dirname`, that of
 * the program.
 */
export declare const LIB: string;
/** The package's folder. */
export declare const ROOT: string;
