"use strict";
/** What an operator looks at: counters, metrics and the log. */
Object.defineProperty(exports, "__esModule", { value: true });
exports.stats = exports.connectionCount = void 0;
exports.metrics = metrics;
exports.setLogger = setLogger;
const logger_cjs_1 = require("../logger.cjs");
const load_cjs_1 = require("../native/load.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const inspection_cjs_1 = require("../options/inspection.cjs");
/** How many connections the process has, on all servers. */
exports.connectionCount = load_cjs_1.native.connectionCount;
/**
 * Counters of the process, and how full its queues and buffers are. It may be called from any
 * thread; it looks at every worker and I/O thread, but not at their connections. Totals count from
 * the first {@link start} on, start again after {@link shutdown}, and are at most one turn of an
 * I/O thread's loop old. Before `start` everything is 0.
 *
 * @example
 * ```js
 * const { connections, rejected, dropped } = stats();
 * console.log(`${connections} connections, ${dropped.dropOldest} messages dropped`);
 * console.log(`${rejected.maxConnectionsPerIp} connections refused by address`);
 * ```
 */
exports.stats = load_cjs_1.native.stats;
/**
 * The numbers of {@link stats}, histograms and numbers of the process as text, for Prometheus and
 * whatever else reads its format. It may be called from any thread. To have them answered without
 * JavaScript, also while all workers hang, use `'metrics'` in {@link StartOptions.answers}.
 *
 * Series are there from the start, at zero, and before {@link start}; only those of workers and I/O
 * threads come and go with these. No label has a value that a client can choose.
 *
 * @param options `format`: `'prometheus'` is the text format of Prometheus, version 0.0.4.
 * `'openmetrics'` is OpenMetrics 1.0.0. Default `'prometheus'`
 * @returns the text, for the content type `text/plain; version=0.0.4; charset=utf-8` or
 * `application/openmetrics-text; version=1.0.0; charset=utf-8`
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: there is no such format
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION
 *
 * @example
 * ```js
 * const open = /^wsbroker_connections .*$/m.exec(metrics())?.[0];
 * console.log(open); // 'wsbroker_connections 12'
 * ```
 */
function metrics(options = {}) {
    const bag = (0, checks_cjs_1.knownKeys)('metrics', 'options', options, ['format']);
    const format = (0, checks_cjs_1.oneOf)('metrics', 'format', bag['format'], ['prometheus', 'openmetrics']);
    return load_cjs_1.native.metrics(format === 'openmetrics');
}
/**
 * Passes what the addon logs to a function, as structured records, on the calling thread. The
 * process has one such function: a later call, on any thread, replaces it, and `null` removes it.
 * It outlives {@link shutdown}, does not keep the process alive, and ends with its thread. What
 * `RUST_LOG` writes to stderr is written all the same.
 *
 * Records never have header values, tokens, queries or payloads in them. Up to 1,024 wait for the
 * function; what comes meanwhile is dropped, and the next record says how many.
 *
 * @param logger what it throws is written to stderr, once
 * @param options `level`: the least important level that is passed on, `'info'` by default;
 * `'debug'` has a record for each connection that is let in or refused
 * @throws {TypeError | RangeError | WSBrokerError} an argument is wrong; the message names it
 *
 * @example
 * ```js
 * setLogger(({ level, message, fields }) => console.log(level, message, fields), { level: 'warn' });
 * ```
 */
function setLogger(logger, options) {
    const checked = (0, inspection_cjs_1.checkLogger)(logger, options);
    (0, logger_cjs_1.useLogger)(checked.logger, checked.level);
}
