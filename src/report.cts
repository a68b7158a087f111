import { inspect } from 'node:util';

/** The error with its stack and causes. Never throws, whatever the error is. */
export function errorText(error: unknown): string {
  try {
    return typeof error === 'string' ? error : inspect(error);
  } catch {
    return 'an error that cannot be shown';
  }
}

/** Writes to stderr. Never throws. */
export function reportError(what: string, error: unknown): void {
  try {
    process.stderr.write(`wsbroker: ${what}: ${errorText(error)}\n`);
  } catch {
    // Stderr is closed.
  }
}

/**
 * Where warnings go. A thread of a pool passes its warnings on to the thread that started it, so
 * that a warning of all threads appears once.
 */
export const warnings = {
  emit: (text: string): void => process.emitWarning(text, { type: 'WSBrokerWarning' }),
};

/** Shared with other copies of the package on this thread. */
const emitted = ((globalThis as { [key: symbol]: Set<string> | undefined })[
  Symbol.for('wsbroker.warnings')
] ??= new Set());

/** Each text once in the life of the thread. */
export function warnOnce(text: string): void {
  if (emitted.has(text)) return;
  emitted.add(text);
  warnings.emit(text);
}

/** For workers without `onError`. */
export function reportHandlerError(
  error: unknown,
  { handler, socketId }: { readonly handler: string; readonly socketId: number | undefined },
): void {
  reportError(
    socketId === undefined ? `${handler} failed` : `${handler} failed for socket ${socketId}`,
    error,
  );
}
