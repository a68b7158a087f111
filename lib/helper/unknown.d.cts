import type { IWebSocketLogger } from './types.cjs';
export declare const SERVER_HELPER_OPTIONS: readonly string[];
export declare const EMITTER_OPTIONS: readonly string[];
/** One line for all of them, if there are any: each with the known name that may have been meant. */
export declare function warnOfUnknown(log: IWebSocketLogger, options: object, known: readonly string[]): void;
