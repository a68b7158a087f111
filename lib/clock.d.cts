/**
 * Milliseconds since some time in the past. It never goes back. The global `performance` would load
 * ten modules of Node, a tenth of a megabyte in every worker.
 */
export declare function now(): number;
