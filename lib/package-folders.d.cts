/** Where the compiled package is: `lib/`, which also holds an addon that was built here. */
export declare const LIB: string;
/** The package's folder. */
export declare const ROOT: string;
