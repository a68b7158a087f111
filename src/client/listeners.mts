// The program's functions: whatever they do, the client goes on.

import type { ClientEvents } from './types.mjs';

export interface Listeners {
  on<Name extends keyof ClientEvents>(name: Name, listener: (detail: ClientEvents[Name]) => void): () => void;
  tell<Name extends keyof ClientEvents>(name: Name, detail: ClientEvents[Name]): void;
  /** Calls a function of the program. What it throws is told as an `error`, and nothing else. */
  call<Detail>(listener: ((detail: Detail) => unknown) | undefined, detail: Detail): void;
}

export function keepListeners(): Listeners {
  const all = new Set<{ name: string; listener: (detail: never) => void }>();
  const { reportError = console.error } = globalThis as { reportError?: (error: unknown) => void };

  const run = (name: string, listener: ((detail: never) => unknown) | undefined, detail: unknown): void => {
    try {
      listener?.(detail as never);
    } catch (error) {
      // A listener for errors that throws is not called with that.
      if (name === 'error') reportError(error);
      else tell('error', error);
    }
  };

  const tell: Listeners['tell'] = (name, detail) => {
    const called = [...all].filter((one) => one.name === name);
    for (const { listener } of called) run(name, listener, detail);
    if (name === 'error' && !called.length) reportError(detail);
  };

  return {
    call: (listener, detail) => run('', listener, detail),
    tell,
    on(name, listener) {
      const own = { name, listener };
      all.add(own);
      return () => {
        all.delete(own);
      };
    },
  };
}
