import type { ErrorContext } from './types/worker-interface.cjs';
/** The error with its stack and causes; whatever was thrown, this does not throw. */
export declare function errorText(error: unknown): string;
/** To stderr. Nothing to write to is no reason to fail. */
export declare function complain(what: string, error: unknown): void;
/**
 * Where warnings go. A thread of a pool hands its own to the one that watches it, so that what all
 * of them find is said once.
 */
export declare const warnings: {
    say: (text: string) => void;
};
/** Each text once, for as long as the thread lives. */
export declare function warnOnce(text: string): void;
/** What `onError` does where a worker has none. */
export declare function complainOfHandler(error: unknown, { handler, socketId }: ErrorContext): void;
