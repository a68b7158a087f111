import type { WebSocketAdapter, WsMessageHandler } from '@nestjs/common' with { 'resolution-mode': 'import'
};
import type { Observable } from 'rxjs' with { 'resolution-mode': 'import' };
import type { ErrorContext, OpenRequest, WorkerInterface } from '../types/worker-interface.cjs';
import { NestClient, type NestMessage, NestServer } from './client.cjs';
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
export declare class NestAdapter implements WebSocketAdapter<NestServer, NestClient, NestGatewayOptions> {
    #private;
    /** Nest sets it. There is nothing to do: clients are cut at the end of every shutdown. */
    forceCloseConnections: boolean;
    constructor(options?: NestAdapterOptions);
    /** The handlers of the gateways, for `registerWorkerThread` or a worker module. */
    get handlers(): WorkerInterface;
    /** Called by Nest for each gateway. */
    create(port: number, options?: NestGatewayOptions): NestServer;
    /** Called by Nest. */
    bindClientConnect(server: NestServer, callback: (client: NestClient, request: OpenRequest) => void): void;
    /** Called by Nest. */
    bindClientDisconnect(client: NestClient, callback: (reason: string) => void): void;
    /** Called by Nest for a client that comes before the application is ready. */
    closeClient(client: NestClient): void;
    /** Called by Nest. */
    bindMessageHandlers(client: NestClient, handlers: WsMessageHandler[], transform: (data: unknown) => Observable<unknown>): void;
    /** Called by Nest when the application closes. */
    close(server: NestServer): void;
    /** Called by Nest when the application has closed. */
    dispose(): Promise<void>;
}
/** Options of `@WebSocketGateway`, of which `path` counts. */
export interface NestGatewayOptions {
    readonly path?: string;
    readonly namespace?: unknown;
}
