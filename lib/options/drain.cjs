"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.checkDrainOptions = checkDrainOptions;
const errors_cjs_1 = require("../errors.cjs");
const channel_calls_cjs_1 = require("./channel-calls.cjs");
const checks_cjs_1 = require("./checks.cjs");
// The options of `drain`.
const KNOWN = [
    'over',
    'jitter',
    'delay',
    'deadline',
    'code',
    'retryAfter',
    'notice',
    'onProgress',
];
function checkDrainOptions(options) {
    const call = 'drain';
    const bag = options === undefined ? {} : (0, checks_cjs_1.knownKeys)(call, 'options', options, KNOWN);
    const time = (name) => (0, checks_cjs_1.duration)(call, name, bag[name], 0);
    const delay = time('delay') ?? 0;
    const over = time('over') ?? 10_000;
    const deadline = time('deadline') ?? delay + over + 5_000;
    const code = (0, checks_cjs_1.integer)(call, 'code', bag['code'], 1000, 4999) ?? 1012;
    if (!(0, checks_cjs_1.isSendableCode)(code))
        throw (0, checks_cjs_1.wrongValue)(call, 'code', checks_cjs_1.SENDABLE_CODES, code);
    const notice = bag['notice'];
    const native = {
        delay,
        over,
        deadline,
        code,
        jitter: fraction(call, 'jitter', bag['jitter']) ?? 0.1,
        retryAfter: time('retryAfter') ?? 1_000,
        noticeIsText: typeof notice === 'string',
    };
    if (notice !== undefined)
        native.notice = (0, channel_calls_cjs_1.bytesOf)(call, 'notice', notice);
    const onProgress = (0, checks_cjs_1.optional)(call, 'onProgress', bag['onProgress'], 'function');
    return { native, onProgress: onProgress };
}
function fraction(call, name, value) {
    if (value === undefined)
        return undefined;
    if (typeof value !== 'number')
        throw (0, checks_cjs_1.wrongType)(call, name, 'a number', value);
    if (!(value >= 0 && value <= 1)) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must be a number from 0 to 1, got ${value}`);
    }
    return value;
}
