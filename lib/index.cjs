"use strict";
/**
 * WebSocket servers for Node and Bun. Connections, channels and fan-out run in Rust, on threads of
 * their own; your handlers run in worker threads.
 *
 * @packageDocumentation
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.WSBrokerError = exports.setLogger = exports.info = exports.roundTrip = exports.slowSockets = exports.getSockets = exports.metrics = exports.stats = exports.connectionCount = exports.getSubscribers = exports.getSubscriptions = exports.isSubscribed = exports.subscriberCount = exports.hasSubscriptions = exports.bufferedAmount = exports.isOpen = exports.closeChannel = exports.terminate = exports.close = exports.getToken = exports.setToken = exports.copySubscriptions = exports.deleteHistory = exports.recover = exports.history = exports.position = exports.publish = exports.unsubscribeAll = exports.unsubscribeMany = exports.subscribeMany = exports.unsubscribe = exports.subscribe = exports.sendToAll = exports.sendToChannel = exports.send = exports.setReady = exports.reloadWorkers = exports.drain = exports.shutdown = exports.registerWorkerThread = exports.listening = exports.joinCluster = exports.start = void 0;
const observation = require("./merged.cjs")("api/observation.cjs");
const recovery = require("./merged.cjs")("api/recovery.cjs");
const sending = require("./merged.cjs")("api/sending.cjs");
const servers = require("./merged.cjs")("api/servers.cjs");
const sockets = require("./merged.cjs")("api/sockets.cjs");
const subscriptions = require("./merged.cjs")("api/subscriptions.cjs");
// docs/reference.md has them in this order. `export { … } from` would make each a getter: every
// call would pass through it, and an application's test could not replace the function.
exports.start = servers.start;
exports.joinCluster = servers.joinCluster;
exports.listening = subscriptions.listening;
exports.registerWorkerThread = servers.registerWorkerThread;
exports.shutdown = servers.shutdown;
exports.drain = servers.drain;
exports.reloadWorkers = servers.reloadWorkers;
exports.setReady = servers.setReady;
exports.send = sending.send;
exports.sendToChannel = sending.sendToChannel;
exports.sendToAll = sending.sendToAll;
exports.subscribe = subscriptions.subscribe;
exports.unsubscribe = subscriptions.unsubscribe;
exports.subscribeMany = subscriptions.subscribeMany;
exports.unsubscribeMany = subscriptions.unsubscribeMany;
exports.unsubscribeAll = subscriptions.unsubscribeAll;
exports.publish = recovery.publish;
exports.position = recovery.position;
exports.history = recovery.history;
exports.recover = recovery.recover;
exports.deleteHistory = recovery.deleteHistory;
exports.copySubscriptions = subscriptions.copySubscriptions;
exports.setToken = sockets.setToken;
exports.getToken = sockets.getToken;
exports.close = sockets.close;
exports.terminate = sockets.terminate;
exports.closeChannel = subscriptions.closeChannel;
exports.isOpen = sockets.isOpen;
exports.bufferedAmount = sockets.bufferedAmount;
exports.hasSubscriptions = subscriptions.hasSubscriptions;
exports.subscriberCount = subscriptions.subscriberCount;
exports.isSubscribed = subscriptions.isSubscribed;
exports.getSubscriptions = subscriptions.getSubscriptions;
exports.getSubscribers = subscriptions.getSubscribers;
exports.connectionCount = observation.connectionCount;
exports.stats = observation.stats;
exports.metrics = observation.metrics;
exports.getSockets = sockets.getSockets;
exports.slowSockets = sockets.slowSockets;
exports.roundTrip = sockets.roundTrip;
exports.info = sockets.info;
exports.setLogger = observation.setLogger;
var errors_cjs_1 = require("./merged.cjs")("errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_1.WSBrokerError; } });
