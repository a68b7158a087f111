"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.payloadOf = payloadOf;
const node_util_1 = require("node:util");
// What crossws lets an application send, as wsbroker sends it.
/** What a message of crossws is on the wire. Objects become JSON, and nothing becomes ''. */
function payloadOf(data) {
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
    if (data === null)
        return '';
    // `instanceof` would not do: test runners give modules globals of their own.
    if (node_util_1.types.isUint8Array(data) || node_util_1.types.isArrayBuffer(data))
        return data;
    if (ArrayBuffer.isView(data)) {
        return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    }
    // Anything else that is not plain is refused by the call that sends: a Blob can only be read
    // asynchronously, and the JSON of a Map is `{}`.
    return isPlain(data) ? JSON.stringify(data) : data;
}
function isPlain(value) {
    if (Array.isArray(value))
        return true;
    const prototype = Object.getPrototypeOf(value);
    // `Object.prototype` of any context.
    return prototype === null || Object.getPrototypeOf(prototype) === null;
}
