/** Whether the value has a `then`. Errors of a getter pass through. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

type Peek = { status(promise: Promise<unknown>): 'pending' | 'fulfilled' | 'rejected' };
const peek = (globalThis as { Bun?: { peek?: Peek } }).Bun?.peek;

/** Whether the promise is known to be fulfilled, so that nothing has to wait: Node cannot tell. */
export const isFulfilled: (value: PromiseLike<unknown>) => boolean =
  peek === undefined
    ? () => false
    : (value) => value instanceof Promise && peek.status(value) === 'fulfilled';

/**
 * Whether the promise resolves within that many milliseconds. A rejection passes through; one that
 * comes later is ignored.
 */
export async function within(timeout: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeout);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
