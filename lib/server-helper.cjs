"use strict";
/**
 * Authentication, users, rooms, a heartbeat, encryption and delivery between instances, on native
 * sockets or on those of Bun.
 *
 * @packageDocumentation
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.WebSocketServerHelper = exports.WebSocketMessageTypes = exports.WebSocketEvents = exports.WebSocketDefaults = exports.WebSocketClientStates = exports.WebSocketChannels = exports.WebSocketEmitter = exports.WSBrokerError = void 0;
var errors_cjs_1 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_1.WSBrokerError; } });
var websocket_emitter_cjs_1 = require("./helper/websocket-emitter.cjs");
Object.defineProperty(exports, "WebSocketEmitter", { enumerable: true, get: function () { return websocket_emitter_cjs_1.WebSocketEmitter; } });
var protocol_cjs_1 = require("./helper/protocol.cjs");
Object.defineProperty(exports, "WebSocketChannels", { enumerable: true, get: function () { return protocol_cjs_1.WebSocketChannels; } });
Object.defineProperty(exports, "WebSocketClientStates", { enumerable: true, get: function () { return protocol_cjs_1.WebSocketClientStates; } });
Object.defineProperty(exports, "WebSocketDefaults", { enumerable: true, get: function () { return protocol_cjs_1.WebSocketDefaults; } });
Object.defineProperty(exports, "WebSocketEvents", { enumerable: true, get: function () { return protocol_cjs_1.WebSocketEvents; } });
Object.defineProperty(exports, "WebSocketMessageTypes", { enumerable: true, get: function () { return protocol_cjs_1.WebSocketMessageTypes; } });
var websocket_server_helper_cjs_1 = require("./helper/websocket-server-helper.cjs");
Object.defineProperty(exports, "WebSocketServerHelper", { enumerable: true, get: function () { return websocket_server_helper_cjs_1.WebSocketServerHelper; } });
