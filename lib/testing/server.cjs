"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.testServer = testServer;
const node_http_1 = require("node:http");
const node_https_1 = require("node:https");
const node_crypto_1 = require("node:crypto");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const start_cjs_1 = require("../options/start.cjs");
const lifecycle_cjs_1 = require("../server/lifecycle.cjs");
const workers_cjs_1 = require("../server/workers.cjs");
const register_cjs_1 = require("../worker/register.cjs");
const client_cjs_1 = require("./client.cjs");
const CALL = 'testServer';
const DEFAULT_TIMEOUT = 5_000;
/** The `workerId` of a worker whose thread is ending. */
const ENDING = -1;
/** How long handlers of connections that a test has left may take. */
const SHUTDOWN_TIMEOUT = 2_000;
/**
 * Starts handlers for a test, on the calling thread and on any free port of the loopback address.
 *
 * Needs the package ws for its clients (`npm install --save-dev ws`). One server at a time: close
 * it before the next one with other handlers.
 *
 * @param handlers an object of handlers, or the worker module's path or URL
 * @param options options of `start`, such as `path`, `http`, or `threads` for a worker module,
 * which is 0 by default: the handlers run on the calling thread. `timeout`: how long clients wait,
 * in milliseconds
 * @throws whatever `start` and `registerWorkerThread` throw
 * @throws {WSBrokerError} ERR_WSBROKER_TEST: the package ws is missing
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: another thread of the process has handlers
 *
 * @example
 * ```js
 * import { testServer } from 'wsbroker/testing';
 *
 * const server = await testServer(new URL('./worker.mjs', import.meta.url));
 * const client = await server.connect('/?name=ada');
 * client.send('ping');
 * console.log(await client.next()); // pong
 * await server.close();
 * ```
 */
async function testServer(handlers, options = {}) {
    const { timeout: given, ...rest } = knownTimeout(options);
    const timeout = (0, checks_cjs_1.duration)(CALL, 'timeout', given, 1) ?? DEFAULT_TIMEOUT;
    const WebSocket = loadWs();
    const isModule = typeof handlers === 'string' || isUrl(handlers);
    const checked = (0, start_cjs_1.checkStartOptions)({
        bind: '127.0.0.1:0',
        ...(isModule ? { workerPath: handlers, threads: 0 } : {}),
        ...rest,
    });
    checkOtherThreads();
    const registration = isModule ? undefined : (0, register_cjs_1.register)(CALL, handlers);
    let server;
    try {
        server = await (0, lifecycle_cjs_1.startServer)(checked);
    }
    catch (error) {
        // The thread is free again for other handlers.
        if (registration !== undefined && (0, register_cjs_1.currentRegistration)() === registration)
            registration.drop();
        throw error;
    }
    try {
        // Another thread may have begun meanwhile.
        checkOtherThreads();
    }
    catch (error) {
        // Not by a shutdown, which would end the other thread's server, too.
        await server.close();
        (0, register_cjs_1.currentRegistration)()?.drop();
        (0, workers_cjs_1.forgetWorkers)();
        throw error;
    }
    return new LiveTestServer(server, WebSocket, timeout);
}
/**
 * Servers of a process share their workers, so connections would come to the other's handlers.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: another thread has handlers
 */
