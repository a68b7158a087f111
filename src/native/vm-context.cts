import { types } from 'node:util';
import { fromNative } from '../errors.cjs';
import type { Native } from '../native.cjs';

// Test runners such as jest run modules in a context of `node:vm`, which has its own `Error`. The
// addon belongs to the thread's first context, so its errors are made again there. Anywhere else
// the functions of the addon are used as they are.

/** The addon, with errors of this module's context. */
export function withErrorsOfThisContext(addon: Native): Native {
  if ((addon.send as unknown) instanceof Function) return addon;
  const handler: ProxyHandler<Callable> = {
    apply: (target, self, args) => translated(() => Reflect.apply(target, self, args)),
    construct: (target, args) =>
      translated(
        () => new Proxy(Reflect.construct(target as never, args) as object, methods),
      ) as object,
  };
  const entries = Object.entries(addon as unknown as Record<string, unknown>);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      typeof value === 'function' ? new Proxy(value as Callable, handler) : value,
    ]),
  ) as unknown as Native;
}

type Callable = (...args: unknown[]) => unknown;

/** Calls methods of an object of the addon on that object, not on its proxy. */
const methods: ProxyHandler<object> = {
  get(target, name) {
    const value: unknown = Reflect.get(target, name, target);
    return typeof value === 'function'
      ? (...args: unknown[]) => translated(() => Reflect.apply(value as Callable, target, args))
      : value;
  },
};

function translated(call: () => unknown): unknown {
  try {
    const result = call();
    return types.isPromise(result) ? Promise.resolve(result).catch(rethrow) : result;
  } catch (error) {
    return rethrow(error);
  }
}

/** Errors of the application's own code, for example of a getter, stay what they are. */
function rethrow(error: unknown): never {
  throw error instanceof Error ? error : fromNative(error);
}
