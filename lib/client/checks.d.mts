import type { BackoffOptions, ClientUrl } from './types.mjs';
export declare const MOST: number;
/** What text has to match, the name of another type, or the least and the most of a number. */
type Rule = RegExp | 'function' | 'object' | readonly [number, number];
/** Text that JSON can hold: no half of a surrogate pair. The server takes no other name. */
export declare const NAME: RegExp;
export declare const wrong: (name: string, expected: unknown, got: unknown, Kind?: ErrorConstructor) => Error;
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
