'use strict';
const assert = require('node:assert/strict');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { tmpdir, totalmem } = require('node:os');
const { join } = require('node:path');
const { after, afterEach, beforeEach, describe, test } = require('node:test');
const { pathToFileURL } = require('node:url');
const { fake, lib, until, wsbroker } = require('./setup.cjs');

const { WSBrokerError, registerWorkerThread, shutdown, start } = wsbroker;
const bind = '127.0.0.1:0';
const worker = (name) => join(__dirname, 'workers', name);
const folder = mkdtempSync(join(tmpdir(), 'wsbroker-'));
const log = (process.env.WSBROKER_TEST_LOG = join(folder, 'log'));
/** What worker modules recorded: the words, without the threads. */
const recorded = () => readFileSync(log, 'utf8').split('\n').filter(Boolean).map((line) => line.split(' ')[0]);
const failure = async (promise) => promise.then(() => assert.fail('it resolved'), (error) => error);

beforeEach(() => {
  writeFileSync(log, '');
  fake.calls.length = 0;
});
afterEach(async () => {
  for (const name of Object.keys(fake.instead)) delete fake.instead[name];
  await shutdown({ timeout: 5000 });
});
after(() => rmSync(folder, { recursive: true }));

describe('options', () => {
  const cases = [
    [undefined, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', 'start: "options" must be an object, got undefined'],
    [null, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"options" must be an object, got null'],
    ['127.0.0.1:1', TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"options" must be an object, got string'],
    [[], TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"options" must be an object, got an array'],
    [{}, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', 'start: "bind" must be a string such as \'127.0.0.1:8080\', or \'0.0.0.0:8080\' for all addresses, got undefined'],
    [{ bind: 9090 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', "\"bind\" must be a string such as '127.0.0.1:9090', or '0.0.0.0:9090' for all addresses, got number"],
    [{ bind: 70_000 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', "\"bind\" must be a string such as '127.0.0.1:8080'"],
    [{ bind: new URL('http://a') }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', 'for all addresses, got an object'],
    [{ port: 8080 }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', "unknown option \"port\"; pass the address as \"bind\", such as bind: '127.0.0.1:8080'"],
    [{ bind, host: '::' }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "host"; pass the address as "bind"'],
    [{ bind, server: {} }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "server"; wsbroker listens on an address of its own: pass it as "bind"'],
    [{ bind, constructor: 1 }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "constructor"; known options: bind'],
    [{ bind, idleTimeout: '30s' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"idleTimeout" must be a number of milliseconds, got string'],
    [{ bind, maxPayload: '1mb' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"maxPayload" must be a number of bytes, got string'],
    [{ bind, watchdog: true }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"watchdog" must be an object such as { after: 10_000, action: \'replace\' }, got boolean'],
    [{ bind, cluster: 'redis://127.0.0.1' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"cluster" must be an object such as { redis: \'redis://127.0.0.1:6379\' }, got string'],
    [{ bind, cluster: { redis: '127.0.0.1:6379' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"cluster.redis" must be a redis:// or rediss:// URL, such as \'redis://127.0.0.1:6379\''],
    [{ bind, compression: true }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "compression"; wsbroker calls it "perMessageDeflate"'],
    [{ bind, cert: 'x' }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "cert"; wsbroker calls it "tls", such as tls: { cert:'],
    [{ bind, cors: {} }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "cors"; wsbroker calls it "origins"'],
    [{ bind, verifyClient() {} }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "verifyClient"; decide in "handleOpen"'],
    [{ bind, maxPayLoad: 1 }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "maxPayLoad"; did you mean "maxPayload"?'],
    [{ bind, certificate: 'x' }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "certificate"; known options: bind, workerPath'],
    [{ bind, maxInFlight: { message: 1 } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', '"message" in "maxInFlight"; did you mean "messages"?'],
    [{ bind, maxInFlight: 5 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"maxInFlight" must be an object such as { messages: 256 }, got number'],
    [{ bind, maxInFlight: { bytes: 0 } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"maxInFlight.bytes" must be an integer from 1 to 2147483647 bytes, got 0'],
    [{ bind, threads: '4' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"threads" must be a number, got string'],
    [{ bind, threads: NaN }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"threads" must be an integer from 0 to 1024, got NaN'],
    [{ bind, threads: -1 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'got -1'],
    [{ bind, threads: 1.5 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'got 1.5'],
    [{ bind, threads: Infinity }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'got Infinity'],
    [{ bind, threads: 10n }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', 'got bigint'],
    [{ bind, threads: null }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', 'got null'],
    [{ bind, ioThreads: 0 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"ioThreads" must be an integer from 1'],
    [{ bind, openTimeout: 0 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"openTimeout" must be an integer from 1'],
    [{ bind, idleTimeout: 2 ** 31 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"idleTimeout" must be an integer from 0 to 2147483647'],
    [{ bind, handlers: 'parallel' }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"handlers\" must be 'serial' or 'concurrent', got 'parallel'"],
    [{ bind, handlers: true }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"handlers" must be a string, got boolean'],
    [{ bind, overflow: 'drop' }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"overflow\" must be 'close', 'dropNewest' or 'dropOldest', got 'drop'"],
    [{ bind, maxConnections: 0 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"maxConnections" must be an integer from 1 to 2147483647, got 0'],
    [{ bind, maxConnectionsPerIp: '5' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"maxConnectionsPerIp" must be a number, got string'],
    [{ bind, maxChannelsPerSocket: -1 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"maxChannelsPerSocket" must be an integer from 1'],
    [{ bind, maxChannelNameLength: 1.5 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"maxChannelNameLength" must be an integer from 1'],
    [{ bind, maxConnectionPerIp: 5 }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "maxConnectionPerIp"; did you mean "maxConnectionsPerIp"?'],
    [{ bind, maxLifetime: -1 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"maxLifetime" must be an integer from 0 to 2147483647 milliseconds, got -1'],
    [{ bind, rateLimit: 5 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"rateLimit" must be an object such as { messages: 50, burst: 200 }, got number'],
    [{ bind, rateLimit: {} }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"rateLimit" must set "messages", "bytes" or both'],
    [{ bind, rateLimit: { burst: 5 } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'start: "rateLimit" must set'],
    [{ bind, rateLimit: { messages: '9' } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"rateLimit.messages" must be a number, got string'],
    [{ bind, rateLimit: { messages: 0 } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"rateLimit.messages" must be an integer from 1'],
    [{ bind, rateLimit: { bytes: 1, burst: 0 } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"rateLimit.burst" must be an integer from 1'],
    [{ bind, startTimeout: -1 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"startTimeout" must be '],
    [{ bind, rateLimit: { bytes: 1, action: 'cut' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"rateLimit.action\" must be 'pause' or 'close', got 'cut'"],
    [{ bind, rateLimit: { message: 5 } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "message" in "rateLimit"; did you mean "messages"?'],
    [{ bind, perMessageDeflate: 1 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"perMessageDeflate" must be a boolean or an object, got number'],
    [{ bind, perMessageDeflate: { level: 10 } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"perMessageDeflate.level" must be an integer from 1 to 9, got 10'],
    [{ bind, perMessageDeflate: { threshold: -1 } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"perMessageDeflate.threshold" must be an integer from 0'],
    [{ bind, perMessageDeflate: { treshold: 1 } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', '"treshold" in "perMessageDeflate"; did you mean "threshold"?'],
    [{ bind, origins: 5 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"origins" must be a string or an array of strings, got number'],
    [{ bind, origins: ['*', 5] }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"origins[1]" must be a string, got number'],
    [{ bind, origins: 'app.example' }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"origins\" must be '*', 'null', or an origin such as 'https://app.example'"],
    [{ bind, origins: ['*', 'https://a.example/'] }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"origins[1]" must be'],
    [{ bind, origins: 'https://me@a.example' }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "got 'https://me@a.example'"],
    [{ bind, origins: 'https://a.example:99999' }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "got 'https://a.example:99999'"],
    [{ bind, trustProxy: true }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"trustProxy" must be an object such as { from: \'10.0.0.0/8\' }, got boolean'],
    [{ bind, trustProxy: {} }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"trustProxy.from" must be a string or an array of strings, got undefined'],
    [{ bind, trustProxy: { from: [] } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"trustProxy.from" must contain at least one proxy'],
    [{ bind, trustProxy: { from: ['unix', 'proxy.example'] } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"trustProxy.from[1]\" must be an IP address, a network such as '10.0.0.0/8', or 'unix', got 'proxy.example'"],
    [{ bind, trustProxy: { from: '10.0.0.0/33' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"trustProxy.from\" must be an IP address"],
    [{ bind, trustProxy: { from: 'fd00::/129' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "got 'fd00::/129'"],
    [{ bind, trustProxy: { from: '::1', header: 'X-Real-IP' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"trustProxy.header\" must be 'x-forwarded-for' or 'forwarded', got 'X-Real-IP'"],
    [{ bind, trustProxy: { form: '::1' } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', '"form" in "trustProxy"; did you mean "from"?'],
    [{ bind, tls: true }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"tls" must be an object such as { cert: \'chain.pem\', key: \'key.pem\' }, got boolean'],
    [{ bind, tls: {} }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"tls.cert" must be PEM (a string or bytes) or the path of a file, got undefined'],
    [{ bind, tls: { cert: 'a' } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"tls.key" must be PEM (a string or bytes) or the path of a file, got undefined'],
    [{ bind, tls: { cert: ['a', 5], key: 'b' } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"tls.cert[1]" must be PEM'],
    [{ bind, tls: { cert: [], key: [] } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"tls.cert" must contain at least one certificate'],
    [{ bind, tls: { cert: ['a', 'b'], key: 'c' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"tls.key" must have one key for each "tls.cert", got 1 for 2'],
    [{ bind, tls: { cert: 'a', key: '' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"tls.key" must be PEM, which contains a line with -----BEGIN'],
    [{ bind, tls: { cert: 'a', key: new URL('http://a/b') } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"tls.key" must be a path or a file: URL'],
    [{ bind, tls: { cert: 'a', key: 'b', requestCert: true } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"tls.requestCert" requires "tls.ca"'],
    [{ bind, tls: { cert: 'a', key: 'b', ca: 'c' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"tls.ca" requires "tls.requestCert"'],
    [{ bind, tls: { cert: 'a', key: 'b', requestCert: 1 } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"tls.requestCert" must be a boolean, got number'],
    [{ bind, tls: { cert: 'a', key: 'b', minVersion: 'TLSv1.1' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"tls.minVersion\" must be 'TLSv1.2' or 'TLSv1.3', got 'TLSv1.1'"],
    [{ bind, tls: { cert: 'a', key: 'b', rejectUnauthorised: false } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', '"rejectUnauthorised" in "tls"; did you mean "rejectUnauthorized"?'],
    [{ bind, proxyProtocol: 1 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"proxyProtocol" must be a boolean, got number'],
    [{ bind, reusePort: 'yes' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"reusePort" must be a boolean, got string'],
    [{ bind, pingInterval: -1 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"pingInterval" must be an integer from 0 to 2147483647'],
    [{ bind, pings: 'yes' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"pings" must be a boolean, got string'],
    [{ bind, onWorker: {} }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"onWorker" must be a function, got an object'],
    [{ bind, path: 'chat' }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"path\" must be '*', or a path that begins with '/'"],
    [{ bind, path: '/a?b' }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "got '/a?b'"],
    [{ bind, path: '/ws', answers: { '/ws': 'health' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "'/ws' is in \"path\" and in \"answers\""],
    [{ bind, answers: ['/healthz'] }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"answers" must be an object such as'],
    [{ bind, answers: { healthz: 'health' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "keys are paths that begin with '/'"],
    [{ bind, answers: { '/m': 'numbers' } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "\"answers['/m']\" must be 'health', 'ready', 'metrics', or an object with \"status\", got 'numbers'"],
    [{ bind, answers: { '/m': 200 } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', "\"answers['/m']\" must be 'health', 'ready', 'metrics', or an object with \"status\", got number"],
    [{ bind, answers: { '/m': {} } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', "\"answers['/m'].status\" must be an integer from 200 to 599, got undefined"],
    [{ bind, answers: { '/m': { status: 101 } } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'must be an integer from 200 to 599, got 101'],
    [{ bind, answers: { '/m': { status: 200, text: '' } } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "text" in "answers[\'/m\']"'],
    [{ bind, answers: { '/m': { status: 200, body: 5 } } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', 'must be a string, ArrayBuffer or Uint8Array, got number'],
    [{ bind, answers: { '/m': { status: 200, headers: { 'Content-Length': 1 } } } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"headers" may not set Content-Length'],
    [{ bind, answers: { '/m': { status: 200, headers: { a: 'b\r\nc' } } } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'not printable ASCII'],
    [{ bind, http: 'http://127.0.0.1:3000' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"http" must be an http.Server that does not listen yet, a request listener'],
    [{ bind, http: { forward: 3000 } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"http.forward" must be a string or a URL, got number'],
    [{ bind, http: { forwards: 'x' } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "forwards" in "http"; did you mean "forward"?'],
    [{ bind, http: { server: createServer() } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'for Fastify, pass app.server'],
    [{ bind, http: { use() {}, callback() {} } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'for Koa, pass app.callback()'],
    [{ bind, http: { fetch() {}, request() {} } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'for Hono, pass getRequestListener(app.fetch)'],
    [{ bind, http: { fetch() {}, listen() {} } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "for Elysia, pass toNodeHandler(app.fetch) of 'srvx/node'"],
    [{ bind, http: { fetch(request) {} }.fetch }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "for h3, toNodeHandler(app) of 'h3'"],
    [{ bind, http: { fetch(request) {} }.fetch.bind({}) }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'for Hono, pass getRequestListener(app.fetch)'],
    [{ bind, http: { getHttpServer() {} } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'for NestJS, pass app.getHttpServer()'],
    [{ bind, http: { fetch() {} } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', 'for Bun.serve, pass { forward: server.url }'],
    [{ bind, forwardUpgrades: true }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"forwardUpgrades" has no effect while "path" is \'*\''],
    [{ bind, path: '/ws', forwardUpgrades: true }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"forwardUpgrades" requires "http"'],
    [{ bind, path: '/ws', http() {}, forwardUpgrades: ['/ws'] }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "'/ws' is in \"path\" and in \"forwardUpgrades\""],
    [{ bind, path: '/ws', http() {}, forwardUpgrades: ['hmr'] }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"forwardUpgrades" must be paths that begin with'],
    [{ bind, path: '/ws', http() {}, forwardUpgrades: '/hmr' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"forwardUpgrades" must be a boolean or an array of paths, got string'],
    [{ bind, requestTimeout: 5 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"requestTimeout" requires "http"'],
    [{ bind, answers: {}, forwardTimeout: 5 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"forwardTimeout" requires "http"'],
    [{ bind, keepAliveTimeout: 5 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"keepAliveTimeout" requires "http" or "answers"'],
    [{ bind, http() {}, keepAliveTimeout: 0 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"keepAliveTimeout" must be an integer from 1'],
    [{ bind, path: [] }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"path" must contain at least one path'],
    [{ bind, path: ['/a', 1] }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"path[1]" must be a string, got number'],
    [{ bind, protocols: 'v1' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"protocols" must be an array of strings, got string'],
    [{ bind, protocols: ['a b'] }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "got 'a b'"],
    [{ bind, workerPath: 5 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"workerPath" must be a string or a file: URL, got number'],
    [{ bind, workerPath: '' }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"workerPath" must be the path of a module'],
    [{ bind, workerPath: new URL('http://a/b') }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', "got 'http://a/b'"],
    [{ bind, workerPath: './no/such.js' }, WSBrokerError, 'ERR_WSBROKER_WORKER_NOT_FOUND', join(process.cwd(), 'no', 'such.js')],
    [{ bind, signal: {} }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"signal" must be an AbortSignal, got an object'],
    [{ bind, signal: null }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"signal" must be an AbortSignal, got null'],
    [{ bind, worker: './worker.js' }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker" must be an object, got string; pass the path of the worker module as "workerPath"'],
    [{ bind, worker: 5 }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker" must be an object, got number'],
    [{ bind, worker: { argv: [] } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'unknown option "argv" in "worker"'],
    [{ bind, worker: { workerData: () => 0 } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker.workerData" must be a value that structuredClone can copy'],
    [{ bind, worker: { env: 'A=b' } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker.env" must be an object of strings, or SHARE_ENV, got string'],
    [{ bind, worker: { env: { SECRET: 5 } } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker.env.SECRET" must be a string, got number'],
    [{ bind, worker: { execArgv: '--x' } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker.execArgv" must be an array of strings, got string'],
    [{ bind, worker: { name: 5 } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker.name" must be a string, got number'],
    [{ bind, worker: { resourceLimits: 64 } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker.resourceLimits" must be an object, got number'],
    [{ bind, worker: { resourceLimits: { maxOldGenerationSizeMB: 64 } } }, WSBrokerError, 'ERR_WSBROKER_UNKNOWN_OPTION', 'did you mean "maxOldGenerationSizeMb"?'],
    [{ bind, worker: { resourceLimits: { stackSizeMb: 0 } } }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"worker.resourceLimits.stackSizeMb" must be a number of MiB greater than 0 and less than 2^31, got 0'],
    [{ bind, worker: { resourceLimits: { stackSizeMb: '4' } } }, TypeError, 'ERR_WSBROKER_INVALID_ARG_TYPE', '"worker.resourceLimits.stackSizeMb" must be a number, got string'],
    [{ bind, worker: {}, threads: 0 }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"worker" cannot be combined with threads: 0, which starts no worker threads'],
    [{ bind, worker: {} }, RangeError, 'ERR_WSBROKER_INVALID_ARG_VALUE', '"worker" requires "workerPath"'],
    [{ bind }, WSBrokerError, 'ERR_WSBROKER_NO_WORKER', '"workerPath" is missing'],
  ];
  for (const [options, type, code, message] of cases) {
    test(message, async () => {
      const error = await failure(start(options));
      assert.ok(error instanceof type, `${error.stack}`);
      assert.ok(error instanceof WSBrokerError);
      assert.equal(error.code, code);
      assert.ok(error.message.includes(message), error.message);
      assert.deepEqual(fake.callsOf('listen'), [], 'nothing was bound');
    });
  }

  test('defaults_are_filled_in', async () => {
    registerWorkerThread({});
    await start({ bind, workerPath: undefined, path: undefined });
    assert.deepEqual(fake.callsOf('listen'), [
      [
        {
          bind, paths: ['*'], protocols: [], handshakeTimeout: 10_000, openTimeout: 10_000, maxHeaderSize: 16_384, maxPayload: 2 ** 20, idleTimeout: 120_000,
          pings: true, pingInterval: 25_000, closeTimeout: 5_000, maxBackpressure: 2 ** 20, overflow: 'close', maxLifetime: 0, rateLimit: undefined, origins: undefined,
          trustProxy: undefined, proxyProtocol: false, reusePort: false, deflate: undefined, tls: undefined, http: undefined,
          process: {
            ioThreads: 1, maxSendMemory: 2 ** 30, maxReceiveMemory: 2 ** 30, maxInFlight: { messages: 256, bytes: 2 ** 20, workerBytes: 2 ** 24 },
            maxPendingUpgrades: 4096, maxConnections: undefined, maxConnectionsPerIp: undefined, maxChannelsPerSocket: undefined, maxChannelNameLength: undefined, history: [], maxHistoryMemory: 2 ** 29,
            concurrent: false, handlerTimeout: 30_000, stuckAfter: 1_000,
          },
        },
      ],
    ]);
  });

  test('where_the_addon_does_not_know_the_memory_the_machines_counts', async () => {
    fake.instead.brokerDefaults = () => ({ memory: 0, cpus: 2 });
    registerWorkerThread({});
    await start({ bind });
    const { maxSendMemory, maxReceiveMemory, maxHistoryMemory } = fake.callsOf('listen')[0][0].process;
    const quarter = Math.floor(totalmem() / 4);
    assert.ok(quarter > 2 ** 20);
    assert.deepEqual([maxSendMemory, maxReceiveMemory, maxHistoryMemory], [quarter, quarter, Math.floor(totalmem() / 8)]);
  });

  test('what_is_given_in_short_arrives_whole', async () => {
    registerWorkerThread({});
    const given = async (options) => {
      await start({ bind, ...options });
      return fake.callsOf('listen').at(-1)[0];
    };
    const listened = await given({
      overflow: 'dropOldest', maxLifetime: 1000, rateLimit: { messages: 5 }, proxyProtocol: true, reusePort: true, perMessageDeflate: true,
      trustProxy: { from: ['unix', '10.0.0.0/8', '::ffff:1.2.3.4', '10.0.0.0/8'] }, maxConnections: 7, maxConnectionsPerIp: 6, maxChannelsPerSocket: 5, maxChannelNameLength: 4,
    });
    assert.equal(listened.overflow, 'dropOldest');
    assert.equal(listened.maxLifetime, 1000);
    assert.deepEqual(listened.rateLimit, { messages: 5, bytes: undefined, burst: undefined, action: 'pause' });
    assert.deepEqual([listened.proxyProtocol, listened.reusePort], [true, true]);
    assert.deepEqual(listened.deflate, { threshold: 1024, level: 3 });
    assert.deepEqual(listened.trustProxy, { from: ['10.0.0.0/8', '::ffff:1.2.3.4'], unix: true, header: 'x-forwarded-for' });
    const { maxConnections, maxConnectionsPerIp, maxChannelsPerSocket, maxChannelNameLength } = listened.process;
    assert.deepEqual([maxConnections, maxConnectionsPerIp, maxChannelsPerSocket, maxChannelNameLength], [7, 6, 5, 4]);
    assert.equal((await given({ perMessageDeflate: false })).deflate, undefined);
    assert.deepEqual((await given({ perMessageDeflate: { threshold: 0, level: 9 } })).deflate, { threshold: 0, level: 9 });
    assert.deepEqual((await given({ origins: [] })).origins, []);
    assert.deepEqual(
      (await given({ origins: ['HTTPS://App.Example:443', 'http://a.example:80', 'http://a.example', 'https://*.A.example:8443', 'null', '*', 'Capacitor://LocalHost', 'https://bücher.example'] })).origins,
      ['https://app.example', 'http://a.example', 'https://*.a.example:8443', 'null', '*', 'capacitor://localhost', 'https://xn--bcher-kva.example'],
    );
  });

  test('an_option_of_the_process_that_was_off_or_differs_is_a_conflict', async () => {
    registerWorkerThread({});
    await start({ bind, maxConnections: 5 });
    await start({ bind });
    await start({ bind, maxConnections: 5 });
    for (const [options, message] of [
      [{ maxConnections: 6 }, 'start: "maxConnections" applies to the whole process and has been 5 since an earlier start, got 6; to start over, for instance under "bun --hot", call "await shutdown()" first'],
      [{ maxChannelNameLength: 6 }, 'start: "maxChannelNameLength" applies to the whole process and has been off since an earlier start, got 6; to start over, for instance under "bun --hot", call "await shutdown()" first'],
    ]) {
      const error = await failure(start({ bind, ...options }));
      assert.deepEqual([error.code, error.message], ['ERR_WSBROKER_CONFLICT', message]);
    }
  });

  test('shutdown_looks_at_its_arguments_too', async () => {
    for (const [options, code] of [
      [5, 'ERR_WSBROKER_INVALID_ARG_TYPE'], [{ code: 1005 }, 'ERR_WSBROKER_INVALID_ARG_VALUE'], [{ code: '1000' }, 'ERR_WSBROKER_INVALID_ARG_TYPE'],
      [{ timeout: -1 }, 'ERR_WSBROKER_INVALID_ARG_VALUE'], [{ timout: 1 }, 'ERR_WSBROKER_UNKNOWN_OPTION'],
    ]) assert.equal((await failure(shutdown(options))).code, code);
  });

  test('handlers_must_be_functions_of_an_object', () => {
    assert.throws(() => registerWorkerThread(), { name: 'TypeError', code: 'ERR_WSBROKER_INVALID_ARG_TYPE', message: 'registerWorkerThread: "handlers" must be an object, got undefined' });
    assert.throws(() => registerWorkerThread({ handleOpen: 1 }), { name: 'TypeError', message: 'registerWorkerThread: "handlers.handleOpen" must be a function, got number' });
    registerWorkerThread({});
    assert.throws(() => registerWorkerThread({}), { code: 'ERR_WSBROKER_CONFLICT', message: /call "await shutdown\(\)" first$/ });
  });
});

describe('the order of a start', () => {
  test('the_address_comes_first_then_workers_then_serving', async () => {
    fake.instead.listen = async () => (writeFileSync(log, 'listen\n'), 1);
    let before;
    fake.instead.serve = () => (before = recorded());
    const server = await start({ bind, workerPath: worker('good.cjs'), threads: 2 });
    assert.deepEqual(before, ['listen', 'start', 'start']);
    assert.deepEqual([server.address, server.port, server.url], ['127.0.0.1', 4321, 'ws://127.0.0.1:4321']);
    await shutdown();
    assert.deepEqual(recorded().slice(3), ['stop', 'stop']);
  });

  test('an_address_that_cannot_be_had_starts_no_worker', async () => {
    fake.instead.listen = async () => {
      throw Object.assign(new Error('cannot bind'), { code: 'ERR_WSBROKER_BIND', syscallCode: 'EADDRINUSE' });
    };
    const error = await failure(start({ bind, workerPath: worker('good.cjs'), threads: 1 }));
    assert.deepEqual([error.code, error.syscallCode, error.name], ['ERR_WSBROKER_BIND', 'EADDRINUSE', 'WSBrokerError']);
    assert.equal(error.message, 'cannot bind; another program is already listening there: end it, or choose another port; to share the port between processes (node:cluster, PM2), set "reusePort" in all of them');
    assert.match((await failure(start({ bind, workerPath: worker('good.cjs'), reusePort: true }))).message, /every process that shares a port must set "reusePort"/);
    assert.equal((await failure(start({ bind: 'unix:/x', workerPath: worker('good.cjs') }))).message, 'cannot bind');
    assert.deepEqual(recorded(), []);
    assert.equal(fake.callsOf('shutdownBroker').length, 3);
  });

  for (const [code, syscallCode, bind, advice] of [
    ['ERR_WSBROKER_BIND', 'EADDRNOTAVAIL', '192.0.2.1:80', '; this machine does not have that address; 0.0.0.0 means all that it has'],
    ['ERR_WSBROKER_BIND', 'EACCES', '0.0.0.0:80', '; the system reserves that port, as Linux does those below 1024: choose a higher one, or grant the process CAP_NET_BIND_SERVICE'],
    ['ERR_WSBROKER_BIND', 'EACCES', 'unix:/x', ''],
    ['ERR_WSBROKER_BIND', 'ENOBUFS', '0.0.0.0:80', ''],
    ['ERR_WSBROKER_INVALID_BIND', undefined, '8081', "; pass a string such as '127.0.0.1:8081', or '0.0.0.0:8081' for all addresses"],
    ['ERR_WSBROKER_INVALID_BIND', undefined, ':8081', "; pass a string such as '127.0.0.1:8081', or '0.0.0.0:8081' for all addresses"],
    ['ERR_WSBROKER_INVALID_BIND', undefined, 'a:b', ''],
  ]) {
    test(`an_address_that_is_refused_says_what_to_do: ${bind}, ${syscallCode ?? code}`, async () => {
      fake.instead.listen = async () => {
        throw Object.assign(new Error('refused'), { code, syscallCode });
      };
      assert.equal((await failure(start({ bind, workerPath: worker('good.cjs') }))).message, `refused${advice}`);
    });
  }

  test('without_onBus_a_loss_of_the_bus_is_written_to_stderr_and_with_it_only_told', async (t) => {
    const written = [];
    t.mock.method(process.stderr, 'write', (text) => written.push(text));
    const told = [];
    const events = [{ state: 'ready' }, { state: 'lost', reason: 'refused' }, { state: 'gap', missed: 2 }, { state: 'ready' }, { state: 'ready' }, { state: 'warning', reason: 'deaf' }];
    for (const [redis, onBus] of [['redis://user:secret@redis.example:6380/1'], [{ nodes: [{ host: 'a' }, { host: 'b', port: 7 }] }], ['redis://127.0.0.1', ({ state }) => told.push(state)]]) {
      await start({ bind, workerPath: worker('good.cjs'), threads: 0, cluster: { redis, ...(onBus && { onBus }) } });
      fake.callsOf('joinCluster').at(-1)[1](events);
      await shutdown();
    }
    t.mock.restoreAll();
    assert.deepEqual(written, ['redis.example:6380', 'a:6379, b:7'].flatMap((place) => [
      `wsbroker: the bus is lost (Redis at ${place}). Reconnecting; pass "onBus" to handle this in your code: refused\n`,
      `wsbroker: the bus (Redis at ${place}): ready again\n`,
      `wsbroker: the bus (Redis at ${place}): deaf\n`,
    ]));
    assert.deepEqual(told, events.map(({ state }) => state));
  });

  test('a_start_that_requires_Redis_says_where_it_is', async () => {
    fake.instead.clusterReady = async () => false;
    const error = await failure(start({ bind, workerPath: worker('good.cjs'), cluster: { redis: 'redis://user:secret@redis.example', required: true } }));
    assert.equal(error.code, 'ERR_WSBROKER_BUS_LOST');
    assert.equal(error.message, 'start: Redis at redis.example was not ready within 10000 ms, and "cluster.required" is true');
  });

  test('a_server_closes_once', async () => {
    registerWorkerThread({});
    const server = await start({ bind });
    await Promise.all([server.close(), server.close()]);
    await server.close();
    assert.equal(fake.callsOf('closeListener').length, 1);
  });

  test('shutdown_makes_a_waiting_start_give_up', async () => {
    const starting = failure(start({ bind, workerPath: worker('hangs.mjs'), threads: 2 }));
    await until(() => fake.callsOf('listen').length === 1);
    const queued = failure(start({ bind, workerPath: worker('good.cjs'), threads: 2 }));
    await shutdown();
    assert.equal((await starting).code, 'ERR_WSBROKER_SHUT_DOWN');
    assert.equal((await queued).code, 'ERR_WSBROKER_SHUT_DOWN');
    assert.deepEqual(fake.callsOf('closeListener'), [[fake.callsOf('listenerAddress')[0]?.[0] ?? fake.callsOf('closeListener')[0][0]]]);
  });

  test('whoever_watched_before_a_shutdown_is_not_told_of_what_comes_after_it', async () => {
    const [before, after] = [[], []];
    await start({ bind, workerPath: worker('good.cjs'), threads: 1, onWorker: ({ type }) => before.push(type) });
    await shutdown();
    await start({ bind, workerPath: worker('good.mjs'), threads: 1, onWorker: ({ type }) => after.push(type) });
    const [told] = fake.callsOf('watchWorkers').at(-1);
    told({ thread: 1, duration: 1_000 });
    await shutdown();
    assert.deepEqual([before, after], [['started', 'stopped'], ['started', 'stuck', 'stopped']]);
    assert.deepEqual(fake.callsOf('watchWorkers').at(-1), [], 'nobody watches any more');
  });

  test('a_shutdown_keeps_the_last_part_of_its_time_for_workers', async () => {
    for (const [options, most] of [[undefined, 7_000], [{ timeout: 800 }, 700], [{ timeout: 0 }, 0]]) {
      await start({ bind, workerPath: worker('good.cjs'), threads: 0 });
      await shutdown(options);
      const [, timeout, replaced] = fake.callsOf('shutdownBroker').at(-1);
      assert.ok(timeout <= most && timeout > most / 2 - 1, `${timeout} of ${most}`);
      assert.equal(replaced, false);
    }
  });

  test('after_a_shutdown_it_starts_anew_with_other_options', async () => {
    await start({ bind, workerPath: worker('good.cjs'), threads: 1, ioThreads: 1 });
    await shutdown();
    await start({ bind, workerPath: worker('good.mjs'), threads: 2, ioThreads: 2 });
    assert.deepEqual(recorded(), ['start', 'stop', 'start', 'start']);
  });
});

describe('signal', () => {
  const reason = { mine: true };
  const caught = async (promise) => promise.then(() => assert.fail('it resolved'), (error) => error);

  test('one_that_was_aborted_before_is_never_begun', async () => {
    assert.equal(await caught(start({ bind, workerPath: worker('good.cjs'), threads: 1, signal: AbortSignal.abort(reason) })), reason);
    assert.deepEqual(fake.callsOf('listen'), []);
  });

  for (const threads of [0, 2]) {
    test(`while_workers_load_it_undoes_everything, threads: ${threads}`, async () => {
      const controller = new AbortController();
      const starting = caught(start({ bind, workerPath: worker('never-ready.cjs'), threads, ioThreads: 3, signal: controller.signal }));
      await until(() => recorded().length === Math.max(1, threads));
      controller.abort(reason);
      assert.equal(await starting, reason);
      assert.equal(fake.callsOf('closeListener').length, 1);
      assert.equal(fake.callsOf('serve').length, 0);
      if (threads === 0) return;
      await start({ bind, workerPath: worker('good.cjs'), threads: 1, ioThreads: 4 });
    });
  }

  test('while_another_start_is_under_way_it_rejects_at_once', async () => {
    const controller = new AbortController();
    const first = caught(start({ bind, workerPath: worker('hangs.mjs'), threads: 1 }));
    await until(() => fake.callsOf('listen').length === 1);
    const second = caught(start({ bind, workerPath: worker('hangs.mjs'), threads: 1, signal: controller.signal }));
    controller.abort(reason);
    let told;
    void second.then((error) => (told = error));
    await until(() => told !== undefined);
    assert.equal(told, reason);
    assert.equal(fake.callsOf('listen').length, 1);
    await shutdown();
    assert.equal((await first).code, 'ERR_WSBROKER_SHUT_DOWN');
  });

  test('afterwards_it_closes_the_server_and_is_let_go_of_in_the_end', async () => {
    registerWorkerThread({});
    const { getEventListeners } = require('node:events');
    const one = new AbortController();
    await start({ bind, signal: one.signal });
    assert.equal(getEventListeners(one.signal, 'abort').length, 1);
    one.abort(reason);
    await until(() => fake.callsOf('closeListener').length === 1);
    for (const end of [(server) => server.close(), () => shutdown()]) {
      const { signal } = new AbortController();
      await end(await start({ bind, signal }));
      assert.equal(getEventListeners(signal, 'abort').length, 0);
    }
  });

  test('one_that_is_aborted_just_as_the_start_is_done_still_rejects', async () => {
    registerWorkerThread({});
    const controller = new AbortController();
    fake.instead.serve = () => queueMicrotask(() => controller.abort(reason));
    assert.equal(await caught(start({ bind, signal: controller.signal })), reason);
    assert.equal(fake.callsOf('closeListener').length, 1);
  });
});

describe('workers', () => {
  for (const name of ['good.cjs', 'good.mjs', 'registers.cjs', 'plain.js', 'plain']) {
    test(`${name} is loaded`, async () => {
      await start({ bind, workerPath: worker(name), threads: 1 });
      assert.deepEqual(recorded(), ['start']);
    });
  }

  test('a_path_may_be_relative_or_a_url', async () => {
    await start({ bind, workerPath: pathToFileURL(worker('good.cjs')), threads: 1 });
    const { relative } = require('node:path');
    await start({ bind, workerPath: relative(process.cwd(), worker('good.cjs')) });
    assert.deepEqual(recorded(), ['start'], 'the same module again reuses its workers');
  });

  for (const [name, check] of [
    ['throws.cjs', (cause) => assert.deepEqual([cause.name, cause instanceof RangeError, cause.message, cause.code, cause.cause.message], ['RangeError', true, 'broken module', 'E_BROKEN', 'deeper'])],
    ['throws-text.cjs', (cause) => assert.equal(cause, 'just text')],
    ['syntax.mjs', (cause) => assert.equal(cause.name, 'SyntaxError')],
    ['start-rejects.mjs', (cause) => assert.match(cause.stack, /not today\n.*start-rejects\.mjs/s)],
    ['exits.cjs', (cause, error) => assert.match(error.message, /exited with code 3 before it was ready/)],
  ]) {
    test(`${name} rejects start and leaves nothing behind`, async () => {
      const error = await failure(start({ bind, workerPath: worker(name), threads: 2 }));
      assert.equal(error.code, 'ERR_WSBROKER_WORKER_FAILED', error.stack);
      assert.ok(error.message.includes(worker(name)), error.message);
      check(error.cause, error);
      assert.equal(fake.callsOf('closeListener').length, 1);
      assert.equal(fake.callsOf('serve').length, 0);
      await start({ bind, workerPath: worker('good.mjs'), threads: 1, ioThreads: 7 });
    });
  }

  for (const threads of [0, 2]) {
    test(`with threads: ${threads} a module that never loads rejects start, names it and leaves nothing behind`, async () => {
      const error = await failure(start({ bind, workerPath: worker('never.mjs'), threads, startTimeout: 30 }));
      assert.equal(error.code, 'ERR_WSBROKER_WORKER_FAILED');
      assert.ok(error.message.startsWith(`worker ${worker('never.mjs')} did not load within 30 ms ("startTimeout")`), error.message);
      await start({ bind, workerPath: worker('good.cjs'), threads, ioThreads: 7, startTimeout: 0 });
    });
  }

  test('one_that_fails_takes_the_ready_ones_with_it_and_they_run_handleStop', async () => {
    await failure(start({ bind, workerPath: worker('one-of-two.cjs'), threads: 2 }));
    assert.deepEqual(recorded(), ['start', 'start', 'stop']);
  });

  test('a_start_that_fails_before_it_listens_leaves_another_threads_broker_alone', async () => {
    const error = await failure(start({ bind }));
    assert.equal(error.code, 'ERR_WSBROKER_NO_WORKER');
    assert.equal(fake.callsOf('shutdownBroker').length, 0);
  });

  test('a_start_inside_a_worker_is_refused', async () => {
    const error = await failure(start({ bind, workerPath: worker('nested.cjs'), threads: 1 }));
    assert.equal(error.cause.code, 'ERR_WSBROKER_IN_WORKER');
  });

  test('one_that_dies_is_replaced_and_told_of', async () => {
    const events = [];
    const orders = new BroadcastChannel('die');
    const started = () => events.filter(({ type }) => type === 'started').length;
    await start({
      bind,
      workerPath: worker('dies.cjs'),
      threads: 1,
      onWorker(event) {
        events.push(event);
        if (event.type === 'started' && started() < 4) orders.postMessage('now');
      },
    });
    await until(() => started() === 4);
    orders.close();
    assert.deepEqual(events.map(({ type }) => type), ['started', 'died', 'started', 'died', 'started', 'died', 'started']);
    const [first, died, second] = events;
    assert.equal(died.workerId, first.workerId);
    assert.notEqual(second.workerId, first.workerId);
    assert.equal(died.reason.code, 'ERR_WSBROKER_WORKER_DIED');
    assert.equal(died.reason.cause.message, 'died of a timer');
  });

  test('a_watcher_that_throws_harms_nobody', async () => {
    const write = process.stderr.write;
    const written = [];
    process.stderr.write = (chunk) => written.push(String(chunk)) > 0;
    try {
      await start({ bind, workerPath: worker('good.mjs'), threads: 1, onWorker: () => { throw new Error('watcher'); } });
    } finally {
      process.stderr.write = write;
    }
    assert.match(written.join(''), /onWorker failed: Error: watcher/);
  });
});

describe('threads: 0', () => {
  test('the_module_is_registered_on_this_thread', async () => {
    await start({ bind, workerPath: worker('good.cjs'), threads: 0 });
    assert.deepEqual(recorded(), ['start']);
    assert.equal(readFileSync(log, 'utf8'), 'start 0\n');
    assert.equal(fake.worker().keepAlive, false);
    await shutdown();
    assert.deepEqual(recorded(), ['start', 'stop']);
    assert.equal(fake.worker(), undefined);
  });

  test('a_module_that_registers_itself_does_so_in_a_second_life_too', async () => {
    await start({ bind, workerPath: worker('registers.cjs'), threads: 0 });
    await shutdown();
    await start({ bind, workerPath: worker('registers.cjs'), threads: 0 });
    assert.deepEqual(recorded(), ['start', 'start']);
  });

  for (const name of ['throws.cjs', 'start-rejects.mjs']) {
    test(`${name} rejects start and leaves nothing behind`, async () => {
      const error = await failure(start({ bind, workerPath: worker(name), threads: 0 }));
      assert.equal(error.code, 'ERR_WSBROKER_WORKER_FAILED');
      assert.match(error.cause.message, /broken module|not today/);
      assert.equal(fake.worker(), undefined);
      assert.equal(fake.callsOf('closeListener').length, 1);
    });
  }

  test('a_module_that_loads_too_late_is_not_registered', async () => {
    const error = await failure(start({ bind, workerPath: worker('registers-late.mjs'), threads: 0, startTimeout: 20 }));
    assert.match(error.message, /did not load within 20 ms/);
    await until(() => recorded().includes('ended'));
    assert.deepEqual(recorded(), ['ERR_WSBROKER_WORKER_FAILED', 'ended']);
    assert.equal(fake.worker(), undefined);
    // What the application does afterwards is its own affair.
    await new Promise((resolve) => setImmediate(resolve));
    registerWorkerThread({});
    assert.notEqual(fake.worker(), undefined);
  });

  test('start_waits_for_a_handleStart_that_is_pending_here', async () => {
    const order = [];
    registerWorkerThread({
      async handleStart() {
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push('handleStart');
      },
    });
    fake.instead.serve = () => order.push('serve');
    await start({ bind });
    assert.deepEqual(order, ['handleStart', 'serve']);
  });

  test('a_handleStart_that_throws_passes_through_registerWorkerThread', () => {
    assert.throws(() => registerWorkerThread({ handleStart() { throw new Error('not now'); } }), { message: 'not now' });
    registerWorkerThread({});
  });
});

describe('conflicts', () => {
  const base = { bind, handlers: 'serial', handlerTimeout: 5, ioThreads: 2, maxSendMemory: 10, maxReceiveMemory: 11, maxPendingUpgrades: 12, maxInFlight: { messages: 3, bytes: 4, workerBytes: 5 } };
  for (const [name, other] of [
    ['handlers', { handlers: 'concurrent' }], ['handlerTimeout', { handlerTimeout: 6 }], ['ioThreads', { ioThreads: 3 }], ['maxSendMemory', { maxSendMemory: 1 }],
    ['history', { history: [{ channels: 'a' }] }], ['maxHistoryMemory', { maxHistoryMemory: 1 }],
    ['maxReceiveMemory', { maxReceiveMemory: 1 }], ['maxPendingUpgrades', { maxPendingUpgrades: 1 }], ['maxInFlight.bytes', { maxInFlight: { bytes: 1 } }],
  ]) {
    test(name, async () => {
      registerWorkerThread({});
      await start(base);
      await start(base);
      await start({ bind, path: '/other', maxPayload: 5 });
      const error = await failure(start({ bind, ...other }));
      assert.equal(error.code, 'ERR_WSBROKER_CONFLICT');
      assert.ok(error.message.includes(`"${name}"`), error.message);
      assert.equal(fake.callsOf('listen').length, 3);
      assert.equal(fake.callsOf('shutdownBroker').length, 0, 'the running servers stay');
    });
  }

  test('workerPath_and_threads', async () => {
    await start({ bind, workerPath: worker('good.mjs'), threads: 1 });
    for (const options of [{ workerPath: worker('good.cjs') }, { workerPath: worker('good.mjs'), threads: 2 }, { workerPath: worker('good.mjs'), threads: 0 }]) {
      assert.equal((await failure(start({ bind, ...options }))).code, 'ERR_WSBROKER_CONFLICT');
    }
    await Promise.all([start({ bind }), start({ bind, workerPath: worker('good.mjs'), threads: 1 })]);
    assert.deepEqual(recorded(), ['start']);
  });

  test('two_starts_at_once_share_their_workers', async () => {
    await Promise.all([start({ bind, workerPath: worker('good.cjs'), threads: 2 }), start({ bind, workerPath: worker('good.cjs'), threads: 2 })]);
    assert.deepEqual(recorded(), ['start', 'start']);
  });
});

test('every_error_can_be_told_by_its_class', () => {
  const error = new WSBrokerError('ERR_WSBROKER_BIND', 'x');
  assert.ok(error instanceof WSBrokerError && error instanceof Error);
  assert.ok(!(new Error('x') instanceof WSBrokerError));
  assert.ok(!({ code: 'ERR_WSBROKER_BIND' } instanceof WSBrokerError));
  class Mine extends WSBrokerError {}
  assert.ok(!(error instanceof Mine));
  assert.ok(new Mine('ERR_WSBROKER_BIND', 'x') instanceof Mine);
});

test('the_public_names_are_there', () => {
  for (const name of [
    'start', 'registerWorkerThread', 'shutdown', 'send', 'sendToChannel', 'subscribe', 'unsubscribe', 'setToken', 'copySubscriptions', 'close', 'terminate', 'isOpen',
    'getToken', 'bufferedAmount', 'hasSubscriptions', 'subscriberCount', 'isSubscribed', 'getSubscriptions', 'getSubscribers', 'unsubscribeAll', 'subscribeMany',
    'unsubscribeMany', 'connectionCount', 'closeChannel', 'WSBrokerError',
  ]) assert.equal(typeof wsbroker[name], 'function', name);
  assert.equal(wsbroker.send, require(join(lib, 'native', 'load.cjs')).native.send, 'the addon is called without a detour');
});
