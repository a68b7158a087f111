import { isThenable } from '../promises.cjs';
import { reportError } from '../report.cjs';
import type { ValueOrPromise } from './types.cjs';

let continued = 0;

/**
 * How often something of a helper in this thread was left to promises: a caller that sees the
 * number change during a call knows that the call goes on after it.
 */
export function continuations(): number {
  return continued;
}

/** Runs it a microtask later. It should not throw. */
export function inNextMicrotask(run: () => void): void {
  continued++;
  queueMicrotask(run);
}

/**
 * Calls a function of the application, at once. One of `done` and `failed` is called: at once where
 * a value was returned or thrown, later for a promise. A throw is a rejection. Neither should
 * throw: that would be a mistake of ours, which is shown and goes no further.
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
    // Looking for `then` can throw, too.
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
