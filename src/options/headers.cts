import { isHttpToken, typeName } from './checks.cjs';

// Headers that an application adds to a response.

/** Headers that the response has anyway, or that would change where it ends. */
export const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'transfer-encoding',
  'upgrade',
]);

/**
 * An application may copy part of a request into a header: a line break in it must not begin
 * another header.
 *
 * @param wrong makes the error from what is wrong
 */
export function headerPairs(headers: unknown, wrong: (what: string) => Error): [string, string][] {
  if (typeof headers !== 'object' || headers === null) {
    throw wrong(`"headers" must be an object, got ${typeName(headers)}`);
  }
  const entries: unknown[] =
    Symbol.iterator in headers ? [...(headers as Iterable<unknown>)] : Object.entries(headers);
  return entries.flatMap((entry) => {
    const [name, value] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof name !== 'string' || !isHttpToken(name)) {
      throw wrong('"headers" has a name that HTTP does not allow');
    }
    if (RESERVED_HEADERS.has(name.toLowerCase())) throw wrong(`"headers" may not set ${name}`);
    return (Array.isArray(value) ? (value as unknown[]) : [value]).map((one): [string, string] => [
      name,
      headerValue(name, one, wrong),
    ]);
  });
}

function headerValue(name: string, value: unknown, wrong: (what: string) => Error): string {
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw wrong(`"headers" must have strings as values, got ${typeName(value)} for ${name}`);
  }
  const text = String(value);
  if (!/^[\t\x20-\x7e]*$/.test(text)) {
    throw wrong(`"headers" has a value for ${name} that is not printable ASCII`);
  }
  return text;
}
