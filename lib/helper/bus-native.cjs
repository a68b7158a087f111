"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.nativeBus = nativeBus;
const errors_cjs_1 = require("../errors.cjs");
// Form c of `redisConnection`: the broker's own connections to Redis. Native code is loaded by `connect` only, never by importing this or constructing a bus.
/**
 * The bus for a URL or options that say where Redis is. It connects nothing.
 *
 * @throws {TypeError | WSBrokerError} naming what is wrong with the options
 */
function nativeBus(_call, _redis, _role) {
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNSUPPORTED', 'the native bus is not there yet');
}
