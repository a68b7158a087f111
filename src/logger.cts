import { inScopeHere } from './async-scope.cjs';
import { native } from './native/load.cjs';
import { reportError } from './report.cjs';
import type { LogRecord } from './types/log.cjs';

/** Passes what the addon logs to this function, on this thread; to none without one. */
export function useLogger(
  logger: ((record: LogRecord) => void) | undefined,
  level: LogRecord['level'],
): void {
  if (logger === undefined) {
    native.setLogger(level);
    return;
  }
  const call = inScopeHere(logger);
  let threw = false;
  native.setLogger(level, (record) => {
    try {
      call(record as LogRecord);
    } catch (error) {
      // Once: records may come by the thousand.
      if (!threw) reportError('the logger threw, which is reported once', error);
      threw = true;
    }
  });
}
