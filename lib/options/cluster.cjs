"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.clusterRequest = clusterRequest;
exports.join = join;
exports.teller = teller;
exports.busReady = busReady;
const node_worker_threads_1 = require("node:worker_threads");
const advice_cjs_1 = require("./advice.cjs");
const checks_cjs_1 = require("./checks.cjs");
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const redis_cjs_1 = require("./redis.cjs");
const report_cjs_1 = require("../report.cjs");
const async_scope_cjs_1 = require("../async-scope.cjs");
const CLUSTER_OPTIONS = ['redis', 'prefix', 'instanceId', 'required', 'maxOutgoing', 'onBus'];
/**
 * @throws {TypeError | WSBrokerError} naming the option, what was expected and what came; never a
 * password
 */
function clusterRequest(call, name, value, known = CLUSTER_OPTIONS) {
    const bag = (0, checks_cjs_1.optionBag)(call, name, value, known);
    const within = (option) => (name === 'options' ? option : `${name}.${option}`);
    const prefix = (0, redis_cjs_1.text)(call, within('prefix'), bag['prefix']) ?? 'wsbroker';
    if (prefix === '' || Buffer.byteLength(prefix) > 256)
        throw (0, checks_cjs_1.wrongValue)(call, within('prefix'), '1 to 256 bytes', prefix);
    const instanceId = (0, redis_cjs_1.text)(call, within('instanceId'), bag['instanceId']);
    if (instanceId !== undefined && (instanceId === '' || Buffer.byteLength(instanceId) > 256)) {
        throw (0, checks_cjs_1.wrongValue)(call, within('instanceId'), '1 to 256 bytes', instanceId);
    }
    return {
        native: {
            redis: (0, redis_cjs_1.redisRequest)(call, within('redis'), bag['redis']),
            prefix,
            ...(instanceId !== undefined && { instanceId }),
            maxOutgoing: (0, checks_cjs_1.integer)(call, within('maxOutgoing'), bag['maxOutgoing'], 1, checks_cjs_1.MAX_SIZE) ?? 2 ** 23,
        },
        required: (0, checks_cjs_1.optional)(call, within('required'), bag['required'], 'boolean') ?? false,
        onBus: (0, checks_cjs_1.optional)(call, within('onBus'), bag['onBus'], 'function'),
    };
}
/** Why the bus is lost, if it is and somebody has told. */
let lost;
/** Joins, at once or with the first server. */
function join({ native: options, onBus }) {
    lost = undefined;
    if (!node_worker_threads_1.isMainThread)
        load_cjs_1.native.endWithThread();
    const tell = teller(onBus);
    try {
        load_cjs_1.native.joinCluster(options, (events) => {
            for (const event of events)
                if (event.state === 'ready' || event.state === 'lost')
                    lost = event.reason;
            tell(events);
        });
    }
    catch (error) {
        const ours = (0, errors_cjs_1.fromNative)(error);
        throw ours instanceof errors_cjs_1.WSBrokerError && ours.code === 'ERR_WSBROKER_CONFLICT'
            ? (0, advice_cjs_1.also)(ours, advice_cjs_1.START_OVER)
            : ours;
    }
}
/** What the addon calls: a throw of the application's must not get into it. */
function teller(onBus) {
    const tell = onBus === undefined ? undefined : (0, async_scope_cjs_1.inScopeHere)(onBus);
    return (events) => {
        if (tell === undefined)
            return;
        for (const event of events) {
            try {
                // What the addon leaves out has no property.
                tell(Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined)));
            }
            catch (error) {
                console.error(`wsbroker: onBus threw ${(0, report_cjs_1.errorText)(error)}`);
            }
        }
    };
}
/** Waits for the first time that the bus is ready. */
async function busReady(limit) {
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, limit, false)));
    const ready = await Promise.race([load_cjs_1.native.clusterReady(), late]);
    clearTimeout(timer);
    if (!ready)
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `start: Redis did not become ready within ${limit} ms, and "cluster.required" is true${lost === undefined ? '' : `: ${lost}`}`);
}
