"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.WebSocketServerHelper = void 0;
const node_crypto_1 = require("node:crypto");
const async_scope_cjs_1 = require("../async-scope.cjs");
const errors_cjs_1 = require("../errors.cjs");
const bus_state_reporter_cjs_1 = require("./bus/bus-state-reporter.cjs");
const envelope_relay_cjs_1 = require("./bus/envelope-relay.cjs");
const redis_connection_cjs_1 = require("./bus/redis-connection.cjs");
const redis_input_cjs_1 = require("./bus/redis-input.cjs");
const callbacks_cjs_1 = require("./callbacks.cjs");
const authenticator_cjs_1 = require("./clients/authenticator.cjs");
const clients_cjs_1 = require("./clients/clients.cjs");
const disconnect_reporter_cjs_1 = require("./clients/disconnect-reporter.cjs");
const heartbeat_check_cjs_1 = require("./clients/heartbeat-check.cjs");
const instance_member_cjs_1 = require("./clients/instance-member.cjs");
const message_router_cjs_1 = require("./clients/message-router.cjs");
const rooms_cjs_1 = require("./clients/rooms.cjs");
const socket_events_cjs_1 = require("./clients/socket-events.cjs");
const sockets_cjs_1 = require("./clients/sockets.cjs");
const users_cjs_1 = require("./clients/users.cjs");
const delivery_cjs_1 = require("./delivery/delivery.cjs");
const encryption_cjs_1 = require("./delivery/encryption.cjs");
const everywhere_cjs_1 = require("./delivery/everywhere.cjs");
const message_cjs_1 = require("./delivery/message.cjs");
const helper_base_cjs_1 = require("./helper-base.cjs");
const helper_lifecycle_cjs_1 = require("./helper-lifecycle.cjs");
const helper_options_cjs_1 = require("./helper-options.cjs");
const log_cjs_1 = require("./log.cjs");
const protocol_cjs_1 = require("./protocol.cjs");
const settings_cjs_1 = require("./settings.cjs");
const bun_transport_cjs_1 = require("./transport/bun-transport.cjs");
const native_transport_cjs_1 = require("./transport/native-transport.cjs");
const SCOPE = 'WebSocketServerHelper';
/**
 * Authentication, users, rooms, a heartbeat, encryption for each client, and delivery between
 * instances through Redis: what most applications need on top of sockets.
 *
 * @example
 * ```js
 * import { WebSocketServerHelper } from 'wsbroker/server-helper';
 *
 * const helper = new WebSocketServerHelper({
 *   identifier: 'app',
 *   redisConnection: 'redis://127.0.0.1',
 *   bind: '127.0.0.1:8080',
 *   authenticateFn: async ({ token }) => (token === 'secret' ? { userId: '7' } : null),
 *   messageHandler: ({ clientId, message }) => {
 *     helper.sendToClient({ clientId, event: 'echo', data: message.data });
 *   },
 * });
 * await helper.configure();
 * ```
 */
