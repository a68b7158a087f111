"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.NOT_FOR_HELPERS = exports.CALL = void 0;
exports.checkNativeOptions = checkNativeOptions;
exports.helperError = helperError;
const errors_cjs_1 = require("../../errors.cjs");
const http_cjs_1 = require("../../options/http.cjs");
const start_cjs_1 = require("../../options/start.cjs");
// The options of a helper, translated to options of `start` and checked.
exports.CALL = 'WebSocketServerHelper';
/** Options of `start` that a helper does not have. */
exports.NOT_FOR_HELPERS = [
    'bind',
    'workerPath',
    'threads',
    'startTimeout',
    'worker',
    'handlers',
    'watchdog',
    'path',
    'cluster',
    'signal',
    'history',
    'maxHistoryMemory',
    ...http_cjs_1.HTTP_OPTIONS,
];
/** Options of Bun's sockets, and their names in `start`. */
const BUN_OPTIONS = [
    ['maxPayloadLength', 'maxPayload'],
    ['idleTimeout', 'idleTimeout'],
    ['sendPings', 'pings'],
    ['backpressureLimit', 'maxBackpressure'],
    ['perMessageDeflate', 'perMessageDeflate'],
];
/** Options that apply to a whole address, and so to every path on it. */
const ADDRESS_OPTIONS = [
    'handshakeTimeout',
    'maxHeaderSize',
    'proxyProtocol',
    'reusePort',
    'tls',
    'trustProxy',
];
/**
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT: an option is wrong; the message says
 * which, what was expected and what was given
 */
function checkNativeOptions(options) {
    const { identifier, path, bind, maxAuthPayloadLength } = options;
    if (typeof identifier !== 'string' || identifier === '') {
        throw invalid(`"identifier" must be a non-empty string, got ${shown(identifier)}`);
    }
    if (path === '*')
        throw invalid("\"path\" must begin with '/', got '*'");
    if (typeof maxAuthPayloadLength !== 'number' || !(maxAuthPayloadLength >= 1)) {
        throw invalid('"maxAuthPayloadLength" must be a number of at least 1, or Infinity, got ' +
            `${shown(maxAuthPayloadLength)}`);
    }
    const given = givenOf(options);
    try {
        const { process, listener, tls } = (0, start_cjs_1.checkStartOptions)({ ...given, ...limitsOf(options, given), bind, path }, exports.CALL);
        return {
            identifier,
            bind: listener.bind,
            agreed: agreedOf(options, given),
            process,
            listener: {
                ...listener,
                maxFirstPayload: Number.isFinite(maxAuthPayloadLength)
                    ? Math.floor(maxAuthPayloadLength)
                    : undefined,
                given: ADDRESS_OPTIONS.filter((name) => given[name] !== undefined),
            },
            tls,
        };
    }
    catch (error) {
        throw invalidFrom(withGivenName(error, options));
    }
}
/**
 * Turns an error of the addon into one of a helper, which has not called `start`.
 */
function helperError(error) {
    const ours = (0, errors_cjs_1.fromNative)(error);
    if (ours instanceof Error && ours.message.startsWith('start: ')) {
        ours.message = `${exports.CALL}: ${ours.message.slice('start: '.length)}`;
    }
    return ours;
}
function givenOf({ native }) {
    const all = native;
    const names = start_cjs_1.START_OPTIONS.filter((name) => !exports.NOT_FOR_HELPERS.includes(name) && all[name] !== undefined && all[name] !== null);
    return Object.fromEntries(names.map((name) => [name, all[name]]));
}
/**
 * For each limit the value of `serverOptions`, otherwise that of the option of `start`, otherwise
 * the default of the helper. A limit whose default was removed is left out, so that the default of
 * `start` applies.
 */
function limitsOf({ serverOptions, givenServerOptions }, given) {
    const choose = (name, started, convert = (value) => value) => {
        const own = givenServerOptions[name] ?? undefined;
        if (own !== undefined)
            return [started, convert(own)];
        if (given[started] !== undefined)
            return [started, given[started]];
        const fallback = serverOptions[name] ?? undefined;
        return [started, fallback === undefined ? undefined : convert(fallback)];
    };
    const converters = {
        idleTimeout: (seconds) => (typeof seconds === 'number' ? Math.round(seconds * 1000) : seconds),
        // `perMessageDeflate` of `start` may hold details: `true` keeps them.
        perMessageDeflate: (on) => on === true && typeof given['perMessageDeflate'] === 'object'
            ? given['perMessageDeflate']
            : on,
    };
    const overflow = givenServerOptions.closeOnBackpressureLimit === true ? 'close' : 'dropNewest';
    return Object.fromEntries([
        ...BUN_OPTIONS.map(([name, started]) => choose(name, started, converters[name])),
        [
            'overflow',
            (givenServerOptions.closeOnBackpressureLimit ?? undefined) === undefined
                ? (given['overflow'] ?? overflow)
                : overflow,
        ],
    ].filter(([, value]) => value !== undefined));
}
/**
 * Lets an error name the option in `serverOptions` that was given, not its translation.
 */
function withGivenName(error, { givenServerOptions }) {
    if (!(error instanceof Error))
        return error;
    for (const [name, started] of BUN_OPTIONS) {
        const given = givenServerOptions[name] ?? undefined;
        if (given === undefined || !error.message.includes(`"${started}"`))
            continue;
        const unit = name === 'idleTimeout'
            ? ` (in milliseconds; serverOptions.idleTimeout is in seconds, and is ${shown(given)})`
            : '';
        error.message = error.message.replace(`"${started}"`, `"serverOptions.${name}"`) + unit;
    }
    return error;
}
/**
 * All helpers of an instance must agree on address, path, socket options and Redis; on the other
 * options if they give them.
 */
function agreedOf({ path, bind, serverOptions, redisForm }, given) {
    const rest = Object.entries(given).filter(([, value]) => typeof value !== 'function');
    return [
        { name: 'bind', text: bind, optional: false },
        { name: 'path', text: path, optional: false },
        { name: 'serverOptions', text: JSON.stringify(serverOptions), optional: false },
        { name: 'redisConnection', text: redisForm, optional: false },
        ...rest.map(([name, value]) => ({ name, text: JSON.stringify(value), optional: true })),
    ];
}
function invalidFrom(error) {
    if (!(error instanceof errors_cjs_1.WSBrokerError) ||
        !/^ERR_WSBROKER_(INVALID_ARG_|UNKNOWN_OPTION)/.test(error.code)) {
        return error;
    }
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_ARGUMENT', error.message, { cause: error });
}
function invalid(what) {
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_ARGUMENT', `${exports.CALL}: ${what}`);
}
function shown(value) {
    return typeof value === 'string' ? `'${value}'` : String(value);
}
