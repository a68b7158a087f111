/** @throws the signal's reason, if it has been aborted */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason;
}

/**
 * Waits for the promise, but no longer than until the signal is aborted.
 *
 * @throws the signal's reason
 */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  throwIfAborted(signal);
  let onAbort = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    onAbort = resolve;
    signal.addEventListener('abort', onAbort);
  });
  try {
    const result = await Promise.race([promise, aborted]);
    throwIfAborted(signal);
    return result as T;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
