/** The functions of `serving.cts`. */
export declare function serving(): typeof import('./serving.cjs');
