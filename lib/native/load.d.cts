import type { Native } from '../native.cjs';
export declare const native: Native;
