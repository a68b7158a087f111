"use strict";
// Publishing to channels with history through a Redis client of the application.
Object.defineProperty(exports, "__esModule", { value: true });
exports.numberingFor = numberingFor;
const emitter_client_cjs_1 = require("./emitter-client.cjs");
const emitter_script_cjs_1 = require("./emitter-script.cjs");
const errors_cjs_1 = require("./errors.cjs");
const load_cjs_1 = require("./native/load.cjs");
const checks_cjs_1 = require("./options/checks.cjs");
/** Channels whose heads are remembered. More, and the oldest is forgotten. */
const MAX_HEADS = 10_000;
/** The script of the instances, run by the client. */
function numberingFor(client, prefix, history, timeout) {
    if (typeof client.evalsha !== 'function' || typeof client.eval !== 'function') {
        throw (0, checks_cjs_1.wrongType)('Emitter', 'redis', 'with "history", a client that has evalsha and eval, as ioredis has', client);
    }
    const keyPrefix = client.options?.keyPrefix;
    if (typeof keyPrefix === 'string' && keyPrefix !== '') {
        throw (0, checks_cjs_1.wrongValue)('Emitter', 'redis', 'with "history", a client without a keyPrefix, which would lead to other keys', keyPrefix);
    }
    const script = new load_cjs_1.native.NativePublishingScript(prefix, history);
    const runner = new emitter_script_cjs_1.ScriptRunner(client, script.text);
    const ask = (0, emitter_client_cjs_1.boundedClient)(client, timeout);
    const heads = new Map();
    const publish = async (channel, data, id) => {
        const name = channel.toString('latin1');
        // Now: the bytes are the caller's again when this returns.
        const call = script.publish(channel, data, id, heads.get(name), client.isCluster === true);
        if (call === null)
            return {};
        const size = Buffer.byteLength(data) + channel.length;
        const send = () => runner.run(name, call.keys.length, [...call.keys, ...call.arguments]);
        const texts = await ask(size, send).catch((error) => {
            throw failure(error);
        });
        const [epoch, offset, duplicate] = (Array.isArray(texts) ? texts : []).map(String);
        if (epoch === undefined || offset === undefined) {
            throw failure(new Error('Redis gave an answer that the script does not give'));
        }
        const position = { offset: Number(offset), epoch };
        if (duplicate === '1')
            return { ...position, duplicate: true };
        heads.delete(name);
        heads.set(name, position);
        if (heads.size > MAX_HEADS)
            heads.delete(heads.keys().next().value);
        return position;
    };
    return { hasHistory: (channel) => script.hasHistory(channel), publish };
}
/** An error of Redis itself: it has stored nothing. Anything else may have happened later. */
function failure(error) {
    const { cause } = error;
    const isRefused = cause === undefined
        ? error instanceof errors_cjs_1.WSBrokerError
        : cause instanceof emitter_script_cjs_1.NotStored || cause.name === 'ReplyError';
    const known = error instanceof errors_cjs_1.WSBrokerError
        ? error
        : new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${error.message}`);
    return Object.assign(known, { stored: isRefused ? false : 'unknown' });
}
