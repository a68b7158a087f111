"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.joinCluster = joinCluster;
exports.busEventReporter = busEventReporter;
exports.busReady = busReady;
const node_worker_threads_1 = require("node:worker_threads");
const async_scope_cjs_1 = require("../async-scope.cjs");
const errors_cjs_1 = require("../errors.cjs");
const advice_cjs_1 = require("../options/advice.cjs");
const report_cjs_1 = require("../report.cjs");
const load_cjs_1 = require("./load.cjs");
// Joining other instances, and what the bus reports.
/** Why the bus is lost, if it is and the bus has said why. */
let lostReason;
/** Where Redis is, for messages. */
let redisPlace = '';
/** Joins, at once or with the first server. */
function joinCluster({ native: options, onBus }) {
    lostReason = undefined;
    redisPlace = placeOf(options.redis);
    if (!node_worker_threads_1.isMainThread)
        load_cjs_1.native.endWithThread();
    const report = onBus === undefined ? stderrReporter(redisPlace) : busEventReporter(onBus);
    try {
        load_cjs_1.native.joinCluster(options, (events) => {
            for (const { state, reason } of events) {
                if (state === 'ready' || state === 'lost')
                    lostReason = reason;
            }
            report(events);
        });
    }
    catch (error) {
        const ours = (0, errors_cjs_1.fromNative)(error);
        const isConflict = ours instanceof errors_cjs_1.WSBrokerError && ours.code === 'ERR_WSBROKER_CONFLICT';
        throw isConflict ? (0, advice_cjs_1.withAdvice)(ours, advice_cjs_1.START_OVER) : ours;
    }
}
/** A function for the addon to call: no error of the application's may get into it. */
function busEventReporter(onBus) {
    const scoped = onBus === undefined ? undefined : (0, async_scope_cjs_1.inScopeHere)(onBus);
    return (events) => {
        if (scoped === undefined)
            return;
        for (const event of events) {
            try {
                // Fields that the addon leaves out are no properties of the event.
                const given = Object.entries(event).filter(([, value]) => value !== undefined);
                scoped(Object.fromEntries(given));
            }
            catch (error) {
                console.error(`wsbroker: onBus threw ${(0, report_cjs_1.errorText)(error)}`);
            }
        }
    };
}
/** For an application without `onBus`: without a word, instances would just not hear each other. */
function stderrReporter(place) {
    let lost = false;
    return (events) => {
        for (const { state, reason } of events) {
            if (state === 'lost') {
                (0, report_cjs_1.reportError)(`the bus is lost (Redis${place}). Reconnecting; pass "onBus" to handle this in your code`, reason);
            }
            else if (state === 'warning')
                (0, report_cjs_1.reportError)(`the bus (Redis${place})`, reason);
            else if (state === 'ready' && lost)
                (0, report_cjs_1.reportError)(`the bus (Redis${place})`, 'ready again');
            if (state === 'lost' || state === 'ready')
                lost = state === 'lost';
        }
    };
}
/** Where Redis is, without its user and password. */
function placeOf({ url, nodes }) {
    if (url === undefined)
        return ` at ${nodes.map(({ host, port }) => `${host}:${port}`).join(', ')}`;
    const host = /^rediss?:\/\/(?:[^/]*@)?([^/?#@]+)/.exec(url)?.[1];
    return host === undefined ? '' : ` at ${host}`;
}
/** Waits until the bus is ready for the first time. */
async function busReady(timeout) {
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, timeout, false)));
    const ready = await Promise.race([load_cjs_1.native.clusterReady(), late]);
    clearTimeout(timer);
    if (ready)
        return;
    const why = lostReason === undefined ? '' : `: ${lostReason}`;
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `start: Redis${redisPlace} was not ready within ${timeout} ms, and "cluster.required" is true${why}`);
}