function checkOtherThreads() {
    // Otherwise they are the threads that this one has started.
    if ((0, workers_cjs_1.currentPool)() !== undefined)
        return;
    const { workers } = load_cjs_1.native.stats();
    const ids = workers.map(({ workerId }) => workerId);
    if (!ids.some((id) => id !== node_worker_threads_1.threadId && id !== ENDING))
        return;
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_CONFLICT', `${CALL}: another thread of this process has handlers already, and they would get connections ` +
        "of this server; run each file of tests in a process of its own, as vitest does with pool: 'forks'");
}
class LiveTestServer {
    server;
    #WebSocket;
    #timeout;
    #clients = new Set();
    #closing;
    constructor(server, WebSocket, timeout) {
        this.server = server;
        this.#WebSocket = WebSocket;
        this.#timeout = timeout;
    }
    get url() {
        return this.server.url;
    }
    get port() {
        return this.server.port;
    }
    async connect(path = '/', options = {}) {
        const { protocols, headers } = this.#checked('connect', path, options);
        const socket = new this.#WebSocket(this.url + path, protocols, {
            headers,
            perMessageDeflate: false,
            // The certificates of tests are their own.
            rejectUnauthorized: false,
        });
        const messages = [];
        // From the first on, which may come with the 101.
        socket.on('message', (data, isBinary) => {
            messages.push(isBinary ? data : String(data));
        });
        let answered = {};
        socket.on('upgrade', (response) => (answered = response.headers));
        const client = new client_cjs_1.TestClient(socket, () => answered, messages, this.#timeout);
        this.#clients.add(client);
        socket.on('close', () => this.#clients.delete(client));
        await new Promise((resolve, reject) => {
            const failed = (why, cause) => {
                clearTimeout(timer);
                socket.terminate();
                reject((0, client_cjs_1.testError)(`connect: ${path} was not opened: ${why}`, cause));
            };
            const timer = setTimeout(() => failed(`no answer within ${this.#timeout} ms`), this.#timeout);
            socket.on('open', () => {
                clearTimeout(timer);
                resolve();
            });
            socket.on('error', (error) => failed(error.message, error));
            // Bun tells of a refusal by this alone.
            socket.on('close', (code) => failed(`closed with ${code}`));
        });
        return client;
    }
    async refusal(path = '/', options = {}) {
        const { protocols, headers } = this.#checked('refusal', path, options);
        const isSecure = this.url.startsWith('wss');
        const ask = isSecure ? node_https_1.request : node_http_1.request;
        return new Promise((resolve, reject) => {
            const request = ask(this.url.replace(/^ws/, 'http') + path, {
                rejectUnauthorized: false,
                agent: false,
                timeout: this.#timeout,
                headers: {
                    ...headers,
                    Connection: 'Upgrade',
                    Upgrade: 'websocket',
                    'Sec-WebSocket-Version': '13',
                    'Sec-WebSocket-Key': (0, node_crypto_1.randomBytes)(16).toString('base64'),
                    ...(protocols.length > 0 ? { 'Sec-WebSocket-Protocol': protocols.join(', ') } : {}),
                },
            });
            request.on('response', (response) => {
                const chunks = [];
                response.on('data', (chunk) => chunks.push(chunk));
                response.on('error', reject);
                response.on('end', () => {
                    const body = Buffer.concat(chunks).toString();
                    resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
                });
            });
            request.on('upgrade', (_response, socket) => {
                socket.destroy();
                reject((0, client_cjs_1.testError)(`refusal: ${path} was accepted`));
            });
            request.on('timeout', () => {
                request.destroy((0, client_cjs_1.testError)(`refusal: no answer to ${path} within ${this.#timeout} ms`));
            });
            request.on('error', reject);
            request.end();
        });
    }
    close() {
        for (const client of this.#clients)
            client.terminate();
        return (this.#closing ??= (0, lifecycle_cjs_1.shutdownAll)(1001, SHUTDOWN_TIMEOUT));
    }
    #checked(call, path, options) {
        if (this.#closing !== undefined)
            throw (0, client_cjs_1.testError)(`${call}: the server is closed`);
        (0, checks_cjs_1.knownKeys)(call, 'options', options, ['protocols', 'headers']);
        if (!path.startsWith('/'))
            throw (0, client_cjs_1.testError)(`${call}: a path begins with '/', got '${path}'`);
        const { protocols = [], headers = {} } = options;
        return { protocols: typeof protocols === 'string' ? [protocols] : protocols, headers };
    }
}
// Old runtimes do not have the symbol.
if (Symbol.asyncDispose !== undefined) {
    Object.defineProperty(LiveTestServer.prototype, Symbol.asyncDispose, {
        async value() {
            await this.close();
        },
    });
}
function knownTimeout(options) {
    if (Object.hasOwn(options, 'workerPath')) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNKNOWN_OPTION', `${CALL}: "workerPath" is the first argument, as in testServer('./worker.js')`);
    }
    return options;
}
function isUrl(value) {
    return typeof value.href === 'string';
}
function loadWs() {
    try {
        return require('ws');
    }
    catch (cause) {
        throw (0, client_cjs_1.testError)(`${CALL}: its clients need the package ws, which cannot be loaded; "npm install --save-dev ws" ` +
            'installs it', cause);
    }
}
