/**
 * Whether the value is a `Response` of the Fetch API. Not by `instanceof`: libraries and test
 * runners have classes of their own.
 */
export function isResponse(value: unknown): value is Response {
  const { status, headers, arrayBuffer } = Object(value) as Partial<Response>;
  return (
    typeof status === 'number' &&
    typeof headers?.get === 'function' &&
    typeof arrayBuffer === 'function'
  );
}
