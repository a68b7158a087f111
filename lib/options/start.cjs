"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.START_OPTIONS = exports.MAX_THREADS = void 0;
exports.checkStartOptions = checkStartOptions;
exports.checkShutdownOptions = checkShutdownOptions;
exports.path = path;
const node_net_1 = require("node:net");
const node_url_1 = require("node:url");
const errors_cjs_1 = require("../errors.cjs");
const advice_cjs_1 = require("./advice.cjs");
const checks_cjs_1 = require("./checks.cjs");
const cluster_cjs_1 = require("./cluster.cjs");
const history_cjs_1 = require("./history.cjs");
const http_cjs_1 = require("./http.cjs");
const threads_cjs_1 = require("./threads.cjs");
const tls_cjs_1 = require("./tls.cjs");
// The options of `start` and `shutdown`. Each function returns them checked and complete, or
// throws.
exports.MAX_THREADS = 1024;
/** The longest string of V8: a text message must fit into one. */
const MAX_STRING = 2 ** 29 - 24;
exports.START_OPTIONS = [
    'bind', 'workerPath', 'threads', 'startTimeout', 'worker', 'handlers', 'handlerTimeout',
    'watchdog', 'ioThreads', 'path', 'protocols', 'maxPayload', 'handshakeTimeout', 'openTimeout',
    'maxPendingUpgrades', 'maxHeaderSize', 'idleTimeout', 'pings', 'pingInterval', 'closeTimeout',
    'maxBackpressure', 'overflow', 'maxSendMemory', 'maxReceiveMemory', 'maxInFlight',
    'maxConnections', 'maxConnectionsPerIp', 'maxChannelsPerSocket', 'maxChannelNameLength',
    'history', 'maxHistoryMemory', 'maxLifetime', 'rateLimit', 'origins', 'trustProxy', 'proxyProtocol', 'reusePort',
    'perMessageDeflate', 'tls', 'onWorker', 'cluster', 'signal', ...http_cjs_1.HTTP_OPTIONS,
];
/**
 * @param call the name of the call, for messages
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
function checkStartOptions(options, call = 'start') {
    const bag = (0, checks_cjs_1.knownKeys)(call, 'options', options, exports.START_OPTIONS, advice_cjs_1.OPTION_HINTS);
    if (typeof bag['bind'] !== 'string') {
        throw (0, checks_cjs_1.wrongType)(call, 'bind', (0, advice_cjs_1.exampleBind)(bag['bind']), bag['bind']);
    }
    const time = (name, from, fallback) => (0, checks_cjs_1.duration)(call, name, bag[name], from) ?? fallback;
    const size = (name, from, to, fallback) => (0, checks_cjs_1.integer)(call, name, bag[name], from, to, 'bytes') ?? fallback;
    const paths = servedPaths(call, bag['path']);
    return {
        workerPath: path(call, 'workerPath', bag['workerPath']),
        startTimeout: time('startTimeout', 0, 30_000),
        process: processOptions(call, bag),
        threads: threadOptions(call, bag),
        listener: {
            bind: bag['bind'],
            paths,
            protocols: subprotocols(call, bag['protocols']),
            handshakeTimeout: time('handshakeTimeout', 1, 10_000),
            openTimeout: time('openTimeout', 1, 10_000),
            maxHeaderSize: size('maxHeaderSize', 256, 2 ** 20, 16_384),
            maxPayload: size('maxPayload', 1, MAX_STRING, 2 ** 20),
            idleTimeout: time('idleTimeout', 0, 120_000),
            pings: (0, checks_cjs_1.optional)(call, 'pings', bag['pings'], 'boolean') ?? true,
            pingInterval: time('pingInterval', 0, 25_000),
            closeTimeout: time('closeTimeout', 1, 5_000),
            maxBackpressure: size('maxBackpressure', 1, checks_cjs_1.MAX_SIZE, 2 ** 20),
            overflow: (0, checks_cjs_1.oneOf)(call, 'overflow', bag['overflow'], ['close', 'dropNewest', 'dropOldest']) ?? 'close',
            maxLifetime: time('maxLifetime', 0, 0),
            rateLimit: rateLimit(call, bag['rateLimit']),
            origins: allowedOrigins(call, bag['origins']),
            trustProxy: trustProxy(call, bag['trustProxy']),
            proxyProtocol: (0, checks_cjs_1.optional)(call, 'proxyProtocol', bag['proxyProtocol'], 'boolean') ?? false,
            reusePort: (0, checks_cjs_1.optional)(call, 'reusePort', bag['reusePort'], 'boolean') ?? false,
            deflate: deflate(call, bag['perMessageDeflate']),
        },
        http: (0, http_cjs_1.checkHttpOptions)(call, bag, paths),
        tls: bag['tls'] === undefined ? undefined : (0, tls_cjs_1.checkTlsOptions)(call, bag['tls']),
        cluster: bag['cluster'] === undefined
            ? undefined
            : (0, cluster_cjs_1.checkClusterOptions)(call, 'cluster', bag['cluster']),
        onWorker: (0, checks_cjs_1.optional)(call, 'onWorker', bag['onWorker'], 'function'),
        signal: abortSignal(call, bag['signal']),
    };
}
/** @throws as {@link checkStartOptions} */
function checkShutdownOptions(options) {
    const call = 'shutdown';
    const bag = options === undefined ? {} : (0, checks_cjs_1.knownKeys)(call, 'options', options, ['code', 'timeout']);
    const code = (0, checks_cjs_1.integer)(call, 'code', bag['code'], 1000, 4999) ?? 1001;
    if (!(0, checks_cjs_1.isSendableCode)(code))
        throw (0, checks_cjs_1.wrongValue)(call, 'code', checks_cjs_1.SENDABLE_CODES, code);
    return { code, timeout: (0, checks_cjs_1.duration)(call, 'timeout', bag['timeout'], 0) ?? 8_000 };
}
/** An `AbortSignal` of any context. */
function abortSignal(call, value) {
    if (value === undefined)
        return undefined;
    const { aborted, addEventListener } = (value ?? {});
    if (typeof aborted !== 'boolean' || typeof addEventListener !== 'function') {
        throw (0, checks_cjs_1.wrongType)(call, 'signal', 'an AbortSignal', value);
    }
    return value;
}
function threadOptions(call, bag) {
    if (bag['worker'] === undefined)
        return undefined;
    const threads = (0, threads_cjs_1.checkThreadOptions)(call, bag['worker']);
    if (bag['threads'] === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "worker" cannot be combined with threads: 0, which starts no worker threads`);
    }
    return threads;
}
function processOptions(call, bag) {
    const inFlight = bag['maxInFlight'] === undefined
        ? {}
        : (0, checks_cjs_1.knownKeys)(call, 'maxInFlight', bag['maxInFlight'], ['messages', 'bytes', 'workerBytes'], {}, 'an object such as { messages: 256 }');
    const watchdog = bag['watchdog'] === undefined
        ? {}
        : (0, checks_cjs_1.knownKeys)(call, 'watchdog', bag['watchdog'], ['after', 'action'], {}, "an object such as { after: 10_000, action: 'replace' }");
    const memory = (name) => (0, checks_cjs_1.integer)(call, name, bag[name], 1, Number.MAX_SAFE_INTEGER, 'bytes');
    const count = (name) => (0, checks_cjs_1.integer)(call, name, bag[name], 1, checks_cjs_1.MAX_SIZE);
    const flight = (name, unit) => (0, checks_cjs_1.integer)(call, `maxInFlight.${name}`, inFlight[name], 1, checks_cjs_1.MAX_SIZE, unit);
    const all = {
        threads: (0, checks_cjs_1.integer)(call, 'threads', bag['threads'], 0, exports.MAX_THREADS),
        handlers: (0, checks_cjs_1.oneOf)(call, 'handlers', bag['handlers'], ['serial', 'concurrent']),
        handlerTimeout: (0, checks_cjs_1.duration)(call, 'handlerTimeout', bag['handlerTimeout'], 0),
        'watchdog.after': (0, checks_cjs_1.duration)(call, 'watchdog.after', watchdog['after'], 100),
        'watchdog.action': (0, checks_cjs_1.oneOf)(call, 'watchdog.action', watchdog['action'], ['report', 'replace']),
        ioThreads: (0, checks_cjs_1.integer)(call, 'ioThreads', bag['ioThreads'], 1, 1024),
        maxSendMemory: memory('maxSendMemory'),
        maxReceiveMemory: memory('maxReceiveMemory'),
        'maxInFlight.messages': flight('messages'),
        'maxInFlight.bytes': flight('bytes', 'bytes'),
        'maxInFlight.workerBytes': flight('workerBytes', 'bytes'),
        maxPendingUpgrades: count('maxPendingUpgrades'),
        maxConnections: count('maxConnections'),
        maxConnectionsPerIp: count('maxConnectionsPerIp'),
        maxChannelsPerSocket: count('maxChannelsPerSocket'),
        maxChannelNameLength: count('maxChannelNameLength'),
        history: (0, history_cjs_1.checkHistory)(call, bag['history']),
        maxHistoryMemory: memory('maxHistoryMemory'),
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
function servedPaths(call, value) {
    if (value === undefined)
        return ['*'];
    const paths = typeof value === 'string'
        ? [value]
        : (0, checks_cjs_1.strings)(call, 'path', value, 'a string or an array of strings');
    for (const one of paths) {
        if (one !== '*' && !/^\/[^?#\s]*$/.test(one)) {
            throw (0, checks_cjs_1.wrongValue)(call, 'path', "'*', or a path that begins with '/' and has no '?', '#' or space", one);
        }
    }
    return [...new Set(paths)];
}
function subprotocols(call, value) {
    if (value === undefined)
        return [];
    const list = (0, checks_cjs_1.strings)(call, 'protocols', value, 'an array of strings');
    for (const one of list) {
        if (!(0, checks_cjs_1.isHttpToken)(one)) {
            throw (0, checks_cjs_1.wrongValue)(call, 'protocols', "names of letters, digits and !#$%&'*+-.^_`|~", one);
        }
    }
    return [...new Set(list)];
}
function rateLimit(call, value) {
    if (value === undefined)
        return undefined;
    const bag = (0, checks_cjs_1.knownKeys)(call, 'rateLimit', value, ['messages', 'bytes', 'burst', 'action'], {}, 'an object such as { messages: 50, burst: 200 }');
    const number = (name, to, unit) => (0, checks_cjs_1.integer)(call, `rateLimit.${name}`, bag[name], 1, to, unit);
    const messages = number('messages', checks_cjs_1.MAX_SIZE);
    const bytes = number('bytes', Number.MAX_SAFE_INTEGER, 'bytes');
    if (messages === undefined && bytes === undefined) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "rateLimit" must set "messages", "bytes" or both`);
    }
    return {
        messages,
        bytes,
        burst: number('burst', checks_cjs_1.MAX_SIZE),
        action: (0, checks_cjs_1.oneOf)(call, 'rateLimit.action', bag['action'], ['pause', 'close']) ?? 'pause',
    };
}
function deflate(call, value) {
    if (value === undefined || value === false)
        return undefined;
    if (value !== true && typeof value !== 'object') {
        throw (0, checks_cjs_1.wrongType)(call, 'perMessageDeflate', 'a boolean or an object', value);
    }
    const bag = value === true ? {} : (0, checks_cjs_1.knownKeys)(call, 'perMessageDeflate', value, ['threshold', 'level']);
    return {
        threshold: (0, checks_cjs_1.integer)(call, 'perMessageDeflate.threshold', bag['threshold'], 0, checks_cjs_1.MAX_SIZE, 'bytes') ?? 1024,
        level: (0, checks_cjs_1.integer)(call, 'perMessageDeflate.level', bag['level'], 1, 9) ?? 3,
    };
}
/** One string or an array of them, each checked under its own name. */
function oneOrMore(call, name, value, check) {
    if (typeof value === 'string')
        return [check(name, value)];
    const list = (0, checks_cjs_1.strings)(call, name, value, 'a string or an array of strings');
    return [...new Set(list.map((one, i) => check(`${name}[${i}]`, one)))];
}
function allowedOrigins(call, value) {
    if (value === undefined)
        return undefined;
    return oneOrMore(call, 'origins', value, (name, one) => {
        const origin = originOf(one);
        if (origin === undefined) {
            throw (0, checks_cjs_1.wrongValue)(call, name, "'*', 'null', or an origin such as 'https://app.example' or 'https://*.app.example', " +
                'without a path', one);
        }
        return origin;
    });
}
/**
 * As browsers send it (RFC 6454, section 6.2): in lower case, names in Punycode, no port where it
 * is the usual one.
 */
function originOf(text) {
    if (text === '*' || text === 'null')
        return text;
    if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\\s]+$/i.test(text))
        return undefined;
    if (!/^https?:/i.test(text))
        return text.toLowerCase();
    try {
        return new URL(text).origin;
    }
    catch {
        return undefined;
    }
}
function trustProxy(call, value) {
    if (value === undefined)
        return undefined;
    const bag = (0, checks_cjs_1.knownKeys)(call, 'trustProxy', value, ['from', 'header'], {}, "an object such as { from: '10.0.0.0/8' }");
    const from = oneOrMore(call, 'trustProxy.from', bag['from'], (name, one) => {
        if (one !== 'unix' && !isNetwork(one)) {
            throw (0, checks_cjs_1.wrongValue)(call, name, "an IP address, a network such as '10.0.0.0/8', or 'unix'", one);
        }
        return one;
    });
    if (from.length === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "trustProxy.from" must contain at least one proxy, got an empty array`);
    }
    return {
        from: from.filter((one) => one !== 'unix'),
        unix: from.includes('unix'),
        header: (0, checks_cjs_1.oneOf)(call, 'trustProxy.header', bag['header'], ['x-forwarded-for', 'forwarded']) ??
            'x-forwarded-for',
    };
}
function isNetwork(text) {
    const [, address = '', prefix] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const family = (0, node_net_1.isIP)(address);
    return family !== 0 && (prefix === undefined || Number(prefix) <= (family === 4 ? 32 : 128));
}
function path(call, name, value) {
    if (value === undefined)
        return undefined;
    if (typeof value === 'string' && !value.startsWith('file:')) {
        if (value === '' || value.includes('\0')) {
            throw (0, checks_cjs_1.wrongValue)(call, name, 'the path of a module', value);
        }
        return value;
    }
    if (typeof value !== 'string' && !(value instanceof URL)) {
        throw (0, checks_cjs_1.wrongType)(call, name, 'a string or a file: URL', value);
    }
    try {
        return (0, node_url_1.fileURLToPath)(value);
    }
    catch {
        throw (0, checks_cjs_1.wrongValue)(call, name, 'a path or a file: URL on this machine', String(value));
    }
}
