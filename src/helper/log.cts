import type { IWebSocketLogger } from './types.cjs';

// The log. Lines say what happened to which client, never what was in a message, a token or a key.

/**
 * Warnings and errors go to the console. If NODE_DEBUG contains `wsbroker`, everything else goes to
 * stderr, too.
 */
export function defaultLogger(scope: string): IWebSocketLogger {
  const verbose = /(^|[\s,])wsbroker($|[\s,])/i.test(process.env['NODE_DEBUG'] ?? '');
  const line =
    (write: (...all: unknown[]) => void) =>
    (text: string, ...more: unknown[]): void =>
      write(`[${scope}] ${text}`, ...more);
  const quiet = (): void => undefined;
  return {
    for: (inner) => defaultLogger(`${scope}:${inner}`),
    debug: verbose ? line(console.error) : quiet,
    info: verbose ? line(console.error) : quiet,
    warn: line(console.warn),
    error: line(console.error),
  };
}

/**
 * The application's logger, without its errors: what it throws or rejects with goes no further.
 */
export function safeLogger(logger: IWebSocketLogger): IWebSocketLogger {
  const line =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (text: string, ...more: unknown[]): void => {
      try {
        const given: unknown = logger[level](text, ...more);
        if (given instanceof Promise) given.catch(() => undefined);
      } catch {
        // An error of the logger cannot be logged.
      }
    };
  return {
    for(scope) {
      try {
        return safeLogger(logger.for(scope));
      } catch {
        return this;
      }
    },
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
  };
}

/**
 * A line for something that can happen thousands of times a second. The first is written at once,
 * then at most one a second, each with the number of times.
 */
export class RateLimitedLine {
  readonly #write: (count: number) => void;
  #count = 0;
  #last = -Infinity;

  constructor(write: (count: number) => void) {
    this.#write = write;
  }

  add(count = 1): void {
    this.#count += count;
    if (Date.now() - this.#last >= 1000) this.flush();
  }

  /** Writes what has not been written yet. */
  flush(): void {
    if (this.#count === 0) return;
    const count = this.#count;
    this.#count = 0;
    this.#last = Date.now();
    this.#write(count);
  }
}

/** How many failures are written one by one before they are limited. */
const FAILURES_AT_ONCE = 10;

/**
 * Lines for failures that a client can cause as often as it likes. Ten are written at once, each
 * with its error, and one more for each second that has passed. The next line says how many were
 * not written.
 */
export class RateLimitedErrors {
  readonly #log: IWebSocketLogger;
  #left = FAILURES_AT_ONCE;
  #since = Date.now();
  #unwritten = 0;

  constructor(log: IWebSocketLogger) {
    this.#log = log;
  }

  add(text: string, error: unknown): void {
    const earned = Math.floor((Date.now() - this.#since) / 1000);
    // Below 0: the clock was set back.
    if (earned !== 0) {
      this.#left = Math.min(FAILURES_AT_ONCE, this.#left + Math.max(earned, 1));
      this.#since = Date.now();
    }
    if (this.#left === 0) {
      this.#unwritten++;
      return;
    }
    this.#left--;
    const unwritten = this.#unwritten;
    this.#unwritten = 0;
    this.#log.error(
      unwritten === 0 ? text : `${text}; ${unwritten} failure(s) before it were not logged`,
      error,
    );
  }
}

/** A name from outside, quoted and shortened for a line. */
export function quoted(name: unknown): string {
  const text = typeof name === 'string' ? name : typeof name;
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
