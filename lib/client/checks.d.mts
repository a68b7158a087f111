import type { BackoffOptions, ClientUrl } from './types.mjs';
export declare const MOST: number;
/** The name of a type, or the least and the most of a number. */
type Rule = 'function' | 'string' | 'object' | readonly [number, number];
export declare const wrong: (name: string, expected: string, got: unknown, Kind?: ErrorConstructor) => Error;
/** Neither null nor an empty string is right. */
export declare function check(name: string, value: unknown, rule: Rule): void;
/** Checks what is given of these options, and that nothing else is. */
export declare function checkOptions<T extends object>(given: T | undefined, rules: {
    [K in keyof T]-?: Rule | null;
}): T;
/** Draws how long to wait after so many failures, in milliseconds. */
export type Backoff = (failures: number) => number;
export declare function backoffOf(given: BackoffOptions | undefined): Backoff;
export declare function urlOf(given: ClientUrl): string;
export {};
