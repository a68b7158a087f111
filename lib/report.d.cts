/** The error with its stack and causes. Never throws, whatever the error is. */
export declare function errorText(error: unknown): string;
/** Writes to stderr. Never throws. */
export declare function reportError(what: string, error: unknown): void;
/**
 * Where warnings go. A thread of a pool passes its warnings on to the thread that started it, so
 * that a warning of all threads appears once.
 */
export declare const warnings: {
    emit: (text: string) => void;
};
/** Each text once in the life of the thread. */
export declare function warnOnce(text: string): void;
/** For workers without `onError`. */
export declare function reportHandlerError(error: unknown, { handler, socketId }: {
    readonly handler: string;
    readonly socketId: number | undefined;
}): void;
