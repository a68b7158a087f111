"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.RESERVED_HEADERS = void 0;
exports.headerPairs = headerPairs;
const checks_cjs_1 = require("./checks.cjs");
// Headers that an application adds to a response.
/** Headers that the response has anyway, or that would change where it ends. */
exports.RESERVED_HEADERS = new Set([
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
function headerPairs(headers, wrong) {
    if (typeof headers !== 'object' || headers === null) {
        throw wrong(`"headers" must be an object, got ${(0, checks_cjs_1.typeName)(headers)}`);
    }
    const entries = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
    return entries.flatMap((entry) => {
        const [name, value] = Array.isArray(entry) ? entry : [];
        if (typeof name !== 'string' || !(0, checks_cjs_1.isHttpToken)(name)) {
            throw wrong('"headers" has a name that HTTP does not allow');
        }
        if (exports.RESERVED_HEADERS.has(name.toLowerCase()))
            throw wrong(`"headers" may not set ${name}`);
        return (Array.isArray(value) ? value : [value]).map((one) => [
            name,
            headerValue(name, one, wrong),
        ]);
    });
}
function headerValue(name, value, wrong) {
    if (typeof value !== 'string' && typeof value !== 'number') {
        throw wrong(`"headers" must have strings as values, got ${(0, checks_cjs_1.typeName)(value)} for ${name}`);
    }
    const text = String(value);
    if (!/^[\t\x20-\x7e]*$/.test(text)) {
        throw wrong(`"headers" has a value for ${name} that is not printable ASCII`);
    }
    return text;
}
