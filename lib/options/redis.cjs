"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.REDIS_TLS_OPTIONS_NAMED = void 0;
exports.checkRedisOptions = checkRedisOptions;
exports.text = text;
exports.defined = defined;
const errors_cjs_1 = require("../errors.cjs");
const checks_cjs_1 = require("./checks.cjs");
// Where a Redis is: the option as `joinCluster`, the emitters and the server helper take it.
// Checking it loads no native code.
const REDIS_OPTIONS = [
    'url',
    'host',
    'port',
    'nodes',
    'sentinels',
    'name',
    'username',
    'password',
    'db',
    'connectTimeout',
    'tls',
];
const REDIS_TLS_OPTIONS = ['ca', 'cert', 'key', 'rejectUnauthorized'];
/** With `servername`, the name that the server's certificate must be for. */
exports.REDIS_TLS_OPTIONS_NAMED = [...REDIS_TLS_OPTIONS, 'servername'];
/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given, but never shows a password
 */
function checkRedisOptions(call, name, value, tlsOptions = REDIS_TLS_OPTIONS) {
    if (typeof value === 'string')
        return { url: url(call, name, value), nodes: [], kind: 'single' };
    if (typeof value !== 'object' || value === null) {
        throw (0, checks_cjs_1.wrongType)(call, name, 'a redis:// or rediss:// URL, or an object', value);
    }
    const bag = (0, checks_cjs_1.knownKeys)(call, name, value, REDIS_OPTIONS);
    const kinds = ['url', 'host', 'nodes', 'sentinels'].filter((kind) => bag[kind] !== undefined);
    if (kinds.length > 1) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must have exactly one of url, host, nodes and sentinels, got ` +
            `${kinds.join(' and ')}`);
    }
    if (kinds.length === 0 && bag['port'] === undefined) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must have exactly one of url, host, nodes and sentinels, got none`);
    }
    if (bag['nodes'] !== undefined && bag['db'] !== undefined && bag['db'] !== 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}.db" must be left out with "nodes": a Redis Cluster has one database`);
    }
    const shared = {
        ...defined('username', text(call, `${name}.username`, bag['username'])),
        ...defined('password', text(call, `${name}.password`, bag['password'])),
        ...defined('db', (0, checks_cjs_1.integer)(call, `${name}.db`, bag['db'], 0, 2 ** 16)),
        ...defined('connectTimeout', (0, checks_cjs_1.duration)(call, `${name}.connectTimeout`, bag['connectTimeout'], 1)),
        ...defined('tls', redisTls(call, `${name}.tls`, bag['tls'], tlsOptions)),
    };
    if (bag['url'] !== undefined) {
        return { url: url(call, `${name}.url`, bag['url']), nodes: [], kind: 'single', ...shared };
    }
    if (bag['sentinels'] !== undefined) {
        const primary = text(call, `${name}.name`, bag['name']);
        if (primary === undefined || primary === '') {
            throw (0, checks_cjs_1.wrongType)(call, `${name}.name`, 'the name of the primary that the Sentinels watch', bag['name']);
        }
        return {
            kind: 'sentinel',
            nodes: nodes(call, `${name}.sentinels`, bag['sentinels'], 26379),
            name: primary,
            ...shared,
        };
    }
    if (bag['nodes'] !== undefined) {
        return { kind: 'cluster', nodes: nodes(call, `${name}.nodes`, bag['nodes'], 6379), ...shared };
    }
    return {
        kind: 'single',
        nodes: [node(call, name, { host: bag['host'] ?? '127.0.0.1', port: bag['port'] }, 6379)],
        ...shared,
    };
}
function url(call, name, value) {
    if (typeof value !== 'string')
        throw (0, checks_cjs_1.wrongType)(call, name, 'a string', value);
    // The URL is not shown: it may contain a password.
    if (!/^rediss?:\/\/\S+$/.test(value)) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must be a redis:// or rediss:// URL, such as 'redis://127.0.0.1:6379'`);
    }
    return value;
}
function nodes(call, name, value, port) {
    if (!Array.isArray(value))
        throw (0, checks_cjs_1.wrongType)(call, name, 'an array of { host, port }', value);
    if (value.length === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must contain at least one server, got an empty array`);
    }
    return value.map((one, i) => node(call, `${name}[${i}]`, (0, checks_cjs_1.knownKeys)(call, `${name}[${i}]`, one, ['host', 'port']), port));
}
function node(call, name, { host, port }, usual) {
    if (typeof host !== 'string' || host === '') {
        throw (0, checks_cjs_1.wrongType)(call, `${name}.host`, 'a host name or an IP address', host);
    }
    return { host, port: (0, checks_cjs_1.integer)(call, `${name}.port`, port, 1, 65_535) ?? usual };
}
function redisTls(call, name, value, known) {
    if (value === undefined || value === false)
        return undefined;
    if (value === true)
        return { rejectUnauthorized: true };
    const bag = (0, checks_cjs_1.knownKeys)(call, name, value, known);
    const pem = (option) => {
        const one = bag[option];
        if (one === undefined)
            return undefined;
        if (one instanceof Uint8Array)
            return Buffer.from(one);
        if (typeof one !== 'string')
            throw (0, checks_cjs_1.wrongType)(call, `${name}.${option}`, 'PEM', one);
        if (!one.includes('-----BEGIN')) {
            throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}.${option}" must be PEM, which contains a line with -----BEGIN`);
        }
        return Buffer.from(one);
    };
    const [cert, key] = [pem('cert'), pem('key')];
    if ((cert === undefined) !== (key === undefined)) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must have both "cert" and "key", or neither`);
    }
    return {
        ...defined('ca', pem('ca')),
        ...defined('cert', cert),
        ...defined('key', key),
        ...defined('servername', text(call, `${name}.servername`, bag['servername'])),
        rejectUnauthorized: (0, checks_cjs_1.optional)(call, `${name}.rejectUnauthorized`, bag['rejectUnauthorized'], 'boolean') ?? true,
    };
}
function text(call, name, value) {
    if (value !== undefined && typeof value !== 'string') {
        throw (0, checks_cjs_1.wrongType)(call, name, 'a string', value);
    }
    return value;
}
function defined(name, value) {
    return value === undefined ? {} : { [name]: value };
}
