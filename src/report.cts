import { inspect } from 'node:util';
import type { ErrorContext } from './types/worker-interface.cjs';

/** The error with its stack and causes; whatever was thrown, this does not throw. */
export function errorText(error: unknown): string {
  try {
    return typeof error === 'string' ? error : inspect(error);
  } catch {
    return 'an error that cannot be shown';
  }
}

/** To stderr. Nothing to write to is no reason to fail. */
export function complain(what: string, error: unknown): void {
  try {
    process.stderr.write(`wsbroker: ${what}: ${errorText(error)}\n`);
  } catch {
    // A closed stderr: nobody is there to be told.
  }
}

/**
 * Where warnings go. A thread of a pool hands its own to the one that watches it, so that what all
 * of them find is said once.
 */
export const warnings = {
  say: (text: string): void => process.emitWarning(text, { type: 'WSBrokerWarning' }),
};

/** Shared with other copies of the package on this thread. */
const said = ((globalThis as { [key: symbol]: Set<string> | undefined })[
  Symbol.for('wsbroker.warnings')
] ??= new Set());

/** Each text once, for as long as the thread lives. */
export function warnOnce(text: string): void {
  if (said.has(text)) return;
  said.add(text);
  warnings.say(text);
}

/** What `onError` does where a worker has none. */
export function complainOfHandler(error: unknown, { handler, socketId }: ErrorContext): void {
  complain(
    socketId === undefined ? `${handler} failed` : `${handler} failed for socket ${socketId}`,
    error,
  );
}
