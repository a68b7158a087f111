"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.FETCH_HINT = exports.HTTP_OPTIONS = void 0;
exports.checkHttpOptions = checkHttpOptions;
exports.checkNotListening = checkNotListening;
const node_net_1 = require("node:net");
const node_util_1 = require("node:util");
const builtins_cjs_1 = require("../builtins.cjs");
const errors_cjs_1 = require("../errors.cjs");
const checks_cjs_1 = require("./checks.cjs");
const headers_cjs_1 = require("./headers.cjs");
exports.HTTP_OPTIONS = [
    'answers', 'http', 'forwardUpgrades', 'keepAliveTimeout', 'requestTimeout', 'forwardTimeout',
];
const EXPECTED_HTTP = 'an http.Server that does not listen yet, a request listener such as an Express application, or ' +
    "{ forward } with an address such as 'http://127.0.0.1:3001'";
/** What to pass instead of a function of the Fetch API. */
exports.FETCH_HINT = "for Hono, pass getRequestListener(app.fetch) of '@hono/node-server'; for h3, " +
    "toNodeHandler(app) of 'h3'; for Elysia and other \"fetch\" functions, toNodeHandler(app.fetch) of 'srvx/node'";
const EXPECTED_ANSWER = "'health', 'ready', 'metrics', or an object with \"status\"";
/**
 * @param paths the paths that are served
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong
 */
