"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.SENDABLE_CODES = exports.MAX_SIZE = exports.MAX_DURATION = void 0;
exports.knownKeys = knownKeys;
exports.integer = integer;
exports.duration = duration;
exports.oneOf = oneOf;
exports.optional = optional;
exports.strings = strings;
exports.isHttpToken = isHttpToken;
exports.isSendableCode = isSendableCode;
exports.wrongType = wrongType;
exports.wrongValue = wrongValue;
exports.typeName = typeName;
exports.mostSimilar = mostSimilar;
exports.editDistance = editDistance;
const errors_cjs_1 = require("../errors.cjs");
// Checks of single values. Each takes the names of the call and of the argument, so that a message
// can say: `start: "threads" must be …, got …`.
/** The longest time that a timer accepts, in milliseconds. */
exports.MAX_DURATION = 2 ** 31 - 1;
/** The largest size of anything that crosses into Rust as 32 bits. */
exports.MAX_SIZE = 2 ** 31 - 1;
/**
 * Checks that the value is an object without unknown keys.
 *
 * @param hints what to use instead of names that come from other libraries
 * @param expected what the value must be, for messages: an example helps
 */
function knownKeys(call, name, value, known, hints = {}, expected = 'an object') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw wrongType(call, name, expected, value);
    }
    for (const key of Object.keys(value)) {
        if (known.includes(key))
            continue;
        const near = mostSimilar(key, known);
        const where = name === 'options' ? '' : ` in "${name}"`;
        const hint = Object.hasOwn(hints, key)
            ? hints[key]
            : near === undefined
                ? `known options: ${known.join(', ')}`
                : `did you mean "${near}"?`;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNKNOWN_OPTION', `${call}: unknown option "${key}"${where}; ${hint}`);
    }
    return value;
}
/** @param unit what it is a number of, for messages: many write '30s' and '1mb' */
function integer(call, name, value, from, to, unit) {
    if (value === undefined)
        return undefined;
    if (typeof value !== 'number') {
        throw wrongType(call, name, unit === undefined ? 'a number' : `a number of ${unit}`, value);
    }
    if (!Number.isInteger(value) || value < from || value > to) {
        const range = `an integer from ${from} to ${to}`;
        throw wrongValue(call, name, unit === undefined ? range : `${range} ${unit}`, value);
    }
    return value;
}
/** A time, in milliseconds. */
function duration(call, name, value, from) {
    return integer(call, name, value, from, exports.MAX_DURATION, 'milliseconds');
}
function oneOf(call, name, value, allowed) {
    if (value === undefined)
        return undefined;
    if (typeof value !== 'string')
        throw wrongType(call, name, 'a string', value);
    if (!allowed.includes(value)) {
        throw wrongValue(call, name, alternatives(allowed), value);
    }
    return value;
}
/** `'a', 'b' or 'c'` */
function alternatives(allowed) {
    const quoted = allowed.map((one) => `'${one}'`);
    const last = quoted.pop();
    return quoted.length === 0 ? `${last}` : `${quoted.join(', ')} or ${last}`;
}
function optional(call, name, value, type) {
    if (value !== undefined && typeof value !== type)
        throw wrongType(call, name, `a ${type}`, value);
    return value;
}
function strings(call, name, value, expected) {
    if (!Array.isArray(value))
        throw wrongType(call, name, expected, value);
    const odd = value.findIndex((one) => typeof one !== 'string');
    if (odd !== -1)
        throw wrongType(call, `${name}[${odd}]`, 'a string', value[odd]);
    return value;
}
/** RFC 9110, section 5.6.2. */
function isHttpToken(text) {
    return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}
/** Whether RFC 6455, section 7.4, allows an application to send this close code. */
function isSendableCode(code) {
    return ((code >= 1000 && code <= 1003) ||
        (code >= 1007 && code <= 1014) ||
        (code >= 3000 && code <= 4999));
}
function wrongType(call, name, expected, value) {
    return new errors_cjs_1.WSBrokerTypeError(`${call}: "${name}" must be ${expected}, got ${typeName(value)}`);
}
function wrongValue(call, name, expected, value) {
    const shown = typeof value === 'number'
        ? String(value)
        : `'${value.length > 100 ? `${value.slice(0, 100)}…` : value}'`;
    return new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must be ${expected}, got ${shown}`);
}
/** The type of a value, never the value itself: that may be a secret. */
function typeName(value) {
    if (value === null)
        return 'null';
    if (Array.isArray(value))
        return 'an array';
    return typeof value === 'object' ? 'an object' : typeof value;
}
/** The most similar known name, if it is similar enough to be what was meant. */
function mostSimilar(name, known, maxDistance = Math.max(2, Math.floor(name.length / 3))) {
    let best;
    let least = maxDistance + 1;
    for (const candidate of known) {
        const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
        if (distance < least)
            [best, least] = [candidate, distance];
    }
    return best;
}
/**
 * How many letters were left out, added, changed, or swapped with their neighbor (optimal string
 * alignment), computed row by row. Names longer than 64 characters are not compared: they may come
 * from outside, and nothing is similar to them anyway.
 */
function editDistance(a, b) {
    if (a.length > 64)
        return a.length;
    let before = [];
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
        const next = [i];
        for (let j = 1; j <= b.length; j++) {
            let least = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
                least = Math.min(least, (before[j - 2] ?? 0) + 1);
            }
            next.push(least);
        }
        [before, row] = [row, next];
    }
    return row[b.length] ?? 0;
}
/** The closing codes that {@link isSendableCode} allows, for messages. */
exports.SENDABLE_CODES = 'a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)';
