"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.isResponse = isResponse;
/**
 * Whether the value is a `Response` of the Fetch API. Not by `instanceof`: libraries and test
 * runners have classes of their own.
 */
function isResponse(value) {
    const { status, headers, arrayBuffer } = Object(value);
    return (typeof status === 'number' &&
        typeof headers?.get === 'function' &&
        typeof arrayBuffer === 'function');
}
