/**
 * An application may copy part of a request into a header: a line break in it must not begin
 * another header.
 *
 * @param wrong makes the error from what is wrong
 */
export declare function headerPairs(headers: unknown, wrong: (what: string) => Error): [string, string][];
