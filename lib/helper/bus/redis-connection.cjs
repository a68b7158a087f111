"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createBus = createBus;
const errors_cjs_1 = require("../../errors.cjs");
const client_bus_cjs_1 = require("./client-bus.cjs");
const native_bus_cjs_1 = require("./native-bus.cjs");
/**
 * The bus for the value of `redisConnection`: a string, an object with `getClient`, an object with
 * `duplicate`, or a plain object, tested in this order. It connects nothing, and leaves nothing
 * behind if it throws.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS; the reason is its `cause`, if there is one
 */
function createBus(scope, given, role) {
    try {
        const bus = choose(scope, given, role);
        if (bus !== undefined)
            return bus;
    }
    catch (error) {
        throw invalid(scope, { cause: error });
    }
    throw invalid(scope);
}
function choose(scope, given, role) {
    if (typeof given === 'string') {
        return /^rediss?:\/\//.test(given) ? (0, native_bus_cjs_1.createNativeBus)(scope, given, role) : undefined;
    }
    if ((typeof given !== 'object' && typeof given !== 'function') || given === null) {
        return undefined;
    }
    if (has(given, 'getClient')) {
        const client = given.getClient();
        return has(client, 'duplicate')
            ? new client_bus_cjs_1.ClientBus(client, role, 'helper')
            : undefined;
    }
    if (has(given, 'duplicate'))
        return new client_bus_cjs_1.ClientBus(given, role, 'client');
    return isPlain(given)
        ? (0, native_bus_cjs_1.createNativeBus)(scope, given, role)
        : undefined;
}
function has(value, method) {
    return typeof value?.[method] === 'function';
}
function isPlain(value) {
    const prototype = Object.getPrototypeOf(value);
    return (prototype === null ||
        prototype === Object.prototype ||
        Object.getPrototypeOf(prototype) === null);
}
function invalid(scope, options) {
    return Object.assign(new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_REDIS', `[${scope}] Invalid redis connection!`, options), { statusCode: 500, messageCode: undefined });
}
