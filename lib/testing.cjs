"use strict";
/**
 * Servers and clients for tests: real handlers, real sockets, a free port.
 *
 * @packageDocumentation
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.testServer = exports.TestClient = exports.WSBrokerError = void 0;
var errors_cjs_1 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_1.WSBrokerError; } });
var client_cjs_1 = require("./testing/client.cjs");
Object.defineProperty(exports, "TestClient", { enumerable: true, get: function () { return client_cjs_1.TestClient; } });
var server_cjs_1 = require("./testing/server.cjs");
Object.defineProperty(exports, "testServer", { enumerable: true, get: function () { return server_cjs_1.testServer; } });
