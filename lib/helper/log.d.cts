import type { IWebSocketLogger } from './types.cjs';
/**
 * Warnings and errors go to the console. If NODE_DEBUG contains `wsbroker`, everything else goes to
 * stderr, too.
 */
export declare function defaultLogger(scope: string): IWebSocketLogger;
/**
 * The application's logger, without its errors: what it throws or rejects with goes no further.
 */
export declare function safeLogger(logger: IWebSocketLogger): IWebSocketLogger;
/**
 * A line for something that can happen thousands of times a second. The first is written at once,
 * then at most one a second, each with the number of times.
 */
export declare class RateLimitedLine {
    #private;
    constructor(write: (count: number) => void);
    add(count?: number): void;
    /** Writes what has not been written yet. */
    flush(): void;
}
/**
 * Lines for failures that a client can cause as often as it likes. Ten are written at once, each
 * with its error, and one more for each second that has passed. The next line says how many were
 * not written.
 */
export declare class RateLimitedErrors {
    #private;
    constructor(log: IWebSocketLogger);
    add(text: string, error: unknown): void;
}
/** A name from outside, quoted and shortened for a line. */
export declare function quoted(name: unknown): string;
