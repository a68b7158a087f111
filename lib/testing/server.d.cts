import type { AsyncDisposes, URL } from '../ambient.cjs';
import type { Server, ShutdownReport } from '../types/server.cjs';
import type { StartOptions } from '../types/start-options.cjs';
import type { WorkerInterface } from '../types/worker-interface.cjs';
import { TestClient, type TestHeaders } from './client.cjs';
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
export declare function testServer(handlers: WorkerInterface | string | URL, options?: TestServerOptions): Promise<TestServer>;
