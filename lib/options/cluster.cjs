"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.checkClusterOptions = checkClusterOptions;
const checks_cjs_1 = require("./checks.cjs");
const redis_cjs_1 = require("./redis.cjs");
function expected(name) {
    return name === 'options' ? 'an object' : "an object such as { redis: 'redis://127.0.0.1:6379' }";
}
const CLUSTER_OPTIONS = ['redis', 'prefix', 'instanceId', 'required', 'maxOutgoing', 'onBus'];
/**
 * @throws {TypeError | WSBrokerError} an option is wrong; the message says which, what was expected
 * and what was given, but never shows a password
 */
function checkClusterOptions(call, name, value, known = CLUSTER_OPTIONS) {
    const bag = (0, checks_cjs_1.knownKeys)(call, name, value, known, {}, expected(name));
    const within = (option) => (name === 'options' ? option : `${name}.${option}`);
    const prefix = (0, redis_cjs_1.text)(call, within('prefix'), bag['prefix']) ?? 'wsbroker';
    if (prefix === '' || Buffer.byteLength(prefix) > 256) {
        throw (0, checks_cjs_1.wrongValue)(call, within('prefix'), '1 to 256 bytes', prefix);
    }
    const instanceId = (0, redis_cjs_1.text)(call, within('instanceId'), bag['instanceId']);
    if (instanceId !== undefined && (instanceId === '' || Buffer.byteLength(instanceId) > 256)) {
        throw (0, checks_cjs_1.wrongValue)(call, within('instanceId'), '1 to 256 bytes', instanceId);
    }
    return {
        native: {
            redis: (0, redis_cjs_1.checkRedisOptions)(call, within('redis'), bag['redis']),
            prefix,
            ...(instanceId !== undefined && { instanceId }),
            maxOutgoing: (0, checks_cjs_1.integer)(call, within('maxOutgoing'), bag['maxOutgoing'], 1, checks_cjs_1.MAX_SIZE, 'bytes') ?? 2 ** 23,
        },
        required: (0, checks_cjs_1.optional)(call, within('required'), bag['required'], 'boolean') ?? false,
        onBus: (0, checks_cjs_1.optional)(call, within('onBus'), bag['onBus'], 'function'),
    };
}
