"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.HANDLER_NAMES = void 0;
exports.checkNames = checkNames;
exports.isClassOfHandlers = isClassOfHandlers;
exports.classExported = classExported;
exports.classGiven = classGiven;
const errors_cjs_1 = require("../errors.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const report_cjs_1 = require("../report.cjs");
const own_functions_cjs_1 = require("./own-functions.cjs");
// The names of handlers, and names that look like a mistake: a misspelled handler would never be
// called, and with a misspelled `handleOpen` every connection would be accepted.
exports.HANDLER_NAMES = [
    'handleOpen',
    'handleTextMessage',
    'handleBinaryMessage',
    'handleClose',
    'handleDrain',
    'handleLost',
    'handleStart',
    'handleStop',
    'onError',
];
const MESSAGES = ['handleTextMessage', 'handleBinaryMessage'];
/** What other libraries call them, in lower case. Case does not matter. */
const FOREIGN_NAMES = {
    handlemessage: MESSAGES,
    onmessage: MESSAGES,
    handletext: ['handleTextMessage'],
    ontextmessage: ['handleTextMessage'],
    handlebinary: ['handleBinaryMessage'],
    onbinarymessage: ['handleBinaryMessage'],
    onopen: ['handleOpen'],
    onconnection: ['handleOpen'],
    handleconnection: ['handleOpen'],
    onclose: ['handleClose'],
    ondrain: ['handleDrain'],
    onlost: ['handleLost'],
};
/** The same, but only in this spelling: `Message` may be a class. */
const FOREIGN_NAMES_EXACT = {
    message: MESSAGES,
    open: ['handleOpen'],
    close: ['handleClose'],
    drain: ['handleDrain'],
};
/**
 * As similar to the name of a handler as a typing error, but words in their own right: `handleStep`
 * is not a misspelled `handleStop`.
 */
const OWN_WORDS = new Set([
    'pen', 'oven', 'omen', 'clone', 'chose', 'lose', 'host', 'last', 'list', 'post', 'most', 'cost', 'loss', 'log', 'load', 'closet', 'train', 'brain', 'grain', 'rain',
    'drawn', 'star', 'stars', 'stat', 'smart', 'step', 'shop', 'top', 'stoop', 'nextmessage',
    'testmessage',
]);
/**
 * Looks for functions that were meant to be handlers.
 *
 * @param call the name of the call, for messages
 * @param holders where handlers were looked for: a module, its default export, an object
 * @param handlers the handlers that were found; `undefined` if there are none
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a function has almost the name of a handler
 * that is missing; or there is no handler, only functions with the names that other libraries use
 */
function checkNames(call, holders, handlers) {
    const has = (name) => handlers !== undefined && Reflect.get(handlers, name) !== undefined;
    const foreign = new Map();
    for (const [key, isFunction] of members(holders)) {
        const similar = misspelledHandler(key);
        if (similar !== undefined && !has(similar) && isFunction()) {
            throw unknown(`${call}: "${key}" is not a handler; did you mean "${similar}"? If it is something ` +
                'else, rename it');
        }
        const meant = Object.hasOwn(FOREIGN_NAMES_EXACT, key)
            ? FOREIGN_NAMES_EXACT[key]
            : Object.hasOwn(FOREIGN_NAMES, key.toLowerCase())
                ? FOREIGN_NAMES[key.toLowerCase()]
                : undefined;
        if (meant !== undefined && !meant.some(has) && isFunction())
            foreign.set(key, meant);
    }
    if (foreign.size === 0)
        return;
    const list = [...foreign]
        .map(([key, meant]) => `"${key}" (wsbroker calls it ${meant.map((name) => `"${name}"`).join(' and ')})`)
        .join(', ');
    if (!exports.HANDLER_NAMES.some(has))
        throw unknown(`${call}: there are no handlers, only ${list}`);
    (0, report_cjs_1.warnOnce)(`${call}: these are not handlers and are never called: ${list}`);
}
/**
 * Whether the value is a class that has the handlers as methods of its instances.
 *
 * @param handlers handlers that were found elsewhere: then a class counts only if it has one that
 * is missing there
 */
function isClassOfHandlers(value, handlers) {
    if (typeof value !== 'function')
        return false;
    const { prototype } = value;
    if (typeof prototype !== 'object' || prototype === null)
        return false;
    const methods = exports.HANDLER_NAMES.filter((name) => name in prototype);
    if (handlers !== undefined) {
        return methods.some((name) => Reflect.get(handlers, name) === undefined);
    }
    return methods.length > 0 || /^class\b/.test(Function.prototype.toString.call(value));
}
/** For a default export. */
function classExported(call, { name }) {
    return unknown(`${call}: the default export is a class, but handlers are called on an object: export an ` +
        `instance, as in "export default new ${shownName(name)}()"`);
}
/** For an argument. */
function classGiven(call, { name }) {
    return new errors_cjs_1.WSBrokerTypeError(`${call}: "handlers" must be an object, got a class: pass an instance, as in ` +
        `"registerWorkerThread(new ${shownName(name)}())"`);
}
function shownName(name) {
    return name === '' || name === 'default' ? 'Handlers' : name;
}
function unknown(message) {
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNKNOWN_HANDLER', message);
}
/**
 * The names of all members of the holders, each once, including inherited ones: methods of an
 * instance belong to its class. Getters run only if the value matters.
 */
function* members(holders) {
    const seen = new Set();
    for (const holder of holders) {
        for (let object = holder; isHolder(object); object = Object.getPrototypeOf(object)) {
            for (const key of Object.getOwnPropertyNames(object)) {
                if (seen.has(key))
                    continue;
                seen.add(key);
                yield [key, () => isForeignFunction(holder, key)];
            }
        }
    }
}
function isHolder(value) {
    if ((typeof value !== 'object' && typeof value !== 'function') ||
        value === null ||
        Array.isArray(value) ||
        ArrayBuffer.isView(value)) {
        return false;
    }
    // Not `Object.prototype` of any context, where every chain of prototypes ends.
    return (!(Object.hasOwn(value, 'constructor') &&
        Object.hasOwn(value, 'toString') &&
        Object.getPrototypeOf(value) === null) && value !== Function.prototype);
}
/** A module that re-exports wsbroker has a `close`, which is not a mistake. */
function isForeignFunction(holder, key) {
    try {
        const value = Reflect.get(holder, key);
        return typeof value === 'function' && !own_functions_cjs_1.ownFunctions.has(value);
    }
    catch {
        return false;
    }
}
/**
 * The handler whose name this almost is. A name with a digit is deliberate, not a typing error.
 */
function misspelledHandler(key) {
    if (key.length > 32 || /\d/.test(key) || exports.HANDLER_NAMES.includes(key)) {
        return undefined;
    }
    const lower = key.toLowerCase();
    return exports.HANDLER_NAMES.find((name) => {
        const prefix = name.startsWith('on') ? 'on' : 'handle';
        const word = name.slice(prefix.length).toLowerCase();
        if (lower.startsWith(prefix))
            return isSimilar(lower.slice(prefix.length), word);
        // `handel`, `hadnle`, `handl`. The word `on` is too short for that.
        const starts = prefix === 'on'
            ? []
            : [5, 6, 7]
                .map((length) => lower.slice(0, length))
                .filter((start) => /[el]$/.test(start) && (0, checks_cjs_1.editDistance)(start, prefix) === 1);
        return starts.some((start) => isSimilar(lower.slice(start.length), word));
    });
}
function isSimilar(rest, word) {
    return !OWN_WORDS.has(rest) && (0, checks_cjs_1.editDistance)(rest, word) <= (word.length > 8 ? 2 : 1);
}
