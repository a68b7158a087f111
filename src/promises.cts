/** Whether it has a `then` to be waited for. A getter's throw passes through. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

type Peek = { status(promise: Promise<unknown>): 'pending' | 'fulfilled' | 'rejected' };
const peek = (globalThis as { Bun?: { peek?: Peek } }).Bun?.peek;

/**
 * Whether it is known to be over and well, so that nobody has to wait for it: Bun can tell, Node
 * cannot.
 */
export const isFulfilled: (value: PromiseLike<unknown>) => boolean =
  peek === undefined
    ? () => false
    : (value) => value instanceof Promise && peek.status(value) === 'fulfilled';

/**
 * Whether the promise resolved within that many milliseconds; a rejection passes through, one that
 * comes later is let go.
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
