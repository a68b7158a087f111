"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.startRequest = startRequest;
exports.shutdownRequest = shutdownRequest;
exports.optionBag = optionBag;
exports.isHttpToken = isHttpToken;
exports.wrongType = wrongType;
exports.wrongValue = wrongValue;
exports.typeName = typeName;
exports.nearest = nearest;
const node_url_1 = require("node:url");
const errors_cjs_1 = require("./errors.cjs");
// Every function here takes the call's name and the argument's, so that a message can say: `start: "threads" must be …, got …`.
/** The longest time a timer takes. */
const MAX_DURATION = 2 ** 31 - 1;
/** What a per-socket size may be: it crosses into Rust as 32 bits. */
const MAX_SIZE = 2 ** 31 - 1;
/** V8 makes no longer string, and a text message is one. */
const MAX_STRING = 2 ** 29 - 24;
const START_OPTIONS = [
    'bind', 'workerPath', 'threads', 'handlers', 'handlerTimeout', 'ioThreads', 'path', 'protocols', 'maxPayload', 'handshakeTimeout', 'openTimeout',
    'maxPendingUpgrades', 'maxHeaderSize', 'idleTimeout', 'pings', 'closeTimeout', 'maxBackpressure', 'overflow', 'maxSendMemory', 'maxReceiveMemory',
    'maxInFlight', 'onWorker',
];
/** @throws {TypeError | WSBrokerError} naming the option, what was expected and what came */
function startRequest(options) {
    const call = 'start';
    const bag = optionBag(call, 'options', options, START_OPTIONS);
    if (typeof bag['bind'] !== 'string')
        throw wrongType(call, 'bind', 'a string', bag['bind']);
    const number = (name, from, to, fallback) => integer(call, name, bag[name], from, to) ?? fallback;
    return {
        workerPath: path(call, 'workerPath', bag['workerPath']),
        process: processOptions(call, bag),
        listener: {
            bind: bag['bind'],
            paths: servedPaths(call, bag['path']),
            protocols: subprotocols(call, bag['protocols']),
            handshakeTimeout: number('handshakeTimeout', 1, MAX_DURATION, 10_000),
            openTimeout: number('openTimeout', 1, MAX_DURATION, 10_000),
            maxHeaderSize: number('maxHeaderSize', 256, 2 ** 20, 16_384),
            maxPayload: number('maxPayload', 1, MAX_STRING, 2 ** 20),
            idleTimeout: number('idleTimeout', 0, MAX_DURATION, 120_000),
            pings: optional(call, 'pings', bag['pings'], 'boolean') ?? true,
            closeTimeout: number('closeTimeout', 1, MAX_DURATION, 5_000),
            maxBackpressure: number('maxBackpressure', 1, MAX_SIZE, 2 ** 20),
            overflow: oneOf(call, 'overflow', bag['overflow'], ['close', 'dropNewest']) ?? 'close',
        },
        onWorker: optional(call, 'onWorker', bag['onWorker'], 'function'),
    };
}
/** @throws as {@link startRequest} */
function shutdownRequest(options) {
    const call = 'shutdown';
    const bag = options === undefined ? {} : optionBag(call, 'options', options, ['code', 'timeout']);
    const code = integer(call, 'code', bag['code'], 1000, 4999) ?? 1001;
    if (!isSendableCode(code))
        throw wrongValue(call, 'code', 'a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)', code);
    return { code, timeout: integer(call, 'timeout', bag['timeout'], 0, MAX_DURATION) ?? 10_000 };
}
function processOptions(call, bag) {
    const inFlight = bag['maxInFlight'] === undefined ? {} : optionBag(call, 'maxInFlight', bag['maxInFlight'], ['messages', 'bytes', 'workerBytes']);
    const memory = (name) => integer(call, name, bag[name], 1, Number.MAX_SAFE_INTEGER);
    const flight = (name) => integer(call, `maxInFlight.${name}`, inFlight[name], 1, MAX_SIZE);
    const all = {
        threads: integer(call, 'threads', bag['threads'], 0, 1024),
        handlers: oneOf(call, 'handlers', bag['handlers'], ['serial', 'concurrent']),
        handlerTimeout: integer(call, 'handlerTimeout', bag['handlerTimeout'], 0, MAX_DURATION),
        ioThreads: integer(call, 'ioThreads', bag['ioThreads'], 1, 1024),
        maxSendMemory: memory('maxSendMemory'),
        maxReceiveMemory: memory('maxReceiveMemory'),
        'maxInFlight.messages': flight('messages'),
        'maxInFlight.bytes': flight('bytes'),
        'maxInFlight.workerBytes': flight('workerBytes'),
        maxPendingUpgrades: integer(call, 'maxPendingUpgrades', bag['maxPendingUpgrades'], 1, MAX_SIZE),
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
function servedPaths(call, value) {
    if (value === undefined)
        return ['*'];
    const paths = typeof value === 'string' ? [value] : strings(call, 'path', value, 'a string or an array of strings');
    if (paths.length === 0)
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_ARG_VALUE', `${call}: "path" must name at least one path, got an empty array`);
    for (const one of paths) {
        if (one !== '*' && !/^\/[^?#\s]*$/.test(one))
            throw wrongValue(call, 'path', "'*', or begin with '/' and have no '?', '#' or space", one);
    }
    return [...new Set(paths)];
}
function subprotocols(call, value) {
    if (value === undefined)
        return [];
    const list = strings(call, 'protocols', value, 'an array of strings');
    for (const one of list) {
        if (!isHttpToken(one))
            throw wrongValue(call, 'protocols', 'names of letters, digits and !#$%&\'*+-.^_`|~', one);
    }
    return [...new Set(list)];
}
function path(call, name, value) {
    if (value === undefined)
        return undefined;
    if (typeof value === 'string' && !value.startsWith('file:')) {
        if (value === '' || value.includes('\0'))
            throw wrongValue(call, name, 'the path of a module', value);
        return value;
    }
    if (typeof value !== 'string' && !(value instanceof URL))
        throw wrongType(call, name, 'a string or a file: URL', value);
    try {
        return (0, node_url_1.fileURLToPath)(value);
    }
    catch {
        throw wrongValue(call, name, 'a path or a file: URL of this machine', String(value));
    }
}
/** An object whose every key is known. */
function optionBag(call, name, value, known) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw wrongType(call, name, 'an object', value);
    for (const key of Object.keys(value)) {
        if (known.includes(key))
            continue;
        const near = nearest(key, known);
        const where = name === 'options' ? '' : ` in "${name}"`;
        const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean "${near}"?`;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNKNOWN_OPTION', `${call}: unknown option "${key}"${where}; ${hint}`);
    }
    return value;
}
function integer(call, name, value, from, to) {
    if (value === undefined)
        return undefined;
    if (typeof value !== 'number')
        throw wrongType(call, name, 'a number', value);
    if (!Number.isInteger(value) || value < from || value > to)
        throw wrongValue(call, name, `an integer from ${from} to ${to}`, value);
    return value;
}
function oneOf(call, name, value, allowed) {
    if (value === undefined)
        return undefined;
    if (typeof value !== 'string')
        throw wrongType(call, name, 'a string', value);
    if (!allowed.includes(value))
        throw wrongValue(call, name, allowed.map((one) => `'${one}'`).join(' or '), value);
    return value;
}
function optional(call, name, value, type) {
    if (value !== undefined && typeof value !== type)
        throw wrongType(call, name, `a ${type}`, value);
    return value;
}
function strings(call, name, value, expected) {
    if (!Array.isArray(value))
        throw wrongType(call, name, expected, value);
    const odd = value.findIndex((one) => typeof one !== 'string');
    if (odd !== -1)
        throw wrongType(call, `${name}[${odd}]`, 'a string', value[odd]);
    return value;
}
/** RFC 9110, section 5.6.2. */
function isHttpToken(text) {
    return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}
/** Whether RFC 6455, section 7.4, lets an application put it on the wire. */
function isSendableCode(code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
function wrongType(call, name, expected, value) {
    return new errors_cjs_1.WSBrokerTypeError(`${call}: "${name}" must be ${expected}, got ${typeName(value)}`);
}
function wrongValue(call, name, expected, value) {
    const shown = typeof value === 'number' ? String(value) : `'${value.length > 100 ? `${value.slice(0, 100)}…` : value}'`;
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_ARG_VALUE', `${call}: "${name}" must be ${expected}, got ${shown}`);
}
/** What kind of thing it is, never what it holds: that may be a secret. */
function typeName(value) {
    if (value === null)
        return 'null';
    if (Array.isArray(value))
        return 'an array';
    return typeof value === 'object' ? 'an object' : typeof value;
}
/** The known name that is nearest, if it is near enough to be meant. */
function nearest(name, known, farthest = Math.max(2, Math.floor(name.length / 3))) {
    let best;
    let least = farthest + 1;
    for (const candidate of known) {
        const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
        if (distance < least)
            [best, least] = [candidate, distance];
    }
    return best;
}
/** Levenshtein's, row by row. A name from outside may be long: beyond 64 characters nothing is near anyhow. */
function editDistance(a, b) {
    if (a.length > 64)
        return a.length;
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
        const next = [i];
        for (let j = 1; j <= b.length; j++) {
            next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
        }
        row = next;
    }
    return row[b.length] ?? 0;
}
