/**
 * Whether the value is a `Response` of the Fetch API. Not by `instanceof`: libraries and test
 * runners have classes of their own.
 */
export declare function isResponse(value: unknown): value is Response;