function checkHttpOptions(call, bag, paths) {
    const answers = checkAnswers(call, bag['answers'], paths);
    const target = bag['http'] === undefined ? undefined : checkTarget(call, bag['http']);
    const upgrades = checkUpgrades(call, bag['forwardUpgrades'], paths);
    const time = (name, fallback) => (0, checks_cjs_1.duration)(call, name, bag[name], 1) ?? fallback;
    const native = {
        answers,
        forwardAllUpgrades: upgrades === true,
        forwardUpgrades: upgrades === true ? [] : upgrades,
        keepAliveTimeout: time('keepAliveTimeout', 75_000),
        requestTimeout: time('requestTimeout', 60_000),
        forwardTimeout: time('forwardTimeout', 60_000),
    };
    const given = (name) => bag[name] !== undefined && bag[name] !== false;
    const lone = ['forwardUpgrades', 'requestTimeout', 'forwardTimeout'].find(given);
    if (target === undefined && lone !== undefined) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${lone}" requires "http", which says where requests are forwarded`);
    }
    if (target !== undefined || answers.length > 0)
        return { native, target };
    if (given('keepAliveTimeout')) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "keepAliveTimeout" requires "http" or "answers"; for sockets use "idleTimeout"`);
    }
    if (paths.length === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "path" must contain at least one path, got an empty array; only an address with ` +
            '"answers" or "http" can do without');
    }
    return undefined;
}
function checkAnswers(call, value, paths) {
    if (value === undefined)
        return [];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, 'answers', "an object such as { '/healthz': 'health' }", value);
    }
    return Object.entries(value).flatMap(([path, answer]) => {
        if (!/^\/[^?#\s]*$/.test(path)) {
            throw (0, checks_cjs_1.wrongValue)(call, 'answers', "an object whose keys are paths that begin with '/' and have no '?', '#' or space", path);
        }
        if (paths.includes(path)) {
            throw new errors_cjs_1.WSBrokerRangeError(`${call}: '${path}' is in "path" and in "answers"; a path is either served to sockets or ` +
                'answered, so remove it from one of them');
        }
        return answer === undefined ? [] : [checkAnswer(call, path, answer)];
    });
}
function checkAnswer(call, path, answer) {
    const name = `answers['${path}']`;
    if (typeof answer === 'string') {
        if (answer !== 'health' && answer !== 'ready' && answer !== 'metrics') {
            throw (0, checks_cjs_1.wrongValue)(call, name, EXPECTED_ANSWER, answer);
        }
        return { path, kind: answer, status: 200, headers: [] };
    }
    if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
        throw (0, checks_cjs_1.wrongType)(call, name, EXPECTED_ANSWER, answer);
    }
    const bag = (0, checks_cjs_1.knownKeys)(call, name, answer, ['status', 'headers', 'body']);
    const status = (0, checks_cjs_1.integer)(call, `${name}.status`, bag['status'], 200, 599);
    if (status === undefined) {
        throw (0, checks_cjs_1.wrongType)(call, `${name}.status`, 'an integer from 200 to 599', undefined);
    }
    const wrong = (what) => new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}": ${what}`);
    const headers = bag['headers'] === undefined ? [] : (0, headers_cjs_1.headerPairs)(bag['headers'], wrong);
    const native = {
        path,
        kind: 'fixed',
        status,
        headers: headers.map(([header, text]) => ({ name: header, value: text })),
    };
    if (bag['body'] !== undefined)
        native.body = bodyBytes(call, `${name}.body`, bag['body']);
    return native;
}
function bodyBytes(call, name, value) {
    if (typeof value === 'string')
        return Buffer.from(value);
    if (node_util_1.types.isUint8Array(value))
        return Buffer.from(value);
    if (node_util_1.types.isArrayBuffer(value))
        return Buffer.from(new Uint8Array(value));
    throw (0, checks_cjs_1.wrongType)(call, name, 'a string, ArrayBuffer or Uint8Array', value);
}
function checkUpgrades(call, value, paths) {
    if (value === undefined || value === false)
        return [];
    if (value !== true && !Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, 'forwardUpgrades', 'a boolean or an array of paths', value);
    }
    if (paths.includes('*')) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "forwardUpgrades" has no effect while "path" is '*', because every upgrade is ` +
            `wsbroker's; set "path" to the paths of your sockets, such as path: '/ws'`);
    }
    if (value === true)
        return true;
    const upgrades = (0, checks_cjs_1.strings)(call, 'forwardUpgrades', value, 'a boolean or an array of paths');
    for (const one of upgrades) {
        if (!/^\/[^?#\s]*$/.test(one)) {
            const expected = "paths that begin with '/' and have no '?', '#' or space";
            throw (0, checks_cjs_1.wrongValue)(call, 'forwardUpgrades', expected, one);
        }
        if (paths.includes(one)) {
            throw new errors_cjs_1.WSBrokerRangeError(`${call}: '${one}' is in "path" and in "forwardUpgrades"; remove it from one of them`);
        }
    }
    return upgrades;
}
function checkTarget(call, value) {
    if (typeof value === 'function') {
        // It would be called with a request and a response of Node, and answer nobody.
        if (/^(bound )?fetch$/.test(value.name)) {
            throw new errors_cjs_1.WSBrokerRangeError(`${call}: "http" must be ${EXPECTED_HTTP}; ${exports.FETCH_HINT}`);
        }
        return { kind: 'function', handle: value };
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, 'http', EXPECTED_HTTP, value);
    }
    if (value instanceof builtins_cjs_1.builtins.tls.Server || value instanceof builtins_cjs_1.builtins.https.Server) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "http" must be a server without TLS, got an https.Server; wsbroker encrypts the ` +
            'whole address with "tls", so pass a server of http.createServer');
    }
    if (value instanceof builtins_cjs_1.builtins.http.Server) {
        checkNotListening(call, value);
        return { kind: 'server', server: value };
    }
    const hint = hintForObject(value);
    if (hint !== undefined) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "http" must be ${EXPECTED_HTTP}; ${hint}`);
    }
    const { forward } = (0, checks_cjs_1.knownKeys)(call, 'http', value, ['forward']);
    if (typeof forward !== 'string' && !(forward instanceof URL)) {
        throw (0, checks_cjs_1.wrongType)(call, 'http.forward', 'a string or a URL', forward);
    }
    return { kind: 'address', forward: String(forward) };
}
/** @throws {RangeError} it listens already */
function checkNotListening(call, server) {
    if (!server.listening)
        return;
    throw new errors_cjs_1.WSBrokerRangeError(`${call}: "http" must be a server that does not listen yet, because wsbroker listens for it; ` +
        'remove its call of listen, or pass its address as { forward }');
}
/** For objects of frameworks that are almost what is expected. */
function hintForObject(value) {
    const has = (name) => typeof value[name] === 'function';
    const { server } = value;
    if (server instanceof builtins_cjs_1.builtins.http.Server) {
        return 'for Fastify, pass app.server after "await app.ready()"';
    }
    if (has('getHttpServer'))
        return 'for NestJS, pass app.getHttpServer() after "await app.init()"';
    if (has('callback') && has('use'))
        return 'for Koa, pass app.callback()';
    if (has('fetch') && has('request'))
        return exports.FETCH_HINT;
    if (has('fetch') && has('listen')) {
        return ("for Elysia, pass toNodeHandler(app.fetch) of 'srvx/node'; on Bun, app.listen(0) and " +
            '{ forward: app.server.url } will do, too');
    }
    if (has('fetch'))
        return 'for Bun.serve, pass { forward: server.url }';
    return value instanceof node_net_1.Server ? 'got another kind of server' : undefined;
}
