"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.NestAdapter = void 0;
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const checks_cjs_1 = require("../options/checks.cjs");
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
const handlers_cjs_1 = require("../worker/handlers.cjs");
const pinned_sockets_cjs_1 = require("../worker/pinned-sockets.cjs");
const verdict_cjs_1 = require("../worker/verdict.cjs");
const client_cjs_1 = require("./client.cjs");
const rooms_cjs_1 = require("./rooms.cjs");
const CALL = 'NestAdapter';
/**
 * A `WebSocketAdapter` of Nest: gateways run on wsbroker. Messages are `{ event, data }` as JSON,
 * as with `@nestjs/platform-ws`; rooms are channels.
 *
 * Pass it to `app.useWebSocketAdapter` before `app.init`. Afterwards {@link handlers} are the
 * handlers of a worker: for `registerWorkerThread`, or as the default export of a worker module.
 *
 * A gateway has a `path`, '/' by default. It has no port, since `start` listens, and no namespace.
 * Connections belong to the thread that has accepted them; if it ends they are closed with 1012.
 *
 * @throws {TypeError | WSBrokerError} an option is wrong; the message names it
 *
 * @example
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * const adapter = new NestAdapter();
 * app.useWebSocketAdapter(adapter);
 * await app.init();
 *
 * registerWorkerThread(adapter.handlers);
 * await start({ bind: '127.0.0.1:3000', path: '/chat', http: app.getHttpServer() });
 * ```
 */
