"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.WSBrokerRangeError = exports.WSBrokerTypeError = exports.WSBrokerError = void 0;
exports.fromNative = fromNative;
exports.toPortable = toPortable;
exports.fromPortable = fromPortable;
const node_util_1 = require("node:util");
/**
 * An error that the package raises on purpose. Test its `code`, never its `message`.
 *
 * A wrong type is a `TypeError` with such a code, a wrong value a `RangeError`;
 * `instanceof WSBrokerError` is true for them, too. If the operating system refused, `syscallCode`
 * says why, for example `EADDRINUSE` with `ERR_WSBROKER_BIND`.
 */
class WSBrokerError extends Error {
    name = 'WSBrokerError';
    code;
    constructor(code, message, options) {
        super(message, options);
        this.code = code;
    }
    /** By code, so that the `TypeError`s and the addon's own errors count, too. */
    static [Symbol.hasInstance](value) {
        if (this !== WSBrokerError)
            return Function.prototype[Symbol.hasInstance].call(this, value);
        return isError(value) && String(value.code).startsWith('ERR_WSBROKER_');
    }
}
exports.WSBrokerError = WSBrokerError;
/** An argument has the wrong type. */
class WSBrokerTypeError extends TypeError {
    code = 'ERR_WSBROKER_INVALID_ARG_TYPE';
}
exports.WSBrokerTypeError = WSBrokerTypeError;
/** An argument has the right type, but a value that is not allowed. */
class WSBrokerRangeError extends RangeError {
    code = 'ERR_WSBROKER_INVALID_ARG_VALUE';
}
exports.WSBrokerRangeError = WSBrokerRangeError;
/** Errors of another context count, too: test runners give modules globals of their own. */
function isError(value) {
    return value instanceof Error || node_util_1.types.isNativeError(value);
}
/** An error of the addon as one of ours, with a stack that leads to the caller. */
function fromNative(error) {
    const { code, message, syscallCode } = error;
    if (typeof code !== 'string' || !code.startsWith('ERR_WSBROKER_'))
        return error;
    if (code === 'ERR_WSBROKER_INVALID_ARG_VALUE')
        return new WSBrokerRangeError(String(message));
    if (code === 'ERR_WSBROKER_INVALID_ARG_TYPE')
        return new WSBrokerTypeError(String(message));
    const ours = new WSBrokerError(code, String(message));
    return syscallCode === undefined ? ours : Object.assign(ours, { syscallCode });
}
const BUILT_IN = {
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
};
/** @see {@link PortableError} */
function toPortable(error, depth = 0) {
    try {
        if (!isError(error)) {
            return {
                message: typeof error === 'string' ? error : (0, node_util_1.inspect)(error, { depth: 1 }),
                plain: true,
            };
        }
        const { name, message, stack, code, cause } = error;
        return {
            name: String(name),
            message: String(message),
            ...(typeof stack === 'string' && { stack }),
            ...((typeof code === 'string' || typeof code === 'number') && { code }),
            ...(cause !== undefined && depth < 8 && { cause: toPortable(cause, depth + 1) }),
        };
    }
    catch {
        return { message: 'an error that cannot be read', plain: true };
    }
}
/** Restores the error; classes of the language itself are restored, too. */
function fromPortable(portable) {
    if (portable.plain)
        return portable.message;
    const { name = 'Error', message, stack, code, cause } = portable;
    const options = cause === undefined ? undefined : { cause: fromPortable(cause) };
    const BuiltIn = Object.hasOwn(BUILT_IN, name)
        ? BUILT_IN[name]
        : undefined;
    const error = BuiltIn === undefined ? new Error(message, options) : new BuiltIn(message, options);
    const hidden = { configurable: true, writable: true, enumerable: false };
    if (error.name !== name)
        Object.defineProperty(error, 'name', { ...hidden, value: name });
    if (stack !== undefined)
        Object.defineProperty(error, 'stack', { ...hidden, value: stack });
    return code === undefined ? error : Object.assign(error, { code });
}
