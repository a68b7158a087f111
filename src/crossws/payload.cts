import { types } from 'node:util';
import type { Data } from '../types/messages.cjs';

// What crossws lets an application send, as wsbroker sends it.

/** What a message of crossws is on the wire. Objects become JSON, and nothing becomes ''. */
export function payloadOf(data: unknown): Data {
  switch (typeof data) {
    case 'string':
      return data;
    case 'undefined':
      return '';
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(data);
    case 'function':
    case 'symbol':
      return '{}';
    default:
      break;
  }
  if (data === null) return '';
  // `instanceof` would not do: test runners give modules globals of their own.
  if (types.isUint8Array(data) || types.isArrayBuffer(data)) return data;
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  // Anything else that is not plain is refused by the call that sends: a Blob can only be read
  // asynchronously, and the JSON of a Map is `{}`.
  return isPlain(data as object) ? JSON.stringify(data) : (data as Data);
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  // `Object.prototype` of any context.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
