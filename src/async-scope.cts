import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';

// The async context of the application's functions: what an AsyncLocalStorage contains in them.
// Each call starts in the context in which the function was passed to us. What a call enters
// (`enterWith`) lasts for that call and what follows from it, so that no connection sees the
// context of another.

/** A context in which calls start. */
export interface AsyncScope {
  /** The function, called in it each time. */
  readonly bound: <A extends unknown[], R>(
    fn: (...args: A) => R,
    self: unknown,
  ) => (...args: A) => R;
  /** Calls a function in it. */
  readonly call: <A extends unknown[], R>(fn: (...args: A) => R, self: unknown, ...args: A) => R;
  /**
   * Runs a function that makes many calls, and calls the application's functions only by
   * {@link bound} and {@link call}.
   */
  readonly batch: <A extends unknown[]>(run: (...args: A) => void, ...args: A) => void;
}

const NAME = 'WSBROKER';
const enter = AsyncResource.prototype.runInAsyncScope;

/** The context of the caller. */
export function scopeHere(): AsyncScope {
  if (process.versions['bun'] !== undefined) return bunScope();
  // Before Node 24 an AsyncLocalStorage keeps its values in resources of async_hooks, with this
  // method.
  return '_enable' in AsyncLocalStorage.prototype ? new ResourceScope() : new FrameScope(NAME);
}

/** The function, called in this context each time. */
export function inScopeHere<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
  return scopeHere().bound(fn, undefined);
}

/** The function, to be called once, in this context. */
export function onceInScopeHere(fn: () => void): () => void {
  if (process.versions['bun'] !== undefined) {
    const inside = AsyncLocalStorage.snapshot();
    return () => inside(fn);
  }
  const here = new AsyncResource(NAME);
  return () => here.runInAsyncScope(fn);
}

/**
 * Here contexts are immutable values, and leaving one restores the previous one: about 5 ns a call.
 */
class FrameScope extends AsyncResource implements AsyncScope {
  // Not a method that calls `enter`: that would double the time.
  declare readonly call: AsyncScope['call'];

  bound<A extends unknown[], R>(fn: (...args: A) => R, self: unknown): (...args: A) => R {
    // A bound function, not one that calls `enter`, for the same reason.
    return enter.bind(this, fn as never, self) as never;
  }

  batch<A extends unknown[]>(run: (...args: A) => void, ...args: A): void {
    run(...args);
  }
}

(FrameScope.prototype as { call: unknown }).call = enter;

/**
 * The same on Bun, where an AsyncResource would make all promises of the thread carry their
 * context.
 */
function bunScope(): AsyncScope {
  const inside = AsyncLocalStorage.snapshot();
  return {
    bound: (fn, self) => inside.bind(undefined, fn.bind(self) as never) as never,
    call: (fn, self, ...args) => inside(fn.bind(self) as never, ...args) as never,
    batch: (run, ...args) => run(...args),
  };
}

/** The names of an AsyncResource's ids before Node 24. */
const IDS = ['async_id_symbol', 'trigger_async_id_symbol'];

/**
 * Before Node 24 a context is an object, which `enterWith` changes: the next call would find what
 * the last one left. A new object for each call costs 30 to 40 ns, so all calls use the same one
 * until one of them changes it, and a batch enters it once. From then on each call has its own.
 */
class ResourceScope implements AsyncScope {
  /** New contexts are made in this one. No function of the application runs in it. */
  readonly #root = new AsyncResource(NAME);
  readonly #shared: AsyncResource;
  #changed = false;
  /** The context of the current batch. */
  #in: AsyncResource | undefined;

  constructor() {
    const resource = new AsyncResource(NAME);
    // Assignments to an object that inherits from a proxy reach the proxy. Own properties, such as
    // the ids, which every call reads, are read without it.
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