class WebSocketServerHelper extends helper_base_cjs_1.HelperBase {
    #lifecycle = new helper_lifecycle_cjs_1.HelperLifecycle(SCOPE);
    #log;
    #settings;
    /** Whether exactly one of `bind` and `server` was given. `configure()` checks it. */
    #oneTransport;
    #clients = new clients_cjs_1.Clients();
    #users;
    #rooms;
    #auth;
    #inbound;
    #delivery;
    #disconnects;
    #heartbeatCheck;
    #transport;
    #states;
    #bus;
    #relay;
    #input;
    #events;
    #everywhere;
    #encryption;
    #member;
    #serverId = (0, node_crypto_1.randomUUID)();
    /**
     * Stores the options, and duplicates the Redis client if one is given. It opens nothing.
     *
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are not an object
     * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message
     * names the most similar one
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS: `redisConnection` is missing, or cannot be
     * used
     */
    constructor(opts) {
        super(SCOPE, (0, helper_options_cjs_1.knownOptions)(SCOPE, opts, helper_options_cjs_1.SERVER_HELPER_OPTIONS).identifier, opts.logger);
        const log = (this.#log = (0, log_cjs_1.safeLogger)(this.logger));
        const settings = (this.#settings = (0, settings_cjs_1.settingsOf)(opts));
        const [bind, server] = [opts.bind ?? undefined, opts.server ?? undefined];
        this.#oneTransport = (bind === undefined) !== (server === undefined);
        const clients = this.#clients;
        const instance = () => this.#transport.instance;
        this.#users = new users_cjs_1.Users(clients, instance);
        this.#rooms = new rooms_cjs_1.Rooms(settings, clients, instance, log);
        this.#heartbeatCheck = new heartbeat_check_cjs_1.HeartbeatCheck(clients, settings.heartbeatTimeout, log);
        const lifecycle = this.#lifecycle;
        this.#disconnects = new disconnect_reporter_cjs_1.DisconnectReporter({ settings, lifecycle, log, instance });
        this.#states = new bus_state_reporter_cjs_1.BusStateReporter(opts.busStateFn ? (0, async_scope_cjs_1.inScopeHere)(opts.busStateFn) : undefined, log);
        const sendError = (client, message) => this.#sendOwn(client, protocol_cjs_1.WebSocketEvents.ERROR, { message });
        this.#auth = new authenticator_cjs_1.Authenticator({
            settings,
            clients,
            users: this.#users,
            rooms: this.#rooms,
            log,
            instance,
            sendError,
            encrypt: (client) => this.#encryption.begin(client),
            send: (client, event, data) => this.#sendOwn(client, event, data),
        });
        this.#inbound = new message_router_cjs_1.MessageRouter({
            settings,
            clients,
            rooms: this.#rooms,
            auth: this.#auth,
            log,
            messageHandled: (milliseconds) => instance()?.messageHandled(milliseconds),
            sendError,
        });
        this.#events = new socket_events_cjs_1.SocketEvents({
            clients,
            inbound: this.#inbound,
            log,
            connected: (clientId, socket) => this.onClientConnect({ clientId, socket }),
            message: (clientId, raw) => this.onClientMessage({ clientId, raw }),
            disconnected: (clientId) => this.onClientDisconnect({ clientId }),
        });
        this.#bus = (0, redis_connection_cjs_1.createBus)(SCOPE, opts.redisConnection, 'server');
        this.#relay = new envelope_relay_cjs_1.EnvelopeRelay({
            bus: this.#bus,
            log,
            serverId: () => this.#serverId,
            deliver: {
                client: (opts) => this.sendToClient(opts),
                user: (opts) => this.sendToUser(opts),
                room: (opts) => this.sendToRoom(opts),
                broadcast: (opts) => this.broadcast(opts),
            },
        });
        this.#input = new redis_input_cjs_1.RedisInput({
            scope: SCOPE,
            lifecycle,
            bus: this.#bus,
            relay: this.#relay,
            states: this.#states,
            log,
            instance,
        });
        this.#transport =
            bind === undefined
                ? (0, bun_transport_cjs_1.bunTransport)(server, log)
                : (0, native_transport_cjs_1.nativeTransport)({
                    identifier: opts.identifier,
                    path: settings.path,
                    bind,
                    serverOptions: settings.serverOptions,
                    givenServerOptions: opts.serverOptions ?? {},
                    native: opts,
                    maxAuthPayloadLength: settings.maxAuthPayloadLength,
                    encrypts: settings.outboundTransformer !== undefined,
                    redisForm: this.#bus.form,
                });
        this.#delivery = new delivery_cjs_1.Delivery({
            settings,
            clients,
            users: this.#users,
            rooms: this.#rooms,
            transport: this.#transport,
            log,
        });
        const sending = {
            settings,
            clients,
            rooms: this.#rooms,
            delivery: this.#delivery,
            transport: this.#transport,
            log,
        };
        this.#everywhere = new everywhere_cjs_1.Everywhere({ ...sending, lifecycle, relay: this.#relay });
        this.#encryption = new encryption_cjs_1.Encryption(sending);
        this.#member = new instance_member_cjs_1.InstanceMember({ ...sending, encryption: this.#encryption });
    }
    // Life
    /**
     * Connects to Redis, starts the heartbeat and, with `bind`, listens. A second call returns the
     * promise of the first; after a rejection, a later call tries again.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT: both or neither of `bind` and `server`
     * were given, or an option of native sockets is wrong
     * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: it contradicts another helper of the same
     * identifier, or of the same address and path
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis was not ready within 30 s
     * @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called
     * @throws the first error of a connection to Redis
     */
    configure() {
        return this.#lifecycle.configure(() => this.#configure(), () => this.#unconfigure());
    }
    /**
     * Closes all clients, the address and the connections to Redis. It does not reject, and does not
     * wait for functions of the application. Further calls return the same promise. Afterwards the
     * helper does not keep the process alive.
     */
    shutdown() {
        return this.#lifecycle.shutdown(() => this.#shutdown());
    }
    /** The option `websocket` of `Bun.serve`. The application upgrades with `data: { clientId }`. */
    getBunWebSocketHandler() {
        return { ...this.#events.handler, ...this.#settings.serverOptions };
    }
    /** The path of its sockets. */
    getPath() {
        return this.#settings.path;
    }
    /**
     * Where clients connect: `url` is the address, `endpoint` the address with the path. Undefined if
     * the helper is not listening, and with sockets of Bun.
     */
    getAddress() {
        return this.#transport.address();
    }
    // Clients
    /** With an id: that client of this helper. Without: the live map of all its clients. */
    getClients(opts) {
        return opts?.id ? this.#clients.get(opts.id) : this.#clients.map;
    }
    /** The user's clients of this helper. */
    getClientsByUser(opts) {
        return this.#users.of(opts.userId);
    }
    /** The room's members that are clients of this helper. */
    getClientsByRoom(opts) {
        return this.#rooms.of(opts.room);
    }
    /** How many clients the instance has, in any state. */
    countClients() {
        return this.#transport.instance?.countClients() ?? this.#clients.map.size;
    }
    /** How many members the room has in the instance. */
    countRoom(opts) {
        return this.#transport.instance?.countRoom(opts.room) ?? this.#rooms.count(opts.room);
    }
    /** Counters since construction, and the state of the bus. */
    getStats() {
        const { refused, failed, invalid } = this.#relay;
        return {
            busState: this.#states.state,
            busRefused: refused,
            busFailed: failed,
            busInvalid: invalid,
            framesDropped: this.#delivery.framesDropped + this.#bus.counts().dropped,
        };
    }
    /**
     * To be called when a socket has been opened. From now on it has `authTimeout` to authenticate.
     */
    onClientConnect(opts) {
        const { clientId, socket } = opts;
        if (this.#lifecycle.ended)
            return (0, sockets_cjs_1.closeSocket)(socket, protocol_cjs_1.CLOSE.shutdown, this.#log);
        const known = this.#clients.get(clientId);
        if (known !== undefined) {
            this.#log.warn(`client ${clientId} is already connected`);
            if (known.socket === socket)
                return;
            this.#events.refuse(socket);
            if (this.#transport.native)
                (0, sockets_cjs_1.closeSocket)(socket, protocol_cjs_1.CLOSE.duplicate, this.#log);
            return;
        }
        this.#events.admit(socket);
        const client = this.#clients.add(clientId, socket);
        this.#transport.instance?.addClient(clientId, socket);
        try {
            socket.subscribe(clientId);
        }
        catch (error) {
            this.#log.error(`subscribe failed for client ${clientId}`, error);
        }
        this.#auth.startTimeLimit(client);
        this.#log.debug(`client ${clientId} is connected`);
    }
    /** To be called with each message of a client, as text. */
    onClientMessage(opts) {
        const client = this.#clients.get(opts.clientId);
        if (client === undefined) {
            return this.#log.debug(`a message of ${(0, log_cjs_1.quoted)(opts.clientId)}, which is not a client`);
        }
        this.#inbound.route(client, opts.raw);
    }
    /** To be called when a socket has closed, or to forget a client. */
    onClientDisconnect(opts) {
        const { clientId } = opts;
        const client = this.#clients.get(clientId);
        if (client === undefined)
            return;
        clearTimeout(client.authTimer);
        delete client.authTimer;
        const { userId } = client;
        this.#users.remove(client);
        this.#rooms.forget(client);
        this.#clients.map.delete(clientId);
        this.#delivery.forget(client);
        this.#transport.instance?.removeClient(clientId);
        client.state = 'disconnected';
        this.#log.debug(`client ${clientId} is disconnected`);
        this.#disconnects.report(clientId, userId);
    }
    /**
     * Adds a client of this instance to a room with any name, in any state of the client. An unknown
     * client is ignored.
     */
    joinRoom(opts) {
        this.#member.changeRoom('join', opts);
    }
    /** Removes a client of this instance from a room. An unknown client is ignored. */
    leaveRoom(opts) {
        this.#member.changeRoom('leave', opts);
    }
    /**
     * From now on messages to this client of this helper pass through `outboundTransformer`. It
     * cannot be undone.
     */
    enableClientEncryption(opts) {
        const client = this.#clients.get(opts.clientId);
        if (client !== undefined)
            this.#encryption.begin(client);
    }
    // Sending
    /**
     * Sends to one client of this instance, in any state. An unknown client is ignored.
     *
     * @throws {TypeError} the data cannot be serialized; so do the next three methods and
     * {@link send}
     */
    sendToClient(opts) {
        const { clientId, event, data, doLog } = opts;
        if (doLog)
            this.#log.debug(`${(0, log_cjs_1.quoted)(event)} to client ${clientId}`);
        this.#delivery.toClient(clientId, new message_cjs_1.Message(event, data));
    }
    /** Sends to every client of a user on this instance. */
    sendToUser(opts) {
        this.#delivery.toUser(opts.userId, new message_cjs_1.Message(opts.event, opts.data));
    }
    /** Sends to every client in a room on this instance, except those in `exclude`. */
    sendToRoom(opts) {
        this.#delivery.toRoom(opts.room, new message_cjs_1.Message(opts.event, opts.data), opts.exclude);
    }
    /** Sends to every authenticated client of this instance, except those in `exclude`. */
    broadcast(opts) {
        this.#delivery.toAll(new message_cjs_1.Message(opts.event, opts.data), opts.exclude);
    }
    /**
     * Sends to clients of all instances: to a client or a room, or without `destination` to all
     * authenticated clients. `topic` is the event. A message without data is not sent. `cb` is called
     * from a timer in any case.
     */
    send(opts) {
        const { destination, payload, doLog, cb } = opts;
        if (!payload || !payload.topic || payload.data === undefined)
            return;
        try {
            this.#everywhere.send(destination, payload.topic, payload.data);
            if (doLog) {
                this.#log.debug(`${(0, log_cjs_1.quoted)(payload.topic)} to ${destination ? (0, log_cjs_1.quoted)(destination) : 'everybody'}`);
            }
        }
        finally {
            if (cb) {
                setTimeout(() => (0, callbacks_cjs_1.callApplication)(cb, () => undefined, (error) => this.#log.error('the callback of send failed', error)), 0);
            }
        }
    }
    /** Sends a message of the helper itself. Does not throw. */
    #sendOwn(client, event, data) {
        try {
            this.#delivery.toClient(client.id, new message_cjs_1.Message(event, data));
        }
        catch (error) {
            this.#log.error(`${event} to client ${client.id} cannot be sent`, error);
        }
    }
    async #configure() {
        const transport = this.#transport;
        if (!this.#oneTransport) {
            throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_ARGUMENT', `[${SCOPE}] exactly one of "bind" (native sockets) and "server" (sockets of Bun) ` +
                'must be given');
        }
        // With Bun there is nothing to join, and nothing is awaited before Redis: listeners are on its
        // clients before this call returns.
        if (transport.native) {
            await transport.join(this.#transportHost());
            this.#lifecycle.check();
            if (transport.instance !== undefined) {
                this.#serverId = transport.instance.serverId;
                this.#member.enter(transport.instance);
            }
        }
        const { instance } = transport;
        await this.#bus.connect({
            scope: SCOPE,
            logger: this.#log,
            serverId: this.#serverId,
            received: (text) => this.#input.received(text),
            changed: () => this.#input.busChanged(),
        }, instance);
        this.#lifecycle.check();
        await this.#input.open(instance);
        this.#lifecycle.check();
        if (transport.native)
            await transport.open();
        this.#lifecycle.check();
        this.#heartbeatCheck.start(this.#settings.heartbeatInterval);
        this.#states.begin();
        this.#input.update();
    }
    async #unconfigure() {
        this.#input.undo();
        await this.#transport.leave();
    }
    async #superseded() {
        const clients = [...this.#clients.map.values()];
        await this.#lifecycle.shutdown(() => {
            for (const { id, socket } of clients) {
                this.onClientDisconnect({ clientId: id });
                (0, sockets_cjs_1.closeSocket)(socket, protocol_cjs_1.CLOSE.superseded, this.#log);
            }
            return this.#shutdown();
        });
        return clients.length;
    }
    async #shutdown() {
        const log = this.#log;
        this.#input.end();
        this.#states.end();
        this.#transport.stopAccepting();
        this.#heartbeatCheck.stop();
        for (const client of [...this.#clients.map.values()]) {
            (0, sockets_cjs_1.closeSocket)(client.socket, protocol_cjs_1.CLOSE.shutdown, log);
        }
        for (const clientId of [...this.#clients.map.keys()])
            this.onClientDisconnect({ clientId });
        this.#clients.map.clear();
        this.#users.clear();
        this.#rooms.clear();
        await this.#transport.finish();
        await this.#bus.close();
        log.debug('shut down');
    }
    #transportHost() {
        return {
            identifier: this.identifier,
            logger: this.#log,
            handler: this.getBunWebSocketHandler(),
            receive: (operation) => this.#member.receive(operation),
            inputState: (state) => this.#input.changed(state),
            takeInput: () => this.#input.take(),
            superseded: () => this.#superseded(),
            clientsLeft: () => this.#disconnects.takeLeft(),
            dropped: () => this.#delivery.transportDropped(),
        };
    }
}
exports.WebSocketServerHelper = WebSocketServerHelper;
