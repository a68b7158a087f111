/** Headers that the response has anyway, or that would change where it ends. */
export declare const RESERVED_HEADERS: ReadonlySet<string>;
/**
 * An application may copy part of a request into a header: a line break in it must not begin
 * another header.
 *
 * @param wrong makes the error from what is wrong
 */
export declare function headerPairs(headers: unknown, wrong: (what: string) => Error): [string, string][];
