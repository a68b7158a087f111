"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.MASK = void 0;
exports.hasHandlers = hasHandlers;
exports.handlerTable = handlerTable;
const checks_cjs_1 = require("../options/checks.cjs");
const handler_names_cjs_1 = require("./handler-names.cjs");
const report_cjs_1 = require("../report.cjs");
const promises_cjs_1 = require("../promises.cjs");
const async_scope_cjs_1 = require("../async-scope.cjs");
/** What the addon needs to know of a worker: events of other kinds never cross. */
exports.MASK = { open: 1, text: 2, binary: 4, close: 8, drain: 16 };
/** Whether the value looks like something that holds handlers. */
function hasHandlers(value) {
    return (value !== null &&
        (typeof value === 'object' || typeof value === 'function') &&
        handler_names_cjs_1.HANDLER_NAMES.some((name) => Reflect.get(value, name) !== undefined));
}
/**
 * @param holders where the handlers were found, which may hold misspelt ones besides
 * @throws {TypeError} naming the handler that is no function
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a handler is misspelt
 */
function handlerTable(call, handlers, holders = [handlers]) {
    if ((0, handler_names_cjs_1.isClassOfHandlers)(handlers, hasHandlers(handlers) ? handlers : undefined))
        throw (0, handler_names_cjs_1.classGiven)(call, handlers);
    // A function can hold handlers, too: a class with static ones, or what CommonJS exports with
    // properties.
    if ((typeof handlers !== 'object' || handlers === null) && !hasHandlers(handlers))
        throw (0, checks_cjs_1.wrongType)(call, 'handlers', 'an object', handlers);
    const pick = (name) => {
        const value = Reflect.get(handlers, name);
        if (value !== undefined && typeof value !== 'function')
            throw (0, checks_cjs_1.wrongType)(call, `handlers.${name}`, 'a function', value);
        return value;
    };
    (0, handler_names_cjs_1.checkNames)(call, holders, handlers);
    const [handleOpen, handleTextMessage, handleBinaryMessage] = [
        pick('handleOpen'),
        pick('handleTextMessage'),
        pick('handleBinaryMessage'),
    ];
    const [handleClose, handleDrain] = [pick('handleClose'), pick('handleDrain')];
    const onError = pick('onError');
    const scope = (0, async_scope_cjs_1.scopeHere)();
    // Who is handed tokens keeps them by socket, and learns from the close event when to forget them.
    const closes = handleClose ?? handleTextMessage ?? handleBinaryMessage ?? handleDrain;
    return {
        self: handlers,
        handleOpen,
        handleTextMessage,
        handleBinaryMessage,
        handleClose,
        handleDrain,
        handleStart: pick('handleStart'),
        handleStop: pick('handleStop'),
        mask: (handleOpen ? exports.MASK.open : 0) |
            (handleTextMessage ? exports.MASK.text : 0) |
            (handleBinaryMessage ? exports.MASK.binary : 0) |
            (closes ? exports.MASK.close : 0) |
            (handleDrain ? exports.MASK.drain : 0),
        scope,
        report: (error, handler, socketId) => report(scope, handlers, onError, error, { handler, socketId }),
    };
}
function report(scope, self, onError, error, context) {
    if (onError === undefined)
        return (0, report_cjs_1.complainOfHandler)(error, context);
    const failed = (reason) => {
        (0, report_cjs_1.complainOfHandler)(error, context);
        (0, report_cjs_1.complain)('onError failed', reason);
    };
    try {
        const result = scope.call(onError, self, error, context);
        if ((0, promises_cjs_1.isThenable)(result))
            Promise.resolve(result).then(undefined, failed);
    }
    catch (reason) {
        failed(reason);
    }
}
