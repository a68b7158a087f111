import { isThenable } from '../promises.cjs';
import { reportError } from '../report.cjs';
import type { ValueOrPromise } from './types.cjs';

let continued = 0;

/**
 * How many times a helper in this thread has left something to a promise. If the number changes
 * during a call, part of that call goes on after it has returned.
 */
export function continuations(): number {
  return continued;
}

/** Runs it in the next microtask. It should not throw. */
export function inNextMicrotask(run: () => void): void {
  continued++;
  queueMicrotask(run);
}

/**
 * Calls a function of the application, at once. Then one of `done` and `failed` is called: at once
 * if the function returned a value or threw, later if it returned a promise. A throw counts as a
 * rejection. Neither of the two should throw: that would be a fault of ours, which is reported and
 * goes no further.
 */
export function callApplication<T>(
  fn: () => ValueOrPromise<T>,
  done: (value: T) => void,
  failed: (error: unknown) => void,
): void {
  const safely =
    <V,>(then: (value: V) => void) =>
    (given: V): void => {
      try {
        then(given);
      } catch (error) {
        reportError('the server helper failed', error);
      }
    };
  let value: ValueOrPromise<T>;
  try {
    value = fn();
    // Reading `then` can throw, too.
    if (isThenable(value)) {
      continued++;
      void Promise.resolve(value).then(safely(done), safely(failed));
      return;
    }
  } catch (error) {
    safely(failed)(error);
    return;
  }
  safely<T>(done)(value);
}
