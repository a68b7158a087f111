/**
 * WebSocket servers for Node and Bun. Connections, channels and fan-out run in Rust, on threads of
 * their own; your handlers run in worker threads.
 *
 * @packageDocumentation
 */
import observation = require('./api/observation.cjs');
import recovery = require('./api/recovery.cjs');
import sending = require('./api/sending.cjs');
import servers = require('./api/servers.cjs');
import sockets = require('./api/sockets.cjs');
import subscriptions = require('./api/subscriptions.cjs');
export import start = servers.start;
export import joinCluster = servers.joinCluster;
export import listening = subscriptions.listening;
export import registerWorkerThread = servers.registerWorkerThread;
export import shutdown = servers.shutdown;
export import drain = servers.drain;
export import reloadWorkers = servers.reloadWorkers;
export import setReady = servers.setReady;
export import send = sending.send;
export import sendToChannel = sending.sendToChannel;
export import sendToAll = sending.sendToAll;
export import subscribe = subscriptions.subscribe;
export import unsubscribe = subscriptions.unsubscribe;
export import subscribeMany = subscriptions.subscribeMany;
export import unsubscribeMany = subscriptions.unsubscribeMany;
export import unsubscribeAll = subscriptions.unsubscribeAll;
export import publish = recovery.publish;
export import position = recovery.position;
export import history = recovery.history;
export import recover = recovery.recover;
export import deleteHistory = recovery.deleteHistory;
export import copySubscriptions = subscriptions.copySubscriptions;
export import setToken = sockets.setToken;
export import getToken = sockets.getToken;
export import close = sockets.close;
export import terminate = sockets.terminate;
export import closeChannel = subscriptions.closeChannel;
export import isOpen = sockets.isOpen;
export import bufferedAmount = sockets.bufferedAmount;
export import hasSubscriptions = subscriptions.hasSubscriptions;
export import subscriberCount = subscriptions.subscriberCount;
export import isSubscribed = subscriptions.isSubscribed;
export import getSubscriptions = subscriptions.getSubscriptions;
export import getSubscribers = subscriptions.getSubscribers;
export import connectionCount = observation.connectionCount;
export import stats = observation.stats;
export import metrics = observation.metrics;
export import getSockets = sockets.getSockets;
export import slowSockets = sockets.slowSockets;
export import roundTrip = sockets.roundTrip;
export import info = sockets.info;
export import setLogger = observation.setLogger;
export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export type { AcceptVerdict, ClientCertificate, ErrorContext, HandlerName, HeaderOptions, OpenRequest, OpenVerdict, RejectVerdict, WorkerInterface, } from './types/worker-interface.cjs';
export type { HistoryMessage, HistoryOptions, HistoryQuery, HistorySlice, Position, PublishOptions, PublishReceipt, RecoverOptions, Recovery, Since, } from './types/history.cjs';
export type { SlowSocket, SocketInfo } from './types/inspection.cjs';
export type { LoggerOptions, LogRecord } from './types/log.cjs';
export type { Data, SendOptions, SendResult } from './types/messages.cjs';
export type { FixedAnswer, HttpForward, HttpRequestListener, HttpServer, MaxInFlight, PemSource, PerMessageDeflate, RateLimit, StartOptions, TlsOptions, TrustProxy, } from './types/start-options.cjs';
export type { ReloadOptions, ReloadReport, ThreadLimits, ThreadOptions, Watchdog, WorkerEvent, } from './types/worker-threads.cjs';
export type { BusEvent, ClusterCount, ClusterOptions, RedisNode, RedisOptions, RedisTlsOptions, } from './types/cluster-options.cjs';
export type { MetricsOptions } from './types/metrics-options.cjs';
export type { DrainOptions, DrainProgress, DrainReport, Server, ShutdownOptions, ShutdownReport, } from './types/server.cjs';
export type { BusStats, CloseCounts, DropCounts, HistoryStats, HttpFailureCounts, HttpStats, RejectCounts, ShardStats, Stats, Traffic, WorkerStats, } from './types/stats.cjs';
