"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.scrape = scrape;
const node_http_1 = require("node:http");
const node_https_1 = require("node:https");
const node_perf_hooks_1 = require("node:perf_hooks");
const exposition_cjs_1 = require("./exposition.cjs");
/** Longer than a server takes that is not hung. */
const TIMEOUT = 5000;
/** More than thousands of workers have. */
const MAX_BYTES = 32 << 20;
/**
 * Reads the numbers once.
 *
 * @throws {Error} there is no answer, or it is another one
 */
async function scrape(url) {
    const { status, body } = await read(url);
    if (status !== 200) {
        throw new Error(`${url.href} answered ${status}; the server needs answers: { '${url.pathname}': 'metrics' }`);
    }
    const series = (0, exposition_cjs_1.parseExposition)(body);
    if (!series.has('wsbroker_connections')) {
        throw new Error(`${url.href} answered something else than the metrics of wsbroker`);
    }
    return { series, at: node_perf_hooks_1.performance.now() };
}
function read(url) {
    const get = url.protocol === 'https:' ? node_https_1.get : node_http_1.get;
    return new Promise((resolve, reject) => {
        const headers = { accept: 'text/plain; version=0.0.4' };
        const request = get(url, { headers, agent: false }, (response) => {
            const pieces = [];
            let length = 0;
            response.on('data', (piece) => {
                pieces.push(piece);
                length += piece.length;
                if (length > MAX_BYTES)
                    request.destroy(new Error(`${url.href} sends too much`));
            });
            response.on('error', reject);
            response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString() }));
        });
        const deadline = setTimeout(() => request.destroy(new Error(`${url.href} did not answer within ${TIMEOUT} ms`)), TIMEOUT);
        request.on('error', (error) => reject(new Error(explained(error, url), { cause: error })));
        request.on('close', () => clearTimeout(deadline));
    });
}
function explained(error, url) {
    if (error.code === 'ECONNREFUSED')
        return `nothing listens on ${url.host}`;
    return error.message === '' ? String(error.code) : error.message;
}
