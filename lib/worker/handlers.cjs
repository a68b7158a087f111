"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.PINNED = exports.MASK = void 0;
exports.hasHandlers = hasHandlers;
exports.handlerTable = handlerTable;
const async_scope_cjs_1 = require("../async-scope.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
const handler_names_cjs_1 = require("./handler-names.cjs");
/**
 * Which events the addon sends to a worker: those that have a handler. `pinned`: its connections
 * are closed with 1012 when it ends, instead of moving to another worker. `forget`: it hears of the
 * end of sockets that have had a token, whether or not it has a handler for that.
 */
exports.MASK = {
    open: 1,
    text: 2,
    binary: 4,
    close: 8,
    drain: 16,
    pinned: 32,
    lost: 64,
    forget: 128,
};
/**
 * A property of handlers that keep what they know of connections on their thread. If it is `true`
 * the worker is pinned: see {@link MASK}.
 */
exports.PINNED = Symbol('wsbroker.pinned');
/** Whether the value has a property with the name of a handler. */
function hasHandlers(value) {
    return (value !== null &&
        (typeof value === 'object' || typeof value === 'function') &&
        handler_names_cjs_1.HANDLER_NAMES.some((name) => Reflect.get(value, name) !== undefined));
}
/**
 * @param holders where the handlers were found; misspelled ones are looked for there
 * @throws {TypeError} a handler is not a function; the message names it
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a handler is misspelled
 */
function handlerTable(call, handlers, holders = [handlers]) {
    if ((0, handler_names_cjs_1.isClassOfHandlers)(handlers, hasHandlers(handlers) ? handlers : undefined)) {
        throw (0, handler_names_cjs_1.classGiven)(call, handlers);
    }
    // A function can have handlers, too: a class with static methods, or an exported function with
    // properties.
    if ((typeof handlers !== 'object' || handlers === null) && !hasHandlers(handlers)) {
        throw (0, checks_cjs_1.wrongType)(call, 'handlers', 'an object', handlers);
    }
    const pick = (name) => {
        const value = Reflect.get(handlers, name);
        if (value !== undefined && typeof value !== 'function') {
            throw (0, checks_cjs_1.wrongType)(call, `handlers.${name}`, 'a function', value);
        }
        return value;
    };
    (0, handler_names_cjs_1.checkNames)(call, holders, handlers);
    const [handleOpen, handleTextMessage, handleBinaryMessage] = [
        pick('handleOpen'),
        pick('handleTextMessage'),
        pick('handleBinaryMessage'),
    ];
    const [handleClose, handleDrain] = [pick('handleClose'), pick('handleDrain')];
    const handleLost = pick('handleLost');
    const onError = pick('onError');
    const scope = (0, async_scope_cjs_1.scopeHere)();
    // Tokens are cached by socket until its close event.
    const cachesTokens = handleTextMessage ?? handleBinaryMessage ?? handleDrain;
    return {
        self: handlers,
        handleOpen,
        handleTextMessage,
        handleBinaryMessage,
        handleClose,
        handleDrain,
        handleLost,
        handleStart: pick('handleStart'),
        handleStop: pick('handleStop'),
        mask: (handleOpen ? exports.MASK.open : 0) |
            (handleTextMessage ? exports.MASK.text : 0) |
            (handleBinaryMessage ? exports.MASK.binary : 0) |
            (handleClose ? exports.MASK.close : 0) |
            (cachesTokens ? exports.MASK.forget : 0) |
            (handleDrain ? exports.MASK.drain : 0) |
            (handleLost ? exports.MASK.lost : 0) |
            (Reflect.get(handlers, exports.PINNED) === true ? exports.MASK.pinned : 0),
        scope,
        report: (error, handler, socketId) => report(scope, handlers, onError, error, { handler, socketId }),
    };
}
function report(scope, self, onError, error, context) {
    if (onError === undefined)
        return (0, report_cjs_1.reportHandlerError)(error, context);
    const failed = (reason) => {
        (0, report_cjs_1.reportHandlerError)(error, context);
        (0, report_cjs_1.reportError)('onError failed', reason);
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
