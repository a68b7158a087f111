import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';

// The async context of the application's functions: what an AsyncLocalStorage finds in them. Each
// call begins in the context of the place where the function was given, and what it enters
// (`enterWith`) lasts for that call and what it leads to, so that no connection sees another's.

/** A context that calls begin in. */
export interface Scope {
  /** The function, called in it each time. */
  readonly bound: <A extends unknown[], R>(
    fn: (...args: A) => R,
    self: unknown,
  ) => (...args: A) => R;
  /** Calls a function in it. */
  readonly call: <A extends unknown[], R>(fn: (...args: A) => R, self: unknown, ...args: A) => R;
  /**
   * Runs what makes many calls in a row, and calls nothing of the application's but by {@link
   * bound} and {@link call}.
   */
  readonly batch: <A extends unknown[]>(run: (...args: A) => void, ...args: A) => void;
}

const NAME = 'WSBROKER';
const enter = AsyncResource.prototype.runInAsyncScope;

/** The context of the caller. */
export function scopeHere(): Scope {
  if (process.versions['bun'] !== undefined) return bunScope();
  // Before Node 24 an AsyncLocalStorage keeps what it holds in resources of async_hooks, and has
  // methods for that.
  return '_enable' in AsyncLocalStorage.prototype ? new ResourceScope() : new FrameScope(NAME);
}

/** The function, called in this context each time. */
export function inScopeHere<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
  return scopeHere().bound(fn, undefined);
}

/** Contexts are immutable values, and leaving one restores the other: about 5 ns a call. */
class FrameScope extends AsyncResource implements Scope {
  // Not a method that calls it: that would take as long again.
  declare readonly call: Scope['call'];

  bound<A extends unknown[], R>(fn: (...args: A) => R, self: unknown): (...args: A) => R {
    // One function of the engine's, and not one around it, for the same reason.
    return enter.bind(this, fn as never, self) as never;
  }

  batch<A extends unknown[]>(run: (...args: A) => void, ...args: A): void {
    run(...args);
  }
}

(FrameScope.prototype as { call: unknown }).call = enter;

/** The same, but an AsyncResource would make all promises of the thread carry their context. */
function bunScope(): Scope {
  const inside = AsyncLocalStorage.snapshot();
  return {
    bound: (fn, self) => inside.bind(undefined, fn.bind(self) as never) as never,
    call: (fn, self, ...args) => inside(fn.bind(self) as never, ...args) as never,
    batch: (run, ...args) => run(...args),
  };
}

/** What an AsyncResource calls its numbers before Node 24. */
const IDS = ['async_id_symbol', 'trigger_async_id_symbol'];

/**
 * Here a context is an object, and entering something changes it: the next call finds what the last
 * one left. A new object for each call costs 30 to 40 ns, so all calls use the same one until one
 * of them changes it, and a batch enters it once. After that the application is known to change
 * contexts, and each call has its own.
 */
class ResourceScope implements Scope {
  /** Only to make others in: nothing of the application's runs in it. */
  readonly #root = new AsyncResource(NAME);
  readonly #shared: AsyncResource;
  #changed = false;
  /** What the batch is in. */
  #in: AsyncResource | undefined;

  constructor() {
    const resource = new AsyncResource(NAME);
    // What is assigned to an object that inherits from a proxy comes to that, and what is the
    // object's own is read without asking it: its numbers, at each call.
    const watched = new Proxy(resource, {
      set: (_, key, value, receiver) => {
        this.#changed = true;
        return Reflect.defineProperty(receiver as object, key, {
          value: value as unknown,
          configurable: true,
          enumerable: true,
          writable: true,
        });
      },
    });
    const numbers = Object.getOwnPropertySymbols(resource).filter((key) =>
      IDS.includes(String(key.description)),
    );
    this.#shared = Object.create(
      watched,
      Object.fromEntries(
        numbers.map((key) => [key, Object.getOwnPropertyDescriptor(resource, key)]),
      ) as PropertyDescriptorMap,
    ) as AsyncResource;
  }

  bound<A extends unknown[], R>(fn: (...args: A) => R, self: unknown): (...args: A) => R {
    return (...args) => this.call(fn, self, ...args);
  }

  call<A extends unknown[], R>(fn: (...args: A) => R, self: unknown, ...args: A): R {
    if (!this.#changed) {
      return this.#in === undefined
        ? (enter.call(this.#shared, fn as never, self, ...args) as R)
        : Reflect.apply(fn, self, args);
    }
    const own = this.#in === this.#root ? newResource() : this.#root.runInAsyncScope(newResource);
    return own.runInAsyncScope(fn as never, self, ...args);
  }

  batch<A extends unknown[]>(run: (...args: A) => void, ...args: A): void {
    this.#in = this.#changed ? this.#root : this.#shared;
    try {
      enter.call(this.#in, run as never, undefined, ...args);
    } finally {
      this.#in = undefined;
    }
  }
}

const newResource = (): AsyncResource => new AsyncResource(NAME);
