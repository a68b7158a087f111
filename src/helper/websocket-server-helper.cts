import { randomUUID } from 'node:crypto';
import { inScopeHere } from '../async-scope.cjs';
import { WSBrokerError } from '../errors.cjs';
import { BusStateReporter } from './bus/bus-state-reporter.cjs';
import type { Bus } from './bus/bus.cjs';
import { EnvelopeRelay } from './bus/envelope-relay.cjs';
import { createBus } from './bus/redis-connection.cjs';
import { RedisInput } from './bus/redis-input.cjs';
import { callApplication } from './callbacks.cjs';
import { Authenticator } from './clients/authenticator.cjs';
import { Clients } from './clients/clients.cjs';
import { DisconnectReporter } from './clients/disconnect-reporter.cjs';
import { HeartbeatCheck } from './clients/heartbeat-check.cjs';
import { InstanceMember } from './clients/instance-member.cjs';
import { MessageRouter } from './clients/message-router.cjs';
import { Rooms } from './clients/rooms.cjs';
import { SocketEvents } from './clients/socket-events.cjs';
import { closeSocket } from './clients/sockets.cjs';
import { Users } from './clients/users.cjs';
import { Delivery } from './delivery/delivery.cjs';
import { Encryption } from './delivery/encryption.cjs';
import { Everywhere } from './delivery/everywhere.cjs';
import { Message } from './delivery/message.cjs';
import { HelperBase } from './helper-base.cjs';
import { HelperLifecycle } from './helper-lifecycle.cjs';
import { knownOptions, SERVER_HELPER_OPTIONS } from './helper-options.cjs';
import { quoted, safeLogger } from './log.cjs';
import { CLOSE, WebSocketEvents } from './protocol.cjs';
import { type Settings, settingsOf } from './settings.cjs';
import { bunTransport } from './transport/bun-transport.cjs';
import { nativeTransport } from './transport/native-transport.cjs';
import type { Instance, Transport, TransportHost } from './transport/transport.cjs';
import type {
  IBunWebSocketHandler,
  IWebSocket,
  IWebSocketClient,
  IWebSocketLogger,
  IWebSocketServerOptions,
  IWebSocketServerStats,
} from './types.cjs';

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
export class WebSocketServerHelper<
  AuthDataType extends Record<string, unknown> = Record<string, unknown>,
  MetadataType extends Record<string, unknown> = Record<string, unknown>,
