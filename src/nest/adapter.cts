import type { WebSocketAdapter, WsMessageHandler } from '@nestjs/common' with {
  'resolution-mode': 'import',
};
import type { Observable } from 'rxjs' with { 'resolution-mode': 'import' };
import { WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { knownKeys, optional } from '../options/checks.cjs';
import { isThenable } from '../promises.cjs';
import { reportHandlerError } from '../report.cjs';
import type {
  AcceptVerdict,
  ErrorContext,
  OpenRequest,
  OpenVerdict,
  WorkerInterface,
} from '../types/worker-interface.cjs';
import { PINNED } from '../worker/handlers.cjs';
import { PinnedSockets } from '../worker/pinned-sockets.cjs';
import { checkVerdict } from '../worker/verdict.cjs';
import { NestClient, type NestMessage, NestServer } from './client.cjs';
import { gatewayChannel } from './rooms.cjs';

/** Options of {@link NestAdapter}. */
export interface NestAdapterOptions {
  /**
   * Decides whether a connection is accepted, as in a worker module: the place to look at a cookie
   * or a token. Without it, every connection to a gateway's path is.
   */
  readonly handleOpen?: WorkerInterface['handleOpen'];
  /**
   * Turns a message into `{ event, data }`; nothing: it is dropped. By default it is JSON, and what
   * is not is dropped.
   */
  readonly messageParser?: (data: string | Buffer, client: NestClient) => NestMessage | undefined;
  /** Called for errors outside of Nest's exception filters. By default they go to stderr. */
  readonly onError?: (error: unknown, context: ErrorContext) => unknown;
}

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
export class NestAdapter implements WebSocketAdapter<NestServer, NestClient, NestGatewayOptions> {
  /** Nest sets it. There is nothing to do: clients are cut at the end of every shutdown. */
  forceCloseConnections = false;
  readonly #options: NestAdapterOptions;
  #hasGateways = false;
  readonly #servers = new Map<string, NestServer>();
  readonly #clients = new PinnedSockets<NestClient>((client) => this.#opened(client));

  constructor(options: NestAdapterOptions = {}) {
    const bag = knownKeys(CALL, 'options', options, ['handleOpen', 'messageParser', 'onError']);
    for (const name of Object.keys(bag)) optional(CALL, name, bag[name], 'function');
    this.#options = options;
  }

  /** The handlers of the gateways, for `registerWorkerThread` or a worker module. */
  get handlers(): WorkerInterface {
    return {
      ...{ [PINNED]: true },
      handleOpen: (id, _ip, _headers, request) => this.#open(id, request),
      handleTextMessage: (text, id) => this.#message(id, text),
      handleBinaryMessage: (bytes, id) => this.#message(id, bytes),
      handleClose: (id, _token, code, reason) => this.#close(id, code, reason),
      ...(this.#options.onError && { onError: this.#options.onError }),
    };
  }

  /** Called by Nest for each gateway. */
  create(port: number, options: NestGatewayOptions = {}): NestServer {
    if (port !== 0) {
      throw new WSBrokerError(
        'ERR_WSBROKER_UNSUPPORTED',
        `${CALL}: a gateway has no port, got ${port}; "bind" of start says where to listen, so ` +
          'remove it from @WebSocketGateway',
      );
    }
    if (options.namespace !== undefined) {
      throw new WSBrokerError(
        'ERR_WSBROKER_UNSUPPORTED',
        `${CALL}: there are no namespaces; give the gateway a path, as in ` +
          "@WebSocketGateway({ path: '/chat' })",
      );
    }
    const path = `/${(options.path ?? '').replace(/^\/+|\/+$/g, '')}`;
    this.#hasGateways = true;
    const server = this.#servers.get(path) ?? new NestServer(path);
    this.#servers.set(path, server);
    return server;
  }

  /** Called by Nest. */
  bindClientConnect(
    server: NestServer,
    callback: (client: NestClient, request: OpenRequest) => void,
  ): void {
    server.onConnection.push(callback);
  }

  /** Called by Nest. */
  bindClientDisconnect(client: NestClient, callback: (reason: string) => void): void {
    client.onClose.push(callback);
  }

  /** Called by Nest for a client that comes before the application is ready. */
  closeClient(client: NestClient): void {
    client.close(1013);
  }

  /** Called by Nest. */
  bindMessageHandlers(
    client: NestClient,
    handlers: WsMessageHandler[],
    transform: (data: unknown) => Observable<unknown>,
  ): void {
    const byEvent = new Map<unknown, WsMessageHandler>(handlers.map((one) => [one.message, one]));
    client.bound.push(({ event, data }) => {
      const handler = byEvent.get(event);
      if (handler === undefined) return;
      const subscription = transform(handler.callback(data, event)).subscribe({
        next: (response) => {
          if (response === undefined || response === null) return;
          client.send(JSON.stringify(response));
        },
        error: (error: unknown) => this.#report(error, client.id),
      });
      if (subscription.closed) return;
      client.subscriptions.add(subscription);
      subscription.add(() => client.subscriptions.delete(subscription));
    });
  }

  /** Called by Nest when the application closes. */
  close(server: NestServer): void {
    for (const client of [...server.clients]) client.close(1001);
  }

  /** Called by Nest when the application has closed. */
  dispose(): Promise<void> {
    this.#servers.clear();
    return Promise.resolve();
  }

  #open(socketId: number, request: OpenRequest): OpenVerdict | PromiseLike<OpenVerdict> {
    if (!this.#hasGateways) {
      throw new WSBrokerError(
        'ERR_WSBROKER_UNSUPPORTED',
        `${CALL}: Nest has registered no gateway, so nobody is let in; call ` +
          'app.useWebSocketAdapter(adapter), then await app.init(), then start, and list the ' +
          'gateways among the providers of a module',
      );
    }
    const server = this.#servers.get(request.path);
    if (server === undefined) return { status: 404 };
    const { handleOpen } = this.#options;
    if (handleOpen === undefined) return this.#accept(socketId, request, server, {});
    const verdict = handleOpen(socketId, request.ip, request.headers, request);
    return isThenable(verdict)
      ? Promise.resolve(verdict).then((one) => this.#decide(socketId, request, server, one))
      : this.#decide(socketId, request, server, verdict);
  }

  #decide(
    socketId: number,
    request: OpenRequest,
    server: NestServer,
    verdict: OpenVerdict,
  ): OpenVerdict {
    // No client is kept that is refused. What is no verdict is reported where it is used.
    if (!isAcceptance(verdict, request)) return verdict;
    return this.#accept(socketId, request, server, Object(verdict) as AcceptVerdict);
  }

  #accept(
    socketId: number,
    request: OpenRequest,
    { path }: NestServer,
    verdict: AcceptVerdict,
  ): OpenVerdict {
    const { protocol, headers, token, channels = [] } = verdict;
    // `handleConnection` finds them in place, and no client is made for a connection that may not
    // have them.
    return this.#clients.accept(socketId, { protocol, headers }, () => {
      native.subscribeMany(socketId, [...channels, gatewayChannel(path)]);
      if (token !== undefined) native.setToken(socketId, token);
      return new NestClient(socketId, request, path);
    });
  }

  #opened(client: NestClient): void {
    const server = this.#servers.get(client.path);
    server?.clients.add(client);
    for (const callback of server?.onConnection ?? []) {
      try {
        callback(client, client.request);
      } catch (error) {
        this.#report(error, client.id);
      }
    }
  }

  #message(socketId: number, data: string | Buffer): void {
    const client = this.#clients.ofMessage(socketId);
    if (client === undefined) return;
    const message = this.#parsed(data, client);
    if (message === undefined || message === null) return;
    for (const bound of client.bound) bound(message);
  }

  /** What clients send is no error of the application. A parser of its own may throw, which is. */
  #parsed(data: string | Buffer, client: NestClient): NestMessage | undefined | null {
    const { messageParser } = this.#options;
    if (messageParser !== undefined) return messageParser(data, client);
    try {
      return JSON.parse(String(data)) as NestMessage | null;
    } catch {
      return undefined;
    }
  }

  #close(socketId: number, code: number, reason: string): void {
    const client = this.#clients.end(socketId);
    if (client === undefined) return;
    this.#servers.get(client.path)?.clients.delete(client);
    client.ended(code, reason);
  }

  #report(error: unknown, socketId: number): void {
    const context: ErrorContext = { handler: 'handleTextMessage', socketId };
    const { onError } = this.#options;
    if (onError === undefined) return reportHandlerError(error, context);
    try {
      const result = onError(error, context);
      if (isThenable(result)) {
        Promise.resolve(result).then(undefined, (reason: unknown) =>
          reportHandlerError(reason, context),
        );
      }
    } catch (reason) {
      reportHandlerError(reason, context);
    }
  }
}

function isAcceptance(verdict: OpenVerdict, { protocols }: OpenRequest): boolean {
  try {
    return checkVerdict(verdict, protocols).accepted;
  } catch {
    return false;
  }
}

/** Options of `@WebSocketGateway`, of which `path` counts. */
export interface NestGatewayOptions {
  readonly path?: string;
  readonly namespace?: unknown;
}
