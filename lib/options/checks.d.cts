import { WSBrokerRangeError, WSBrokerTypeError } from '../errors.cjs';
/** The longest time that a timer accepts, in milliseconds. */
export declare const MAX_DURATION: number;
/** The largest size of anything that crosses into Rust as 32 bits. */
export declare const MAX_SIZE: number;
/** What the options count that are no plain numbers. */
export type Unit = 'milliseconds' | 'bytes';
/**
 * Checks that the value is an object without unknown keys.
 *
 * @param hints what to use instead of names that come from other libraries
 * @param expected what the value must be, for messages: an example helps
 */
export declare function knownKeys(call: string, name: string, value: unknown, known: readonly string[], hints?: Readonly<Record<string, string>>, expected?: string): Record<string, unknown>;
/** @param unit what it is a number of, for messages: many write '30s' and '1mb' */
export declare function integer(call: string, name: string, value: unknown, from: number, to: number, unit?: Unit): number | undefined;
/** A time, in milliseconds. */
export declare function duration(call: string, name: string, value: unknown, from: number): number | undefined;
export declare function oneOf<T extends string>(call: string, name: string, value: unknown, allowed: readonly T[]): T | undefined;
export declare function optional(call: string, name: string, value: unknown, type: 'boolean'): boolean | undefined;
export declare function optional(call: string, name: string, value: unknown, type: 'string'): string | undefined;
export declare function optional(call: string, name: string, value: unknown, type: 'function'): unknown;
export declare function strings(call: string, name: string, value: unknown, expected: string): string[];
/** RFC 9110, section 5.6.2. */
export declare function isHttpToken(text: string): boolean;
/** Whether RFC 6455, section 7.4, allows an application to send this close code. */
export declare function isSendableCode(code: number): boolean;
export declare function wrongType(call: string, name: string, expected: string, value: unknown): WSBrokerTypeError;
export declare function wrongValue(call: string, name: string, expected: string, value: string | number): WSBrokerRangeError;
/** The type of a value, never the value itself: that may be a secret. */
export declare function typeName(value: unknown): string;
/** The most similar known name, if it is similar enough to be what was meant. */
export declare function mostSimilar(name: string, known: readonly string[], maxDistance?: number): string | undefined;
/**
 * How many letters were left out, added, changed, or swapped with their neighbor (optimal string
 * alignment), computed row by row. Names longer than 64 characters are not compared: they may come
 * from outside, and nothing is similar to them anyway.
 */
export declare function editDistance(a: string, b: string): number;
/** The closing codes that {@link isSendableCode} allows, for messages. */
export declare const SENDABLE_CODES = "a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)";
