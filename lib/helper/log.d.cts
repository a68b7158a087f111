import type { IWebSocketLogger } from './types.cjs';
/**
 * Warnings and errors to the console; the rest to stderr, too, where NODE_DEBUG names `wsbroker`.
 */
export declare function defaultLogger(scope: string): IWebSocketLogger;
/**
 * A logger of the application is a function of the application: what it throws, or rejects with,
 * goes no further.
 */
export declare function safeLogger(logger: IWebSocketLogger): IWebSocketLogger;
/**
 * A line for something that can happen a thousand times a second: the first at once, then at most
 * one a second, with how often it was.
 */
export declare class RateLimitedLine {
    #private;
    constructor(write: (count: number) => void);
    add(count?: number): void;
    /** Says what has not been said yet. */
    flush(): void;
}
/**
 * Lines for failures that a client can bring about as often as it likes. Each is a line with its
 * error, as long as they are few: ten at once, and one more for each second that has passed. Of the
 * rest the next line says how many they were.
 */
export declare class RateLimitedErrors {
    #private;
    constructor(log: IWebSocketLogger);
    add(text: string, error: unknown): void;
}
/** A name from outside, for a line: quoted, and not long. */
export declare function shown(name: unknown): string;
