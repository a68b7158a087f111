"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.checkReloadOptions = checkReloadOptions;
const checks_cjs_1 = require("./checks.cjs");
const start_cjs_1 = require("./start.cjs");
/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
function checkReloadOptions(options) {
    const call = 'reloadWorkers';
    const bag = options === undefined
        ? {}
        : (0, checks_cjs_1.knownKeys)(call, 'options', options, ['workerPath', 'threads', 'timeout']);
    return {
        workerPath: (0, start_cjs_1.path)(call, 'workerPath', bag['workerPath']),
        threads: (0, checks_cjs_1.integer)(call, 'threads', bag['threads'], 1, start_cjs_1.MAX_THREADS),
        timeout: (0, checks_cjs_1.duration)(call, 'timeout', bag['timeout'], 0) ?? 30_000,
    };
}
