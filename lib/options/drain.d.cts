import type { NativeDrainOptions } from '../native.cjs';
import type { DrainProgress } from '../types/server.cjs';
export declare function checkDrainOptions(options: unknown): {
    readonly native: NativeDrainOptions;
    readonly onProgress: ((progress: DrainProgress) => void) | undefined;
};
