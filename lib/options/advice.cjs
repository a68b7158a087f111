"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.HELPER_OPTION_HINTS = exports.OPTION_HINTS = exports.START_OVER = void 0;
exports.exampleBind = exampleBind;
exports.explainBindError = explainBindError;
exports.withAdvice = withAdvice;
exports.conflictWithEarlier = conflictWithEarlier;
const errors_cjs_1 = require("../errors.cjs");
// Sentences at the end of messages that say what to do.
/** For everything that contradicts an earlier call. */
exports.START_OVER = 'to start over, for instance under "bun --hot", call "await shutdown()" first';
const USE_BIND = `pass the address as "bind", such as bind: '127.0.0.1:8080'`;
const USE_HTTP = 'wsbroker listens on an address of its own: pass it as "bind", such as bind: ' +
    `'127.0.0.1:8080', and pass your server, before it listens, as "http" to have both on one port`;
/** The one of ours that other libraries call otherwise. */
function ours(name, more = '') {
    return `wsbroker calls it "${name}"${more}`;
}
const OURS_TLS = ours('tls', ", such as tls: { cert: 'chain.pem', key: 'key.pem' }");
const OURS_COMPRESSION = ours('perMessageDeflate');
const OURS_BACKPRESSURE = ours('maxBackpressure', ', in bytes');
const OURS_OVERFLOW = ours('overflow', ", which is 'close', 'dropNewest' or 'dropOldest'");
const OURS_PAYLOAD = ours('maxPayload', ', in bytes');
const OURS_PINGS = ours('pings', '; "pingInterval" says how often');
const OURS_IDLE = ours('idleTimeout', ', in milliseconds');
const OURS_CLUSTER = ours('cluster', ", such as cluster: { redis: 'redis://127.0.0.1:6379' }");
const OURS_ORIGINS = ours('origins', ", such as origins: ['https://app.example']");
const IN_HANDLE_OPEN = 'decide in "handleOpen", which may return false or { status: 401 }';
/** Options of other servers, and what to use instead in `start`. */
const FOREIGN_OPTIONS = {
    cert: OURS_TLS,
    key: OURS_TLS,
    ssl: OURS_TLS,
    compression: OURS_COMPRESSION,
    compress: OURS_COMPRESSION,
    deflate: OURS_COMPRESSION,
    backpressureLimit: OURS_BACKPRESSURE,
    highWaterMark: OURS_BACKPRESSURE,
    closeOnBackpressureLimit: OURS_OVERFLOW,
    maxPayloadLength: OURS_PAYLOAD,
    maxHttpBufferSize: OURS_PAYLOAD,
    maxMessageSize: OURS_PAYLOAD,
    sendPings: OURS_PINGS,
    sendPingsAutomatically: OURS_PINGS,
    pingTimeout: OURS_IDLE,
    heartbeat: OURS_PINGS,
    heartbeatInterval: ours('pingInterval', ', in milliseconds'),
    redis: OURS_CLUSTER,
    adapter: OURS_CLUSTER,
    cors: OURS_ORIGINS,
    origin: OURS_ORIGINS,
    allowedOrigins: OURS_ORIGINS,
    workers: ours('threads', ', the number of worker threads'),
    subprotocols: ours('protocols'),
    handleProtocols: ours('protocols', '; or return { protocol } from "handleOpen"'),
    verifyClient: IN_HANDLE_OPEN,
    allowRequest: IN_HANDLE_OPEN,
    auth: IN_HANDLE_OPEN,
};
/** The same for `start` and for helpers. */
const COMMON_HINTS = {
    port: USE_BIND,
    host: USE_BIND,
    hostname: USE_BIND,
    address: USE_BIND,
    listen: USE_BIND,
    url: USE_BIND,
};
exports.OPTION_HINTS = {
    ...COMMON_HINTS,
    ...FOREIGN_OPTIONS,
    server: USE_HTTP,
    httpServer: USE_HTTP,
    noServer: USE_HTTP,
    https: `${USE_HTTP}; for TLS use "tls"`,
};
const START_BESIDE = 'a helper does not serve HTTP; pass this option to a call of start with the same "bind" and ' +
    'path: [], and call it before configure()';
/** As {@link OPTION_HINTS}, for helpers. */
exports.HELPER_OPTION_HINTS = {
    ...COMMON_HINTS,
    httpServer: START_BESIDE,
    noServer: START_BESIDE,
    https: START_BESIDE,
    http: START_BESIDE,
    answers: START_BESIDE,
    forwardUpgrades: START_BESIDE,
    keepAliveTimeout: START_BESIDE,
    requestTimeout: START_BESIDE,
    forwardTimeout: START_BESIDE,
    history: 'rooms and users of a helper have no history; pass this option to start',
    maxHistoryMemory: 'rooms and users of a helper have no history; pass this option to start',
};
/** A valid `bind`, with the port if a port was given. */
function exampleBind(given) {
    const isPort = typeof given === 'number' && Number.isInteger(given) && given >= 0 && given < 2 ** 16;
    const port = isPort ? given : 8080;
    return `a string such as '127.0.0.1:${port}', or '0.0.0.0:${port}' for all addresses`;
}
/** The addon's error about an address, with what to do about it. */
function explainBindError(error, bind, reusePort) {
    if (!(error instanceof errors_cjs_1.WSBrokerError))
        return error;
    if (error.code === 'ERR_WSBROKER_CONFLICT')
        return withAdvice(error, exports.START_OVER);
    if (error.code === 'ERR_WSBROKER_INVALID_BIND') {
        const port = /^:?(\d{1,5})$/.exec(bind)?.[1];
        return port === undefined
            ? error
            : withAdvice(error, `pass ${exampleBind(Number(port))}`);
    }
    if (bind.startsWith('unix:'))
        return error;
    const advice = adviceForSystemError(error.syscallCode, reusePort);
    return advice === undefined ? error : withAdvice(error, advice);
}
function adviceForSystemError(code, reusePort) {
    switch (code) {
        case 'EADDRINUSE':
            return reusePort
                ? 'another program is already listening there; every process that shares a port must set ' +
                    '"reusePort", from its first "start" on'
                : 'another program is already listening there: end it, or choose another port; to share ' +
                    'the port between processes (node:cluster, PM2), set "reusePort" in all of them';
        case 'EADDRNOTAVAIL':
            return 'this machine does not have that address; 0.0.0.0 means all that it has';
        case 'EACCES':
            return ('the system reserves that port, as Linux does those below 1024: choose a higher one, or ' +
                'grant the process CAP_NET_BIND_SERVICE');
        default:
            return undefined;
    }
}
/** The same error, with more to say. */
function withAdvice(error, advice) {
    error.message += `; ${advice}`;
    return error;
}
/** A process-wide option has another value than in an earlier `start`. */
function conflictWithEarlier(name, before, now) {
    const shown = (value) => typeof value === 'object' ? JSON.stringify(value) : String(value);
    const was = before === undefined ? 'off' : shown(before);
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `start: "${name}" applies to the whole process and has been ${was} since an earlier start, ` +
        `got ${shown(now)}; ${exports.START_OVER}`);
}
