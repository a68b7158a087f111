"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.NO_THREAD_OPTIONS = void 0;
exports.checkThreadOptions = checkThreadOptions;
exports.sameThreadOptions = sameThreadOptions;
exports.explainThreadError = explainThreadError;
const node_util_1 = require("node:util");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const checks_cjs_1 = require("./checks.cjs");
exports.NO_THREAD_OPTIONS = {
    workerData: {},
    watch: false,
    options: {},
};
const LIMITS = [
    'maxOldGenerationSizeMb',
    'maxYoungGenerationSizeMb',
    'codeRangeSizeMb',
    'stackSizeMb',
];
/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
function checkThreadOptions(call, value) {
    if (typeof value === 'string') {
        throw new errors_cjs_1.WSBrokerTypeError(`${call}: "worker" must be an object, got string; pass the path of the worker module ` +
            'as "workerPath"');
    }
    const bag = (0, checks_cjs_1.knownKeys)(call, 'worker', value, [
        'workerData',
        'env',
        'execArgv',
        'resourceLimits',
        'watch',
        'name',
    ]);
    const { workerData, env, execArgv, resourceLimits, name } = bag;
    if (name !== undefined && typeof name !== 'string') {
        throw (0, checks_cjs_1.wrongType)(call, 'worker.name', 'a string', name);
    }
    return {
        workerData: workerData === undefined ? {} : cloned(call, workerData),
        watch: (0, checks_cjs_1.optional)(call, 'worker.watch', bag['watch'], 'boolean') ?? false,
        options: {
            ...(env !== undefined && { env: environment(call, env) }),
            ...(execArgv !== undefined && {
                execArgv: [...(0, checks_cjs_1.strings)(call, 'worker.execArgv', execArgv, 'an array of strings')],
            }),
            ...(resourceLimits !== undefined && { resourceLimits: limits(call, resourceLimits) }),
            ...(name !== undefined && { name }),
        },
    };
}
/** Whether a running pool has these options. */
function sameThreadOptions(one, other) {
    return (0, node_util_1.isDeepStrictEqual)(one, other);
}
/** Node checks flags only when it starts a thread. */
function explainThreadError(error) {
    const { code, message } = (error ?? {});
    return code === 'ERR_WORKER_INVALID_EXEC_ARGV'
        ? new errors_cjs_1.WSBrokerRangeError('start: "worker.execArgv" must contain only flags that worker threads accept: ' +
            `${String(message)}`)
        : error;
}
/** A copy, so that replacements get the same as the first threads. */
function cloned(call, value) {
    try {
        return structuredClone(value);
    }
    catch (error) {
        throw new errors_cjs_1.WSBrokerTypeError(`${call}: "worker.workerData" must be a value that structuredClone can copy: ` +
            `${String(error.message)}`, { cause: error });
    }
}
function environment(call, value) {
    if (value === node_worker_threads_1.SHARE_ENV)
        return node_worker_threads_1.SHARE_ENV;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, 'worker.env', 'an object of strings, or SHARE_ENV', value);
    }
    const all = Object.entries(value).filter(([, text]) => text !== undefined);
    for (const [key, text] of all) {
        // Only the type of the value is named: the value may be a secret.
        if (typeof text !== 'string')
            throw (0, checks_cjs_1.wrongType)(call, `worker.env.${key}`, 'a string', text);
    }
    // All threads must load the same addon.
    const { WSBROKER_BINARY } = process.env;
    return {
        ...(WSBROKER_BINARY !== undefined && { WSBROKER_BINARY }),
        ...Object.fromEntries(all),
    };
}
function limits(call, value) {
    const bag = (0, checks_cjs_1.knownKeys)(call, 'worker.resourceLimits', value, LIMITS);
    const given = Object.entries(bag).filter(([, number]) => number !== undefined);
    for (const [name, number] of given) {
        if (typeof number !== 'number') {
            throw (0, checks_cjs_1.wrongType)(call, `worker.resourceLimits.${name}`, 'a number', number);
        }
        if (!(number > 0 && number < 2 ** 31)) {
            throw (0, checks_cjs_1.wrongValue)(call, `worker.resourceLimits.${name}`, 'a number of MiB greater than 0 and less than 2^31', number);
        }
    }
    return Object.fromEntries(given);
}
