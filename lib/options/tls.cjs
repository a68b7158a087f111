"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.checkTlsOptions = checkTlsOptions;
exports.readTls = readTls;
const promises_1 = require("node:fs/promises");
const node_path_1 = require("node:path");
const node_url_1 = require("node:url");
const errors_cjs_1 = require("../errors.cjs");
const checks_cjs_1 = require("./checks.cjs");
const TLS_OPTIONS = ['cert', 'key', 'ca', 'requestCert', 'rejectUnauthorized', 'minVersion'];
/** Paths are shorter (PATH_MAX), but a key without its first line is longer. */
const LONGEST_PATH = 4096;
/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given, but never shows PEM or a key
 */
function checkTlsOptions(call, value) {
    const bag = (0, checks_cjs_1.knownKeys)(call, 'tls', value, TLS_OPTIONS, {}, "an object such as { cert: 'chain.pem', key: 'key.pem' }");
    const certs = pemLocations(call, 'tls.cert', bag['cert']);
    const keys = pemLocations(call, 'tls.key', bag['key']);
    if (certs.length === 0) {
        throw invalid(call, '"tls.cert" must contain at least one certificate, got an empty array');
    }
    if (certs.length !== keys.length) {
        throw invalid(call, `"tls.key" must have one key for each "tls.cert", got ${keys.length} for ${certs.length}`);
    }
    const ca = bag['ca'] === undefined ? [] : pemLocations(call, 'tls.ca', bag['ca']);
    const requestCert = (0, checks_cjs_1.optional)(call, 'tls.requestCert', bag['requestCert'], 'boolean') ?? false;
    if (requestCert && ca.length === 0) {
        throw invalid(call, '"tls.requestCert" requires "tls.ca", the authorities that may issue client certificates');
    }
    // With authorities, one would expect that clients are checked.
    if (!requestCert && ca.length > 0) {
        throw invalid(call, '"tls.ca" requires "tls.requestCert": without it, clients are not asked for certificates');
    }
    return {
        pairs: certs.map((cert, i) => ({ cert, key: keys[i] })),
        ca,
        requestCert,
        rejectUnauthorized: (0, checks_cjs_1.optional)(call, 'tls.rejectUnauthorized', bag['rejectUnauthorized'], 'boolean') ?? true,
        minVersion: (0, checks_cjs_1.oneOf)(call, 'tls.minVersion', bag['minVersion'], ['TLSv1.2', 'TLSv1.3']) ?? 'TLSv1.2',
    };
}
/**
 * @throws {WSBrokerError} ERR_WSBROKER_TLS: a file cannot be read; the message has its name and the
 * system's reason
 */
async function readTls(call, request) {
    const { pairs, ca, ...settings } = request;
    const [readPairs, authorities] = await Promise.all([
        Promise.all(pairs.map(async ({ cert, key }) => ({
            cert: await read(call, cert),
            key: await read(call, key),
        }))),
        Promise.all(ca.map((one) => read(call, one))),
    ]);
    return { ...settings, pairs: readPairs, ca: authorities };
}
function pemLocations(call, name, value) {
    return Array.isArray(value)
        ? value.map((one, i) => pemLocation(call, `${name}[${i}]`, one))
        : [pemLocation(call, name, value)];
}
function pemLocation(call, name, value) {
    if (value instanceof Uint8Array)
        return { name, pem: Buffer.from(value) };
    if (value instanceof ArrayBuffer)
        return { name, pem: Buffer.from(value.slice(0)) };
    if (typeof value === 'string' && value.includes('-----BEGIN')) {
        return { name, pem: Buffer.from(value) };
    }
    if (typeof value === 'string' && !value.startsWith('file:')) {
        // The value is not shown: it may be a truncated key.
        if (value === '' || value.length > LONGEST_PATH || /[\0\n\r]/.test(value)) {
            throw invalid(call, `"${name}" must be PEM, which contains a line with -----BEGIN, or the path of a file`);
        }
        return { name, path: (0, node_path_1.resolve)(value) };
    }
    if (typeof value !== 'string' && !(value instanceof URL)) {
        throw (0, checks_cjs_1.wrongType)(call, name, 'PEM (a string or bytes) or the path of a file', value);
    }
    try {
        return { name, path: (0, node_url_1.fileURLToPath)(value) };
    }
    catch {
        throw (0, checks_cjs_1.wrongValue)(call, name, 'a path or a file: URL on this machine', String(value));
    }
}
/** The name says where it comes from, in messages of the addon. */
async function read(call, from) {
    if ('pem' in from)
        return { name: `"${from.name}"`, pem: from.pem };
    try {
        return { name: `"${from.name}" (${from.path})`, pem: await (0, promises_1.readFile)(from.path) };
    }
    catch (error) {
        const { code, message } = error;
        const failure = new errors_cjs_1.WSBrokerError('ERR_WSBROKER_TLS', `${call}: "${from.name}" (${from.path}) cannot be read: ${message}`, { cause: error });
        throw code === undefined ? failure : Object.assign(failure, { syscallCode: code });
    }
}
function invalid(call, message) {
    return new errors_cjs_1.WSBrokerRangeError(`${call}: ${message}`);
}
