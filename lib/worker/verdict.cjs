"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.WHEN_ACCEPTED = exports.TIMED_OUT = exports.INVALID = exports.FORBIDDEN = exports.ACCEPTED = void 0;
exports.checkVerdict = checkVerdict;
const node_util_1 = require("node:util");
const errors_cjs_1 = require("../errors.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const headers_cjs_1 = require("../options/headers.cjs");
exports.ACCEPTED = { accepted: true, detail: undefined };
/** `handleOpen` refused, or failed. */
exports.FORBIDDEN = { accepted: false, detail: { status: 403 } };
/** `handleOpen` returned something that is not a verdict. */
exports.INVALID = { accepted: false, detail: { status: 500 } };
/** `handleOpen` took too long. */
exports.TIMED_OUT = { accepted: false, detail: { status: 503 } };
/**
 * A property of verdicts that accept: a function. It is called just before the addon gets the
 * verdict, so that what it sends and subscribes takes effect with the 101, and only if nothing but
 * the client can prevent that any more: each call is followed by one `handleClose`. If it throws,
 * the connection is refused with 500.
 */
exports.WHEN_ACCEPTED = Symbol('wsbroker.whenAccepted');
const ACCEPT_KEYS = ['protocol', 'headers', 'token', 'channels'];
const REJECT_KEYS = ['status', 'headers', 'body'];
/**
 * Checks a verdict. `offered` are the client's subprotocols.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT: it is not a verdict, and must not count as
 * an acceptance
 */
function checkVerdict(verdict, offered) {
    if (verdict === undefined || verdict === true)
        return exports.ACCEPTED;
    if (verdict === false)
        return exports.FORBIDDEN;
    if (typeof verdict !== 'object' || verdict === null || Array.isArray(verdict)) {
        throw invalidVerdict(`got ${(0, checks_cjs_1.typeName)(verdict)}`);
    }
    const bag = verdict;
    const refuses = 'status' in bag;
    const known = refuses ? REJECT_KEYS : ACCEPT_KEYS;
    const keys = Object.keys(bag);
    const odd = keys.find((key) => !known.includes(key));
    if (odd !== undefined) {
        const similar = (0, checks_cjs_1.mostSimilar)(odd, known, 2);
        const advice = similar === undefined ? '' : `; did you mean "${similar}"?`;
        throw invalidVerdict(`got an object with the unknown key "${odd}"${advice}`);
    }
    // An empty Map, Date or record of a database is not the same as `{}`.
    if (keys.length === 0 && !isPlain(bag))
        throw invalidVerdict('got an instance of a class');
    return refuses
        ? { accepted: false, detail: reject(bag) }
        : {
            accepted: true,
            detail: accept(bag, offered),
            whenAccepted: verdict[exports.WHEN_ACCEPTED],
        };
}
function reject(bag) {
    const { status, body } = bag;
    if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
        throw invalidVerdict('"status" must be an integer from 200 to 599, got ' +
            `${typeof status === 'number' ? status : (0, checks_cjs_1.typeName)(status)}`);
    }
    const detail = { status };
    if (bag['headers'] !== undefined)
        detail.headers = (0, headers_cjs_1.headerPairs)(bag['headers'], invalidVerdict);
    if (body !== undefined)
        detail.body = typeof body === 'string' ? body : bytes(body, 'body');
    return detail;
}
function accept(bag, offered) {
    const { protocol, token, channels } = bag;
    const detail = {};
    if (protocol !== undefined) {
        if (typeof protocol !== 'string') {
            throw invalidVerdict(`"protocol" must be a string, got ${(0, checks_cjs_1.typeName)(protocol)}`);
        }
        if (!offered.includes(protocol)) {
            throw invalidVerdict('"protocol" must be one of those that the client offered');
        }
        detail.protocol = protocol;
    }
    if (bag['headers'] !== undefined)
        detail.headers = (0, headers_cjs_1.headerPairs)(bag['headers'], invalidVerdict);
    if (token !== undefined) {
        detail.token = typeof token === 'string' ? Buffer.from(token) : bytes(token, 'token');
    }
    if (channels !== undefined) {
        if (!Array.isArray(channels)) {
            throw invalidVerdict(`"channels" must be an array, got ${(0, checks_cjs_1.typeName)(channels)}`);
        }
        detail.channels = channels.map((channel) => typeof channel === 'string' ? channel : bytes(channel, 'channels'));
    }
    return detail;
}
function bytes(value, name) {
    // `instanceof` would not do: test runners give modules globals of their own.
    if (node_util_1.types.isUint8Array(value))
        return value;
    if (node_util_1.types.isArrayBuffer(value))
        return new Uint8Array(value);
    throw invalidVerdict(`"${name}" must be ${name === 'channels' ? 'an array of' : 'a'} string, ArrayBuffer or ` +
        `Uint8Array, got ${(0, checks_cjs_1.typeName)(value)}`);
}
function isPlain(value) {
    const prototype = Object.getPrototypeOf(value);
    return prototype === null || Object.getPrototypeOf(prototype) === null;
}
function invalidVerdict(what) {
    const end = what.endsWith('?') ? '' : '.';
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_VERDICT', 'handleOpen: the verdict must be undefined, a boolean, { status, headers?, body? } or ' +
        `{ protocol?, headers?, token?, channels? }: ${what}${end} The client got 500`);
}
