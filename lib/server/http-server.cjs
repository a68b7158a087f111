"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.openInnerServer = openInnerServer;
const node_fs_1 = require("node:fs");
const node_os_1 = require("node:os");
const node_path_1 = require("node:path");
const node_util_1 = require("node:util");
const builtins_cjs_1 = require("../builtins.cjs");
const fetch_response_cjs_1 = require("../fetch-response.cjs");
const http_cjs_1 = require("../options/http.cjs");
const report_cjs_1 = require("../report.cjs");
const HEADER = 'x-wsbroker-client';
/** Events of a server whose first argument is a request. */
const REQUEST_EVENTS = [
    'request',
    'checkContinue',
    'checkExpectation',
    'upgrade',
    'connect',
];
/** The shortest limit of all systems is 104 bytes, with a zero at the end. */
const LONGEST_SOCKET_PATH = 103;
/** Above what `maxHeaderSize` allows, with what is added on the way. */
const MAX_HEADER_SIZE = 2 ** 21;
/** Clients may come at once, and each has a connection here. The system has a limit, too. */
const BACKLOG = 4096;
/** The core has ended, so there is nothing left to wait for but the server's own bookkeeping. */
const CLOSE_TIMEOUT = 500;
/** @throws {RangeError} the server listens already */
async function openInnerServer(target) {
    if (target.kind === 'address') {
        return { forward: target.forward, identity: undefined, close: () => Promise.resolve() };
    }
    const server = target.kind === 'server' ? target.server : ownServer(target.handle);
    (0, http_cjs_1.checkNotListening)('start', server);
    const secret = builtins_cjs_1.builtins.crypto.randomBytes(24).toString('hex');
    const stopGuarding = guard(server, secret);
    const sockets = new Set();
    const onConnection = (socket) => {
        // A listener of ours keeps the process alive, or does not: its connections have no say in it.
        if (typeof socket.unref === 'function')
            socket.unref();
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
    };
    server.on('connection', onConnection);
    const place = privateAddress();
    const restore = () => {
        server.off('connection', onConnection);
        stopGuarding();
        place.remove();
    };
    try {
        await listen(server, place.options);
    }
    catch (error) {
        restore();
        throw error;
    }
    server.unref();
    return {
        forward: place.forward ?? `http://127.0.0.1:${server.address().port}`,
        // Other runtimes may not keep the socket of a connection from one request to the next.
        identity: { name: HEADER, secret, once: process.versions['bun'] === undefined },
        async close() {
            const closed = new Promise((resolve) => {
                setTimeout(resolve, CLOSE_TIMEOUT).unref();
                server.close(() => resolve());
            });
            // Not every runtime has it, and it does not know of upgraded connections.
            server.closeAllConnections?.();
            for (const socket of sockets)
                socket.destroy();
            await closed;
            restore();
        },
    };
}
/** The core's limits and timeouts apply, so that this server's own are off. */
function ownServer(handle) {
    const server = builtins_cjs_1.builtins.http.createServer({ maxHeaderSize: MAX_HEADER_SIZE });
    server.on('request', (request, response) => {
        const result = Reflect.apply(handle, server, [request, response]);
        if (node_util_1.types.isPromise(result))
            void result.then((value) => refuseFetch(value, response));
        else
            refuseFetch(result, response);
    });
    server.keepAliveTimeout = 0;
    server.requestTimeout = 0;
    server.headersTimeout = 0;
    return server;
}
/** A function of the Fetch API answers by what it returns, and the client would wait in vain. */
function refuseFetch(result, response) {
    if (result === undefined || response.headersSent || !(0, fetch_response_cjs_1.isResponse)(result))
        return;
    (0, report_cjs_1.warnOnce)('start: the function "http" has returned a Response of the Fetch API, which Node\'s HTTP server ' +
        `does not send, so clients get 500; ${http_cjs_1.FETCH_HINT}`);
    response.statusCode = 500;
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.end('the application has given a "fetch" function where a request listener is needed\n');
}
/** A Unix socket in a folder of this user alone; where there is none, a port of the loopback. */
function privateAddress() {
    // In a worker of `node:cluster`, the primary would listen otherwise.
    const shared = { exclusive: true, backlog: BACKLOG };
    const loopback = {
        options: { host: '127.0.0.1', port: 0, ...shared },
        forward: undefined,
        remove: () => undefined,
    };
    if (process.platform === 'win32')
        return loopback;
    const parent = (0, node_os_1.tmpdir)();
    if (Buffer.byteLength((0, node_path_1.join)(parent, 'wsbroker-XXXXXX', 'http')) > LONGEST_SOCKET_PATH) {
        return loopback;
    }
    const folder = (0, node_fs_1.mkdtempSync)((0, node_path_1.join)(parent, 'wsbroker-'));
    const remove = () => {
        process.off('exit', remove);
        (0, node_fs_1.rmSync)(folder, { recursive: true, force: true });
    };
    process.on('exit', remove);
    const path = (0, node_path_1.join)(folder, 'http');
    return { options: { path, ...shared }, forward: `unix:${path}`, remove };
}
function listen(server, options) {
    return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(options, () => {
            server.off('error', reject);
            resolve();
        });
    });
}
/**
 * Lets no request through but those with the secret, and tells the application of the client
 * instead of us. No listener will do: the application's own would be called nevertheless.
 */
function guard(server, secret) {
    const expected = Buffer.from(secret);
    const emit = server.emit.bind(server);
    const identified = new WeakMap();
    const guarded = (name, ...args) => {
        if (REQUEST_EVENTS.includes(name)) {
            const request = args[0];
            if (!identify(request, expected, identified)) {
                request.socket.destroy();
                return true;
            }
        }
        return emit(name, ...args);
    };
    server.emit = guarded;
    return () => {
        // That of the prototype is visible again.
        if (server.emit === guarded)
            delete server.emit;
    };
}
/**
 * Whether the request comes from the core. Its socket then shows the client. `identified` has the
 * header that each connection was found to be right by.
 */
function identify(request, secret, identified) {
    const { socket, headers } = request;
    const header = headers[HEADER];
    const known = identified.get(socket);
    // The core says it with the first request of a connection, and again when it changes. And an
    // application may emit a request once more, as after `'checkContinue'`.
    if (header === undefined)
        return known !== undefined;
    if (typeof header !== 'string')
        return false;
    if (known !== header) {
        if (!showClient(socket, header, secret))
            return false;
        identified.set(socket, header);
    }
    // It is the last field, so that this leaves objects of the fast kind.
    delete headers[HEADER];
    const { rawHeaders } = request;
    for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
        if (rawHeaders[i]?.toLowerCase() === HEADER)
            rawHeaders.splice(i, 2);
    }
    return true;
}
/** False without the secret. */
function showClient(socket, header, secret) {
    const [given = '', address = '-', port, scheme] = header.split(' ');
    const bytes = Buffer.from(given);
    if (bytes.length !== secret.length || !builtins_cjs_1.builtins.crypto.timingSafeEqual(bytes, secret))
        return false;
    const remoteAddress = address === '-' ? undefined : address;
    const family = remoteAddress?.includes(':') === true ? 'IPv6' : 'IPv4';
    show(socket, {
        remoteAddress,
        remoteFamily: remoteAddress === undefined ? undefined : family,
        remotePort: remoteAddress === undefined ? undefined : Number(port),
        encrypted: scheme === 'secure',
    });
    return true;
}
/** A connection may carry the requests of several clients of a proxy, one after the other. */
function show(socket, shown) {
    for (const [name, value] of Object.entries(shown)) {
        Object.defineProperty(socket, name, { value, configurable: true, enumerable: true });
    }
}
