import type { LogRecord } from './types/log.cjs';
/** Passes what the addon logs to this function, on this thread; to none without one. */
export declare function useLogger(logger: ((record: LogRecord) => void) | undefined, level: LogRecord['level']): void;
