"use strict";
/**
 * Hooks of crossws on the threads of wsbroker, and with them what is written for crossws: h3,
 * Nitro, graphql-ws, Hocuspocus.
 *
 * @packageDocumentation
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.crosswsWorker = exports.topicChannel = exports.WSBrokerError = void 0;
var errors_cjs_1 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_1.WSBrokerError; } });
var topics_cjs_1 = require("./crossws/topics.cjs");
Object.defineProperty(exports, "topicChannel", { enumerable: true, get: function () { return topics_cjs_1.topicChannel; } });
var worker_cjs_1 = require("./crossws/worker.cjs");
Object.defineProperty(exports, "crosswsWorker", { enumerable: true, get: function () { return worker_cjs_1.crosswsWorker; } });
