import type { Native } from './native.cjs';
/** Loads the addon, once per thread. */
export declare const native: Native;
