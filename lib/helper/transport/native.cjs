"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.nativeTransport = nativeTransport;
const errors_cjs_1 = require("../../errors.cjs");
// Sockets of the broker. Native code is loaded by `join` only, never by importing this or constructing a transport.
/** The transport of a helper with `bind`. It opens nothing, and checks nothing before `join`. */
function nativeTransport(_options) {
    return {
        native: true,
        instance: undefined,
        join: () => Promise.reject(new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNSUPPORTED', 'the native transport is not there yet')),
        open: () => Promise.resolve(),
        leave: () => Promise.resolve(),
        stopAccepting: () => undefined,
        finish: () => Promise.resolve(),
        publish: () => undefined,
        address: () => undefined,
    };
}
