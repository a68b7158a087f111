"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.shutdownHere = void 0;
exports.start = start;
exports.joinCluster = joinCluster;
exports.shutdown = shutdown;
exports.drain = drain;
exports.reloadWorkers = reloadWorkers;
const cluster_cjs_1 = require("../options/cluster.cjs");
const drain_cjs_1 = require("../options/drain.cjs");
const reload_cjs_1 = require("../options/reload.cjs");
const start_cjs_1 = require("../options/start.cjs");
const join_cluster_cjs_1 = require("../native/join-cluster.cjs");
const drain_cjs_2 = require("./drain.cjs");
const lifecycle_cjs_1 = require("./lifecycle.cjs");
Object.defineProperty(exports, "shutdownHere", { enumerable: true, get: function () { return lifecycle_cjs_1.shutdownHere; } });
const reload_cjs_2 = require("./reload.cjs");
const watch_cjs_1 = require("./watch.cjs");
// The public functions that servers begin and end with. Loaded by `on-demand.cts`.
async function start(options) {
    const server = await (0, lifecycle_cjs_1.startServer)((0, start_cjs_1.checkStartOptions)(options));
    (0, watch_cjs_1.watchModules)();
    return server;
}
function joinCluster(options) {
    const known = ['redis', 'prefix', 'instanceId', 'maxOutgoing', 'onBus'];
    (0, join_cluster_cjs_1.joinCluster)((0, cluster_cjs_1.checkClusterOptions)('joinCluster', 'options', options, known));
}
async function shutdown(options) {
    const { code, timeout } = (0, start_cjs_1.checkShutdownOptions)(options);
    return (0, lifecycle_cjs_1.shutdownAll)(code, timeout);
}
async function drain(options) {
    const { native: checked, onProgress } = (0, drain_cjs_1.checkDrainOptions)(options);
    return (0, drain_cjs_2.drainAll)(checked, onProgress);
}
async function reloadWorkers(options) {
    return (0, reload_cjs_2.reload)((0, reload_cjs_1.checkReloadOptions)(options));
}
