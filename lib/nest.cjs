"use strict";
/**
 * Gateways of Nest on wsbroker.
 *
 * @packageDocumentation
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.roomChannel = exports.gatewayChannel = exports.NestServer = exports.NestClient = exports.NestAdapter = exports.WSBrokerError = void 0;
var errors_cjs_1 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_1.WSBrokerError; } });
var adapter_cjs_1 = require("./nest/adapter.cjs");
Object.defineProperty(exports, "NestAdapter", { enumerable: true, get: function () { return adapter_cjs_1.NestAdapter; } });
var client_cjs_1 = require("./nest/client.cjs");
Object.defineProperty(exports, "NestClient", { enumerable: true, get: function () { return client_cjs_1.NestClient; } });
Object.defineProperty(exports, "NestServer", { enumerable: true, get: function () { return client_cjs_1.NestServer; } });
var rooms_cjs_1 = require("./nest/rooms.cjs");
Object.defineProperty(exports, "gatewayChannel", { enumerable: true, get: function () { return rooms_cjs_1.gatewayChannel; } });
Object.defineProperty(exports, "roomChannel", { enumerable: true, get: function () { return rooms_cjs_1.roomChannel; } });
