import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import { join } from 'node:path';
import { types } from 'node:util';
import { builtins } from '../builtins.cjs';
import { isResponse } from '../fetch-response.cjs';
import type { NativeIdentity } from '../native.cjs';
import {
  checkNotListening,
  FETCH_HINT,
  type HttpTarget,
  type RequestFunction,
} from '../options/http.cjs';
import { warnOnce } from '../report.cjs';

// The application's HTTP server, on an address that only this process knows. The core forwards
// requests to it, and says with a secret header who the client of a connection is.

/** Where the core forwards requests, and how they are known. */
export interface InnerServer {
  /** As the addon takes it. */
  readonly forward: string;
  readonly identity: NativeIdentity | undefined;
  /** To be called when the core has ended: what is still connected is cut. */
  close(): Promise<void>;
}

const HEADER = 'x-wsbroker-client';
/** Events of a server whose first argument is a request. */
const REQUEST_EVENTS: readonly unknown[] = [
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
export async function openInnerServer(target: HttpTarget): Promise<InnerServer> {
  if (target.kind === 'address') {
    return { forward: target.forward, identity: undefined, close: () => Promise.resolve() };
  }
  const server = target.kind === 'server' ? target.server : ownServer(target.handle);
  checkNotListening('start', server);
  const secret = builtins.crypto.randomBytes(24).toString('hex');
  const stopGuarding = guard(server, secret);
  const sockets = new Set<Socket>();
  const onConnection = (socket: Socket): void => {
    // A listener of ours keeps the process alive, or does not: its connections have no say in it.
    if (typeof socket.unref === 'function') socket.unref();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  server.on('connection', onConnection);
  const place = privateAddress();
  const restore = (): void => {
    server.off('connection', onConnection);
    stopGuarding();
    place.remove();
  };
  try {
    await listen(server, place.options);
  } catch (error) {
    restore();
    throw error;
  }
  server.unref();
  return {
    forward: place.forward ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    // Other runtimes may not keep the socket of a connection from one request to the next.
    identity: { name: HEADER, secret, once: process.versions['bun'] === undefined },
    async close() {
      const closed = new Promise<void>((resolve) => {
        setTimeout(resolve, CLOSE_TIMEOUT).unref();
        server.close(() => resolve());
      });
      // Not every runtime has it, and it does not know of upgraded connections.
      (server as Partial<HttpServer>).closeAllConnections?.();
      for (const socket of sockets) socket.destroy();
      await closed;
      restore();
    },
  };
}

/** The core's limits and timeouts apply, so that this server's own are off. */
function ownServer(handle: RequestFunction): HttpServer {
  const server = builtins.http.createServer({ maxHeaderSize: MAX_HEADER_SIZE });
  server.on('request', (request, response) => {
    const result: unknown = Reflect.apply(handle, server, [request, response]);
    if (types.isPromise(result)) void result.then((value) => refuseFetch(value, response));
    else refuseFetch(result, response);
  });
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  return server;
}

/** A function of the Fetch API answers by what it returns, and the client would wait in vain. */
function refuseFetch(result: unknown, response: ServerResponse): void {
  if (result === undefined || response.headersSent || !isResponse(result)) return;
  warnOnce(
    'start: the function "http" has returned a Response of the Fetch API, which Node\'s HTTP server ' +
      `does not send, so clients get 500; ${FETCH_HINT}`,
  );
  response.statusCode = 500;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end('the application has given a "fetch" function where a request listener is needed\n');
}

/** A Unix socket in a folder of this user alone; where there is none, a port of the loopback. */
function privateAddress(): {
  readonly options: ListenOptions;
  readonly forward: string | undefined;
  readonly remove: () => void;
} {
  // In a worker of `node:cluster`, the primary would listen otherwise.
  const shared = { exclusive: true, backlog: BACKLOG };
  const loopback = {
    options: { host: '127.0.0.1', port: 0, ...shared },
    forward: undefined,
    remove: () => undefined,
  };
  if (process.platform === 'win32') return loopback;
  const parent = builtins.os.tmpdir();
  if (Buffer.byteLength(join(parent, 'wsbroker-XXXXXX', 'http')) > LONGEST_SOCKET_PATH) {
    return loopback;
  }
  const folder = mkdtempSync(join(parent, 'wsbroker-'));
  const remove = (): void => {
    process.off('exit', remove);
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', remove);
  const path = join(folder, 'http');
  return { options: { path, ...shared }, forward: `unix:${path}`, remove };
}

function listen(server: HttpServer, options: ListenOptions): Promise<void> {
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
function guard(server: HttpServer, secret: string): () => void {
  const expected = Buffer.from(secret);
  const emit = server.emit.bind(server) as (name: string | symbol, ...args: unknown[]) => boolean;
  const identified = new WeakMap<Socket, string>();
  const guarded = (name: string | symbol, ...args: unknown[]): boolean => {
    if (REQUEST_EVENTS.includes(name)) {
      const request = args[0] as IncomingMessage;
      if (!identify(request, expected, identified)) {
        request.socket.destroy();
        return true;
      }
    }
    return emit(name, ...args);
  };
  server.emit = guarded as typeof server.emit;
  return () => {
    // That of the prototype is visible again.
    if ((server.emit as unknown) === guarded) delete (server as { emit?: unknown }).emit;
  };
}

/**
 * Whether the request comes from the core. Its socket then shows the client. `identified` has the
 * header that each connection was found to be right by.
 */
function identify(
  request: IncomingMessage,
  secret: Buffer,
  identified: WeakMap<Socket, string>,
): boolean {
  const { socket, headers } = request;
  const header = headers[HEADER];
  const known = identified.get(socket);
  // The core says it with the first request of a connection, and again when it changes. And an
  // application may emit a request once more, as after `'checkContinue'`.
  if (header === undefined) return known !== undefined;
  if (typeof header !== 'string') return false;
  if (known !== header) {
    if (!showClient(socket, header, secret)) return false;
    identified.set(socket, header);
  }
  // It is the last field, so that this leaves objects of the fast kind.
  delete headers[HEADER];
  const { rawHeaders } = request;
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if (rawHeaders[i]?.toLowerCase() === HEADER) rawHeaders.splice(i, 2);
  }
  return true;
}

/** False without the secret. */
function showClient(socket: Socket, header: string, secret: Buffer): boolean {
  const [given = '', address = '-', port, scheme] = header.split(' ');
  const bytes = Buffer.from(given);
  if (bytes.length !== secret.length || !builtins.crypto.timingSafeEqual(bytes, secret)) return false;
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
function show(socket: Socket, shown: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(shown)) {
    Object.defineProperty(socket, name, { value, configurable: true, enumerable: true });
  }
}
