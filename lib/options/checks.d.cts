import { WSBrokerRangeError, WSBrokerTypeError } from '../errors.cjs';
/** The longest time a timer takes. */
export declare const MAX_DURATION: number;
/** What a per-socket size may be: it crosses into Rust as 32 bits. */
export declare const MAX_SIZE: number;
/**
 * An object whose every key is known.
 *
 * @param hints for names from other libraries: what to use instead
 */
export declare function optionBag(call: string, name: string, value: unknown, known: readonly string[], hints?: Readonly<Record<string, string>>): Record<string, unknown>;
export declare function integer(call: string, name: string, value: unknown, from: number, to: number): number | undefined;
export declare function oneOf<T extends string>(call: string, name: string, value: unknown, allowed: readonly T[]): T | undefined;
export declare function optional(call: string, name: string, value: unknown, type: 'boolean'): boolean | undefined;
export declare function optional(call: string, name: string, value: unknown, type: 'function'): unknown;
export declare function strings(call: string, name: string, value: unknown, expected: string): string[];
/** RFC 9110, section 5.6.2. */
export declare function isHttpToken(text: string): boolean;
/** Whether RFC 6455, section 7.4, lets an application put it on the wire. */
export declare function isSendableCode(code: number): boolean;
export declare function wrongType(call: string, name: string, expected: string, value: unknown): WSBrokerTypeError;
export declare function wrongValue(call: string, name: string, expected: string, value: string | number): WSBrokerRangeError;
/** What kind of thing it is, never what it holds: that may be a secret. */
export declare function typeName(value: unknown): string;
/** The known name that is nearest, if it is near enough to be meant. */
export declare function nearest(name: string, known: readonly string[], farthest?: number): string | undefined;
/**
 * How many letters were left out, added, changed, or swapped with their neighbour (optimal string
 * alignment), row by row. A name from outside may be long: beyond 64 characters nothing is near
 * anyway.
 */
export declare function editDistance(a: string, b: string): number;