class NestAdapter {
    /** Nest sets it. There is nothing to do: clients are cut at the end of every shutdown. */
    forceCloseConnections = false;
    #options;
    #hasGateways = false;
    #servers = new Map();
    #clients = new pinned_sockets_cjs_1.PinnedSockets((client) => this.#opened(client));
    constructor(options = {}) {
        const bag = (0, checks_cjs_1.knownKeys)(CALL, 'options', options, ['handleOpen', 'messageParser', 'onError']);
        for (const name of Object.keys(bag))
            (0, checks_cjs_1.optional)(CALL, name, bag[name], 'function');
        this.#options = options;
    }
    /** The handlers of the gateways, for `registerWorkerThread` or a worker module. */
    get handlers() {
        return {
            ...{ [handlers_cjs_1.PINNED]: true },
            handleOpen: (id, _ip, _headers, request) => this.#open(id, request),
            handleTextMessage: (text, id) => this.#message(id, text),
            handleBinaryMessage: (bytes, id) => this.#message(id, bytes),
            handleClose: (id, _token, code, reason) => this.#close(id, code, reason),
            ...(this.#options.onError && { onError: this.#options.onError }),
        };
    }
    /** Called by Nest for each gateway. */
    create(port, options = {}) {
        if (port !== 0) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNSUPPORTED', `${CALL}: a gateway has no port, got ${port}; "bind" of start says where to listen, so ` +
                'remove it from @WebSocketGateway');
        }
        if (options.namespace !== undefined) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNSUPPORTED', `${CALL}: there are no namespaces; give the gateway a path, as in ` +
                "@WebSocketGateway({ path: '/chat' })");
        }
        const path = `/${(options.path ?? '').replace(/^\/+|\/+$/g, '')}`;
        this.#hasGateways = true;
        const server = this.#servers.get(path) ?? new client_cjs_1.NestServer(path);
        this.#servers.set(path, server);
        return server;
    }
    /** Called by Nest. */
    bindClientConnect(server, callback) {
        server.onConnection.push(callback);
    }
    /** Called by Nest. */
    bindClientDisconnect(client, callback) {
        client.onClose.push(callback);
    }
    /** Called by Nest for a client that comes before the application is ready. */
    closeClient(client) {
        client.close(1013);
    }
    /** Called by Nest. */
    bindMessageHandlers(client, handlers, transform) {
        const byEvent = new Map(handlers.map((one) => [one.message, one]));
        client.bound.push(({ event, data }) => {
            const handler = byEvent.get(event);
            if (handler === undefined)
                return;
            const subscription = transform(handler.callback(data, event)).subscribe({
                next: (response) => {
                    if (response === undefined || response === null)
                        return;
                    client.send(JSON.stringify(response));
                },
                error: (error) => this.#report(error, client.id),
            });
            if (subscription.closed)
                return;
            client.subscriptions.add(subscription);
            subscription.add(() => client.subscriptions.delete(subscription));
        });
    }
    /** Called by Nest when the application closes. */
    close(server) {
        for (const client of [...server.clients])
            client.close(1001);
    }
    /** Called by Nest when the application has closed. */
    dispose() {
        this.#servers.clear();
        return Promise.resolve();
    }
    #open(socketId, request) {
        if (!this.#hasGateways) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_UNSUPPORTED', `${CALL}: Nest has registered no gateway, so nobody is let in; call ` +
                'app.useWebSocketAdapter(adapter), then await app.init(), then start, and list the ' +
                'gateways among the providers of a module');
        }
        const server = this.#servers.get(request.path);
        if (server === undefined)
            return { status: 404 };
        const { handleOpen } = this.#options;
        if (handleOpen === undefined)
            return this.#accept(socketId, request, server, {});
        const verdict = handleOpen(socketId, request.ip, request.headers, request);
        return (0, promises_cjs_1.isThenable)(verdict)
            ? Promise.resolve(verdict).then((one) => this.#decide(socketId, request, server, one))
            : this.#decide(socketId, request, server, verdict);
    }
    #decide(socketId, request, server, verdict) {
        // No client is kept that is refused. What is no verdict is reported where it is used.
        if (!isAcceptance(verdict, request))
            return verdict;
        return this.#accept(socketId, request, server, Object(verdict));
    }
    #accept(socketId, request, { path }, verdict) {
        const { protocol, headers, token, channels = [] } = verdict;
        // `handleConnection` finds them in place, and no client is made for a connection that may not
        // have them.
        return this.#clients.accept(socketId, { protocol, headers }, () => {
            load_cjs_1.native.subscribeMany(socketId, [...channels, (0, rooms_cjs_1.gatewayChannel)(path)]);
            if (token !== undefined)
                load_cjs_1.native.setToken(socketId, token);
            return new client_cjs_1.NestClient(socketId, request, path);
        });
    }
    #opened(client) {
        const server = this.#servers.get(client.path);
        server?.clients.add(client);
        for (const callback of server?.onConnection ?? []) {
            try {
                callback(client, client.request);
            }
            catch (error) {
                this.#report(error, client.id);
            }
        }
    }
    #message(socketId, data) {
        const client = this.#clients.ofMessage(socketId);
        if (client === undefined)
            return;
        const message = this.#parsed(data, client);
        if (message === undefined || message === null)
            return;
        for (const bound of client.bound)
            bound(message);
    }
    /** What clients send is no error of the application. A parser of its own may throw, which is. */
    #parsed(data, client) {
        const { messageParser } = this.#options;
        if (messageParser !== undefined)
            return messageParser(data, client);
        try {
            return JSON.parse(String(data));
        }
        catch {
            return undefined;
        }
    }
    #close(socketId, code, reason) {
        const client = this.#clients.end(socketId);
        if (client === undefined)
            return;
        this.#servers.get(client.path)?.clients.delete(client);
        client.ended(code, reason);
    }
    #report(error, socketId) {
        const context = { handler: 'handleTextMessage', socketId };
        const { onError } = this.#options;
        if (onError === undefined)
            return (0, report_cjs_1.reportHandlerError)(error, context);
        try {
            const result = onError(error, context);
            if ((0, promises_cjs_1.isThenable)(result)) {
                Promise.resolve(result).then(undefined, (reason) => (0, report_cjs_1.reportHandlerError)(reason, context));
            }
        }
        catch (reason) {
            (0, report_cjs_1.reportHandlerError)(reason, context);
        }
    }
}
exports.NestAdapter = NestAdapter;
function isAcceptance(verdict, { protocols }) {
    try {
        return (0, verdict_cjs_1.checkVerdict)(verdict, protocols).accepted;
    }
    catch {
        return false;
    }
}
