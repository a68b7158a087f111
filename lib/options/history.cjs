"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.checkHistory = checkHistory;
exports.checkSince = checkSince;
exports.checkRecover = checkRecover;
exports.checkQuery = checkQuery;
exports.checkDelete = checkDelete;
const errors_cjs_1 = require("../errors.cjs");
const checks_cjs_1 = require("./checks.cjs");
// The option `history` of `start`, and the arguments of the calls that concern it.
const RULE_OPTIONS = ['channels', 'size', 'ttl', 'maxBytes', 'maxReplay', 'framed'];
const MAX_LIMIT = 100_000;
/** How {@link checkSince} tells the addon what `since` is. */
const SINCE = { position: 0, latest: 1, now: 2 };
/** The option `history`. */
function checkHistory(call, value) {
    if (value === undefined)
        return undefined;
    if (!Array.isArray(value))
        throw (0, checks_cjs_1.wrongType)(call, 'history', 'an array of objects', value);
    return value.map((one, i) => checkRule(call, `history[${i}]`, one));
}
function checkRule(call, name, value) {
    const bag = (0, checks_cjs_1.knownKeys)(call, name, value, RULE_OPTIONS);
    const number = (key, to, fallback) => (0, checks_cjs_1.integer)(call, `${name}.${key}`, bag[key], 1, to) ?? fallback;
    return {
        channels: channels(call, `${name}.channels`, bag['channels']),
        size: number('size', checks_cjs_1.MAX_SIZE, 500),
        ttl: number('ttl', checks_cjs_1.MAX_DURATION, 300_000),
        maxBytes: number('maxBytes', checks_cjs_1.MAX_SIZE, 2 ** 20),
        maxReplay: number('maxReplay', checks_cjs_1.MAX_SIZE, 1_000),
        framed: (0, checks_cjs_1.optional)(call, `${name}.framed`, bag['framed'], 'boolean') ?? true,
    };
}
function channels(call, name, value) {
    const list = typeof value === 'string'
        ? [value]
        : (0, checks_cjs_1.strings)(call, name, value, 'a string or an array of strings');
    if (list.length === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must have at least one name, got none`);
    }
    const odd = list.find((one) => one.slice(0, -1).includes('*'));
    if (odd !== undefined) {
        throw (0, checks_cjs_1.wrongValue)(call, name, "names, or prefixes such as 'chat:*' with one '*' at the end", odd);
    }
    return [...new Set(list)];
}
function position(call, name, value, expected) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, name, expected, value);
    }
    const { offset, epoch } = value;
    if (typeof epoch !== 'string')
        throw (0, checks_cjs_1.wrongType)(call, `${name}.epoch`, 'a string', epoch);
    const checked = (0, checks_cjs_1.integer)(call, `${name}.offset`, offset, 0, Number.MAX_SAFE_INTEGER);
    if (checked === undefined)
        throw (0, checks_cjs_1.wrongType)(call, `${name}.offset`, 'a number', offset);
    return { offset: checked, epoch };
}
/** @returns what it is, the offset and the epoch, as the addon takes them */
function checkSince(call, since) {
    if (since === 'latest' || since === 'now')
        return [SINCE[since], 0, ''];
    const expected = "a position, 'latest' or 'now'";
    if (typeof since === 'string')
        throw (0, checks_cjs_1.wrongValue)(call, 'since', expected, since);
    const { offset, epoch } = position(call, 'since', since, expected);
    return [SINCE.position, offset, epoch];
}
/** @returns the options of `recover`, checked */
function checkRecover(call, options) {
    if (options === undefined)
        return false;
    const bag = (0, checks_cjs_1.knownKeys)(call, 'options', options, ['orReject']);
    return (0, checks_cjs_1.optional)(call, 'orReject', bag['orReject'], 'boolean') ?? false;
}
/**
 * @returns the offset and epoch of `since` (-1: there is no `since`), the limit and the direction
 */
function checkQuery(call, query) {
    const bag = query === undefined ? {} : (0, checks_cjs_1.knownKeys)(call, 'options', query, ['since', 'limit', 'reverse']);
    const since = bag['since'];
    const { offset, epoch } = since === undefined ? { offset: -1, epoch: '' } : position(call, 'since', since, 'a position');
    return [
        offset,
        epoch,
        (0, checks_cjs_1.integer)(call, 'limit', bag['limit'], 1, MAX_LIMIT) ?? 100,
        (0, checks_cjs_1.optional)(call, 'reverse', bag['reverse'], 'boolean') ?? false,
    ];
}
/** @returns the offset; -1: all */
function checkDelete(call, options) {
    if (options === undefined)
        return -1;
    const bag = (0, checks_cjs_1.knownKeys)(call, 'options', options, ['before']);
    return (0, checks_cjs_1.integer)(call, 'before', bag['before'], 0, Number.MAX_SAFE_INTEGER) ?? -1;
}