> extends HelperBase {
  readonly #lifecycle = new HelperLifecycle(SCOPE);
  readonly #log: IWebSocketLogger;
  readonly #settings: Settings<AuthDataType, MetadataType>;
  /** Whether exactly one of `bind` and `server` was given. `configure()` checks it. */
  readonly #oneTransport: boolean;
  readonly #clients = new Clients<MetadataType>();
  readonly #users: Users<MetadataType>;
  readonly #rooms: Rooms<AuthDataType, MetadataType>;
  readonly #auth: Authenticator<AuthDataType, MetadataType>;
  readonly #inbound: MessageRouter<AuthDataType, MetadataType>;
  readonly #delivery: Delivery<AuthDataType, MetadataType>;
  readonly #disconnects: DisconnectReporter<AuthDataType, MetadataType>;
  readonly #heartbeatCheck: HeartbeatCheck<MetadataType>;
  readonly #transport: Transport;
  readonly #states: BusStateReporter;
  readonly #bus: Bus;
  readonly #relay: EnvelopeRelay;
  readonly #input: RedisInput;
  readonly #events: SocketEvents<AuthDataType, MetadataType>;
  readonly #everywhere: Everywhere<AuthDataType, MetadataType>;
  readonly #encryption: Encryption<AuthDataType, MetadataType>;
  readonly #member: InstanceMember<AuthDataType, MetadataType>;
  #serverId: string = randomUUID();

  /**
   * Stores the options, and duplicates the Redis client if one is given. It opens nothing.
   *
   * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are not an object
   * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message
   * names the most similar one
   * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS: `redisConnection` is missing, or cannot be
   * used
   */
  constructor(opts: IWebSocketServerOptions<AuthDataType, MetadataType>) {
    super(SCOPE, knownOptions(SCOPE, opts, SERVER_HELPER_OPTIONS).identifier, opts.logger);
    const log = (this.#log = safeLogger(this.logger));
    const settings = (this.#settings = settingsOf(opts));
    const [bind, server] = [opts.bind ?? undefined, opts.server ?? undefined];
    this.#oneTransport = (bind === undefined) !== (server === undefined);
    const clients = this.#clients;
    const instance = (): Instance | undefined => this.#transport.instance;
    this.#users = new Users(clients, instance);
    this.#rooms = new Rooms(settings, clients, instance, log);
    this.#heartbeatCheck = new HeartbeatCheck(clients, settings.heartbeatTimeout, log);
    const lifecycle = this.#lifecycle;
    this.#disconnects = new DisconnectReporter({ settings, lifecycle, log, instance });
    this.#states = new BusStateReporter(
      opts.busStateFn ? inScopeHere(opts.busStateFn) : undefined,
      log,
    );
    const sendError = (client: IWebSocketClient<MetadataType>, message: string): void =>
      this.#sendOwn(client, WebSocketEvents.ERROR, { message });
    this.#auth = new Authenticator({
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
    this.#inbound = new MessageRouter({
      settings,
      clients,
      rooms: this.#rooms,
      auth: this.#auth,
      log,
      messageHandled: (milliseconds) => instance()?.messageHandled(milliseconds),
      sendError,
    });
    this.#events = new SocketEvents({
      clients,
      inbound: this.#inbound,
      log,
      connected: (clientId, socket) => this.onClientConnect({ clientId, socket }),
      message: (clientId, raw) => this.onClientMessage({ clientId, raw }),
      disconnected: (clientId) => this.onClientDisconnect({ clientId }),
    });
    this.#bus = createBus(SCOPE, opts.redisConnection, 'server');
    this.#relay = new EnvelopeRelay({
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
    this.#input = new RedisInput({
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
        ? bunTransport(server, log)
        : nativeTransport({
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
    this.#delivery = new Delivery({
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
    this.#everywhere = new Everywhere({ ...sending, lifecycle, relay: this.#relay });
    this.#encryption = new Encryption(sending);
    this.#member = new InstanceMember({ ...sending, encryption: this.#encryption });
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
  override configure(): Promise<void> {
    return this.#lifecycle.configure(
      () => this.#configure(),
      () => this.#unconfigure(),
    );
  }

  /**
   * Closes all clients, the address and the connections to Redis. It does not reject, and does not
   * wait for functions of the application. Further calls return the same promise. Afterwards the
   * helper does not keep the process alive.
   */
  override shutdown(): Promise<void> {
    return this.#lifecycle.shutdown(() => this.#shutdown());
  }

  /** The option `websocket` of `Bun.serve`. The application upgrades with `data: { clientId }`. */
  getBunWebSocketHandler(): IBunWebSocketHandler {
    return { ...this.#events.handler, ...this.#settings.serverOptions } as IBunWebSocketHandler;
  }

  /** The path of its sockets. */
  getPath(): string {
    return this.#settings.path;
  }

  /**
   * Where clients connect: `url` is the address, `endpoint` the address with the path. Undefined if
   * the helper is not listening, and with sockets of Bun.
   */
  getAddress(): { address: string; port: number; url: string; endpoint: string } | undefined {
    return this.#transport.address();
  }

  // Clients

  /** With an id: that client of this helper. Without: the live map of all its clients. */
  getClients(opts?: {
    id?: string;
  }): IWebSocketClient<MetadataType> | Map<string, IWebSocketClient<MetadataType>> | undefined {
    return opts?.id ? this.#clients.get(opts.id) : this.#clients.map;
  }

  /** The user's clients of this helper. */
  getClientsByUser(opts: { userId: string }): IWebSocketClient<MetadataType>[] {
    return this.#users.of(opts.userId);
  }

  /** The room's members that are clients of this helper. */
  getClientsByRoom(opts: { room: string }): IWebSocketClient<MetadataType>[] {
    return this.#rooms.of(opts.room);
  }

  /** How many clients the instance has, in any state. */
  countClients(): number {
    return this.#transport.instance?.countClients() ?? this.#clients.map.size;
  }

  /** How many members the room has in the instance. */
  countRoom(opts: { room: string }): number {
    return this.#transport.instance?.countRoom(opts.room) ?? this.#rooms.count(opts.room);
  }

  /** Counters since construction, and the state of the bus. */
  getStats(): IWebSocketServerStats {
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
  onClientConnect(opts: { clientId: string; socket: IWebSocket }): void {
    const { clientId, socket } = opts;
    if (this.#lifecycle.ended) return closeSocket(socket, CLOSE.shutdown, this.#log);
    const known = this.#clients.get(clientId);
    if (known !== undefined) {
      this.#log.warn(`client ${clientId} is already connected`);
      if (known.socket === socket) return;
      this.#events.refuse(socket);
      if (this.#transport.native) closeSocket(socket, CLOSE.duplicate, this.#log);
      return;
    }
    this.#events.admit(socket);
    const client = this.#clients.add(clientId, socket);
    this.#transport.instance?.addClient(clientId, socket);
    try {
      socket.subscribe(clientId);
    } catch (error) {
      this.#log.error(`subscribe failed for client ${clientId}`, error);
    }
    this.#auth.startTimeLimit(client);
    this.#log.debug(`client ${clientId} is connected`);
  }

  /** To be called with each message of a client, as text. */
  onClientMessage(opts: { clientId: string; raw: string }): void {
    const client = this.#clients.get(opts.clientId);
    if (client === undefined) {
      return this.#log.debug(`a message of ${quoted(opts.clientId)}, which is not a client`);
    }
    this.#inbound.route(client, opts.raw);
  }

  /** To be called when a socket has closed, or to forget a client. */
  onClientDisconnect(opts: { clientId: string }): void {
    const { clientId } = opts;
    const client = this.#clients.get(clientId);
    if (client === undefined) return;
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
  joinRoom(opts: { clientId: string; room: string }): void {
    this.#member.changeRoom('join', opts);
  }

  /** Removes a client of this instance from a room. An unknown client is ignored. */
  leaveRoom(opts: { clientId: string; room: string }): void {
    this.#member.changeRoom('leave', opts);
  }

  /**
   * From now on messages to this client of this helper pass through `outboundTransformer`. It
   * cannot be undone.
   */
  enableClientEncryption(opts: { clientId: string }): void {
    const client = this.#clients.get(opts.clientId);
    if (client !== undefined) this.#encryption.begin(client);
  }

  // Sending

  /**
   * Sends to one client of this instance, in any state. An unknown client is ignored.
   *
   * @throws {TypeError} the data cannot be serialized; so do the next three methods and
   * {@link send}
   */
  sendToClient(opts: { clientId: string; event: string; data: unknown; doLog?: boolean }): void {
    const { clientId, event, data, doLog } = opts;
    if (doLog) this.#log.debug(`${quoted(event)} to client ${clientId}`);
    this.#delivery.toClient(clientId, new Message(event, data));
  }

  /** Sends to every client of a user on this instance. */
  sendToUser(opts: { userId: string; event: string; data: unknown }): void {
    this.#delivery.toUser(opts.userId, new Message(opts.event, opts.data));
  }

  /** Sends to every client in a room on this instance, except those in `exclude`. */
  sendToRoom(opts: { room: string; event: string; data: unknown; exclude?: string[] }): void {
    this.#delivery.toRoom(opts.room, new Message(opts.event, opts.data), opts.exclude);
  }

  /** Sends to every authenticated client of this instance, except those in `exclude`. */
  broadcast(opts: { event: string; data: unknown; exclude?: string[] }): void {
    this.#delivery.toAll(new Message(opts.event, opts.data), opts.exclude);
  }

  /**
   * Sends to clients of all instances: to a client or a room, or without `destination` to all
   * authenticated clients. `topic` is the event. A message without data is not sent. `cb` is called
   * from a timer in any case.
   */
  send<T = unknown>(opts: {
    destination?: string;
    payload: { topic: string; data: T };
    doLog?: boolean;
    cb?: () => void;
  }): void {
    const { destination, payload, doLog, cb } = opts;
    if (!payload || !payload.topic || payload.data === undefined) return;
    try {
      this.#everywhere.send(destination, payload.topic, payload.data);
      if (doLog) {
        this.#log.debug(
          `${quoted(payload.topic)} to ${destination ? quoted(destination) : 'everybody'}`,
        );
      }
    } finally {
      if (cb) {
        setTimeout(
          () =>
            callApplication(
              cb,
              () => undefined,
              (error) => this.#log.error('the callback of send failed', error),
            ),
          0,
        );
      }
    }
  }

  /** Sends a message of the helper itself. Does not throw. */
  #sendOwn(client: IWebSocketClient<MetadataType>, event: string, data: unknown): void {
    try {
      this.#delivery.toClient(client.id, new Message(event, data));
    } catch (error) {
      this.#log.error(`${event} to client ${client.id} cannot be sent`, error);
    }
  }

  async #configure(): Promise<void> {
    const transport = this.#transport;
    if (!this.#oneTransport) {
      throw new WSBrokerError(
        'ERR_WSBROKER_INVALID_ARGUMENT',
        `[${SCOPE}] exactly one of "bind" (native sockets) and "server" (sockets of Bun) ` +
          'must be given',
      );
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
    await this.#bus.connect(
      {
        scope: SCOPE,
        logger: this.#log,
        serverId: this.#serverId,
        received: (text) => this.#input.received(text),
        changed: () => this.#input.busChanged(),
      },
      instance,
    );
    this.#lifecycle.check();
    await this.#input.open(instance);
    this.#lifecycle.check();
    if (transport.native) await transport.open();
    this.#lifecycle.check();
    this.#heartbeatCheck.start(this.#settings.heartbeatInterval);
    this.#states.begin();
    this.#input.update();
  }

  async #unconfigure(): Promise<void> {
    this.#input.undo();
    await this.#transport.leave();
  }

  async #superseded(): Promise<number> {
    const clients = [...this.#clients.map.values()];
    await this.#lifecycle.shutdown(() => {
      for (const { id, socket } of clients) {
        this.onClientDisconnect({ clientId: id });
        closeSocket(socket, CLOSE.superseded, this.#log);
      }
      return this.#shutdown();
    });
    return clients.length;
  }

  async #shutdown(): Promise<void> {
    const log = this.#log;
    this.#input.end();
    this.#states.end();
    this.#transport.stopAccepting();
    this.#heartbeatCheck.stop();
    for (const client of [...this.#clients.map.values()]) {
      closeSocket(client.socket, CLOSE.shutdown, log);
    }
    for (const clientId of [...this.#clients.map.keys()]) this.onClientDisconnect({ clientId });
    this.#clients.map.clear();
    this.#users.clear();
    this.#rooms.clear();
    await this.#transport.finish();
    await this.#bus.close();
    log.debug('shut down');
  }

  #transportHost(): TransportHost {
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
