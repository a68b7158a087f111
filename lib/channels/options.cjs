"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.CALL = void 0;
exports.checkChannelsOptions = checkChannelsOptions;
exports.checkGrant = checkGrant;
const errors_cjs_1 = require("../errors.cjs");
const history_cjs_1 = require("../options/history.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const handler_names_cjs_1 = require("../worker/handler-names.cjs");
exports.CALL = 'serveChannels';
const OWN_HANDLERS = ['authorize', 'handleRequest', 'handlePublish'];
const DEFAULT_TIMEOUT = 10_000;
const DEFAULT_SOCKET_RATE = 8 << 20;
const DEFAULT_ADDRESS_RATE = 256 << 20;
/** @throws what {@link serveChannels} says */
function checkChannelsOptions(options) {
    const functions = [...OWN_HANDLERS, ...handler_names_cjs_1.HANDLER_NAMES];
    const bag = (0, checks_cjs_1.knownKeys)(exports.CALL, 'options', options, [...functions, 'timeout', 'replayRate']);
    if (bag['authorize'] === undefined)
        throw (0, checks_cjs_1.wrongType)(exports.CALL, 'authorize', 'a function', undefined);
    for (const name of functions)
        (0, checks_cjs_1.optional)(exports.CALL, name, bag[name], 'function');
    const rates = bag['replayRate'] === undefined
        ? {}
        : (0, checks_cjs_1.knownKeys)(exports.CALL, 'replayRate', bag['replayRate'], ['socket', 'address']);
    const rate = (name) => (0, checks_cjs_1.integer)(exports.CALL, `replayRate.${name}`, rates[name], 1, checks_cjs_1.MAX_SIZE);
    return {
        handlers: options,
        timeout: (0, checks_cjs_1.integer)(exports.CALL, 'timeout', bag['timeout'], 1, checks_cjs_1.MAX_DURATION) ?? DEFAULT_TIMEOUT,
        socketRate: rate('socket') ?? DEFAULT_SOCKET_RATE,
        addressRate: rate('address') ?? DEFAULT_ADDRESS_RATE,
    };
}
const EVERYTHING = {
    since: undefined,
    maxReplay: Number.MAX_SAFE_INTEGER,
    sender: undefined,
};
/**
 * @returns `undefined`: it may not
 * @throws {TypeError | RangeError | WSBrokerError} it is something else, which must not count as
 * permission
 */
function checkGrant(value) {
    if (value === false)
        return undefined;
    if (value === true)
        return EVERYTHING;
    const call = 'authorize';
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new errors_cjs_1.WSBrokerTypeError(`${call}: the result must be true, false, or an object with "since", "maxReplay" and ` +
            `"sender", got ${(0, checks_cjs_1.typeName)(value)}. The client was refused`);
    }
    const bag = (0, checks_cjs_1.knownKeys)(call, 'result', value, ['since', 'maxReplay', 'sender']);
    const { since } = bag;
    if (since !== undefined && since !== 'now') {
        // The newest message is not a place that one may see from on.
        if (typeof since === 'string')
            throw (0, checks_cjs_1.wrongType)(call, 'since', "a position or 'now'", since);
        (0, history_cjs_1.checkSince)(call, since);
    }
    return {
        since,
        maxReplay: (0, checks_cjs_1.integer)(call, 'maxReplay', bag['maxReplay'], 0, checks_cjs_1.MAX_SIZE) ?? Number.MAX_SAFE_INTEGER,
        sender: (0, checks_cjs_1.optional)(call, 'sender', bag['sender'], 'string'),
    };
}
