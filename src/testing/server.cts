import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { randomBytes } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import type { AsyncDisposes, URL } from '../ambient.cjs';
import { WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { duration, knownKeys } from '../options/checks.cjs';
import { checkStartOptions } from '../options/start.cjs';
import { shutdownAll, startServer } from '../server/lifecycle.cjs';
import { currentPool, forgetWorkers } from '../server/workers.cjs';
import type { Server, ShutdownReport } from '../types/server.cjs';
import type { StartOptions } from '../types/start-options.cjs';
import type { WorkerInterface } from '../types/worker-interface.cjs';
import { currentRegistration, register } from '../worker/register.cjs';
import { TestClient, type TestHeaders, testError, type WsSocket } from './client.cjs';

/** Options of {@link testServer}: those of `start`, and `timeout`. */
export interface TestServerOptions extends Omit<Partial<StartOptions>, 'workerPath'> {
  /**
   * How long clients wait for what a test expects, in milliseconds, 1 to 2^31-1. @default 5000
   */
  readonly timeout?: number;
}

/** Options of {@link TestServer.connect}. */
export interface TestConnectOptions {
  /** The subprotocols that the client offers. @default none */
  readonly protocols?: string | readonly string[];
  /** Headers of the request, such as `cookie` or `origin`. @default none */
  readonly headers?: Readonly<Record<string, string>>;
}

/** How a server refused a connection. */
export interface TestRefusal {
  readonly status: number;
  readonly headers: TestHeaders;
  readonly body: string;
}

/**
 * A server for a test: what {@link testServer} resolves to. `await using server = await
 * testServer(…)` ends with {@link TestServer.close}.
 */
export interface TestServer extends AsyncDisposes {
  /** What `start` has resolved to. */
  readonly server: Server;
  /** As `ws://127.0.0.1:12345`. */
  readonly url: string;
  readonly port: number;
  /**
   * Opens a connection. What the server sends from then on is kept until the test takes it.
   *
   * @param path path and query, '/' by default
   * @throws {WSBrokerError} ERR_WSBROKER_TEST: the connection was refused; the message has the
   * status
   */
  connect(path?: string, options?: TestConnectOptions): Promise<TestClient>;
  /**
   * Asks for a connection that the server is expected to refuse.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_TEST: it was accepted
   */
  refusal(path?: string, options?: TestConnectOptions): Promise<TestRefusal>;
  /**
   * Cuts the clients that are still connected and shuts the server down. Afterwards the thread can
   * serve other handlers.
   */
  close(): Promise<ShutdownReport>;
}

type WsClass = new (
  url: string,
  protocols: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => WsSocket;

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
export async function testServer(
  handlers: WorkerInterface | string | URL,
  options: TestServerOptions = {},
): Promise<TestServer> {
  const { timeout: given, ...rest } = knownTimeout(options);
  const timeout = duration(CALL, 'timeout', given, 1) ?? DEFAULT_TIMEOUT;
  const WebSocket = loadWs();
  const isModule = typeof handlers === 'string' || isUrl(handlers);
  const checked = checkStartOptions({
    bind: '127.0.0.1:0',
    ...(isModule ? { workerPath: handlers as string, threads: 0 } : {}),
    ...rest,
  });
  checkOtherThreads();
  const registration = isModule ? undefined : register(CALL, handlers);
  let server: Server;
  try {
    server = await startServer(checked);
  } catch (error) {
    // The thread is free again for other handlers.
    if (registration !== undefined && currentRegistration() === registration) registration.drop();
    throw error;
  }
  try {
    // Another thread may have begun meanwhile.
    checkOtherThreads();
  } catch (error) {
    // Not by a shutdown, which would end the other thread's server, too.
    await server.close();
    currentRegistration()?.drop();
    forgetWorkers();
    throw error;
  }
  return new LiveTestServer(server, WebSocket, timeout) as LiveTestServer & AsyncDisposes;
}

/**
 * Servers of a process share their workers, so connections would come to the other's handlers.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: another thread has handlers
 */
function checkOtherThreads(): void {
  // Otherwise they are the threads that this one has started.
  if (currentPool() !== undefined) return;
  const { workers } = native.stats();
  const ids = workers.map(({ workerId }) => workerId);
  if (!ids.some((id) => id !== threadId && id !== ENDING)) return;
  throw new WSBrokerError(
    'ERR_WSBROKER_CONFLICT',
    `${CALL}: another thread of this process has handlers already, and they would get connections ` +
      "of this server; run each file of tests in a process of its own, as vitest does with pool: 'forks'",
  );
}

class LiveTestServer {
  readonly server: Server;
  readonly #WebSocket: WsClass;
  readonly #timeout: number;
  readonly #clients = new Set<TestClient>();
  #closing: Promise<ShutdownReport> | undefined;

  constructor(server: Server, WebSocket: WsClass, timeout: number) {
    this.server = server;
    this.#WebSocket = WebSocket;
    this.#timeout = timeout;
  }

  get url(): string {
    return this.server.url;
  }

  get port(): number {
    return this.server.port;
  }

  async connect(path = '/', options: TestConnectOptions = {}): Promise<TestClient> {
    const { protocols, headers } = this.#checked('connect', path, options);
    const socket = new this.#WebSocket(this.url + path, protocols, {
      headers,
      perMessageDeflate: false,
      // The certificates of tests are their own.
      rejectUnauthorized: false,
    });
    const messages: (string | Buffer)[] = [];
    // From the first on, which may come with the 101.
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      messages.push(isBinary ? data : String(data));
    });
    let answered: TestHeaders = {};
    socket.on('upgrade', (response: IncomingMessage) => (answered = response.headers));
    const client = new TestClient(socket, () => answered, messages, this.#timeout);
    this.#clients.add(client);
    socket.on('close', () => this.#clients.delete(client));
    await new Promise<void>((resolve, reject) => {
      const failed = (why: string, cause?: unknown): void => {
        clearTimeout(timer);
        socket.terminate();
        reject(testError(`connect: ${path} was not opened: ${why}`, cause));
      };
      const timer = setTimeout(() => failed(`no answer within ${this.#timeout} ms`), this.#timeout);
      socket.on('open', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.on('error', (error: Error) => failed(error.message, error));
      // Bun tells of a refusal by this alone.
      socket.on('close', (code: number) => failed(`closed with ${code}`));
    });
    return client;
  }

  async refusal(path = '/', options: TestConnectOptions = {}): Promise<TestRefusal> {
    const { protocols, headers } = this.#checked('refusal', path, options);
    const isSecure = this.url.startsWith('wss');
    const ask = isSecure ? httpsRequest : httpRequest;
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
          'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
          ...(protocols.length > 0 ? { 'Sec-WebSocket-Protocol': protocols.join(', ') } : {}),
        },
      });
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        });
      });
      request.on('upgrade', (_response, socket) => {
        socket.destroy();
        reject(testError(`refusal: ${path} was accepted`));
      });
      request.on('timeout', () => {
        request.destroy(testError(`refusal: no answer to ${path} within ${this.#timeout} ms`));
      });
      request.on('error', reject);
      request.end();
    });
  }

  close(): Promise<ShutdownReport> {
    for (const client of this.#clients) client.terminate();
    return (this.#closing ??= shutdownAll(1001, SHUTDOWN_TIMEOUT));
  }

  #checked(
    call: string,
    path: string,
    options: TestConnectOptions,
  ): { readonly protocols: readonly string[]; readonly headers: Readonly<Record<string, string>> } {
    if (this.#closing !== undefined) throw testError(`${call}: the server is closed`);
    knownKeys(call, 'options', options, ['protocols', 'headers']);
    if (!path.startsWith('/')) throw testError(`${call}: a path begins with '/', got '${path}'`);
    const { protocols = [], headers = {} } = options;
    return { protocols: typeof protocols === 'string' ? [protocols] : protocols, headers };
  }
}

// Old runtimes do not have the symbol.
if ((Symbol.asyncDispose as symbol | undefined) !== undefined) {
  Object.defineProperty(LiveTestServer.prototype, Symbol.asyncDispose, {
    async value(this: LiveTestServer): Promise<void> {
      await this.close();
    },
  });
}

function knownTimeout(options: TestServerOptions): TestServerOptions {
  if (Object.hasOwn(options, 'workerPath')) {
    throw new WSBrokerError(
      'ERR_WSBROKER_UNKNOWN_OPTION',
      `${CALL}: "workerPath" is the first argument, as in testServer('./worker.js')`,
    );
  }
  return options;
}

function isUrl(value: object): value is URL {
  return typeof (value as { href?: unknown }).href === 'string';
}

function loadWs(): WsClass {
  try {
    return require('ws') as WsClass;
  } catch (cause) {
    throw testError(
      `${CALL}: its clients need the package ws, which cannot be loaded; "npm install --save-dev ws" ` +
        'installs it',
      cause,
    );
  }
}
