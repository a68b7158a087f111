"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.checkSocketId = checkSocketId;
exports.checkSlowSockets = checkSlowSockets;
exports.checkGetSockets = checkGetSockets;
exports.checkLogger = checkLogger;
const checks_cjs_1 = require("./checks.cjs");
// The arguments of calls about single sockets, and of `setLogger`.
const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];
/** A number; one that is no id means a socket that is gone. */
function checkSocketId(call, socketId) {
    if (typeof socketId !== 'number')
        throw (0, checks_cjs_1.wrongType)(call, 'socketId', 'a number', socketId);
    return socketId;
}
function checkSlowSockets(count) {
    return (0, checks_cjs_1.integer)('slowSockets', 'n', count, 0, Number.MAX_SAFE_INTEGER) ?? 10;
}
function checkGetSockets(options) {
    const call = 'getSockets';
    const bag = options === undefined ? {} : (0, checks_cjs_1.knownKeys)(call, 'options', options, ['after', 'limit']);
    const number = (name) => (0, checks_cjs_1.integer)(call, name, bag[name], 0, Number.MAX_SAFE_INTEGER);
    return { after: number('after') ?? 0, limit: number('limit') ?? Number.MAX_SAFE_INTEGER };
}
function checkLogger(logger, options) {
    const call = 'setLogger';
    if (logger !== null && logger !== undefined && typeof logger !== 'function') {
        throw (0, checks_cjs_1.wrongType)(call, 'logger', 'a function or null', logger);
    }
    const bag = options === undefined ? {} : (0, checks_cjs_1.knownKeys)(call, 'options', options, ['level']);
    return {
        logger: (logger ?? undefined),
        level: (0, checks_cjs_1.oneOf)(call, 'level', bag['level'], LEVELS) ?? 'info',
    };
}
