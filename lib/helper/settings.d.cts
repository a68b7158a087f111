import type { IBunWebSocketConfig, IWebSocketServerOptions, TWebSocketAuthenticateFn } from './types.cjs';
/** The constraint on the application's own types of data. */
export type AnyRecord = Record<string, unknown>;
/** The keys of `serverOptions`. The handler for Bun has all of them, whether given or not. */
export declare const SERVER_OPTIONS: readonly ["perMessageDeflate", "maxPayloadLength", "idleTimeout", "backpressureLimit", "closeOnBackpressureLimit", "sendPings", "publishToSelf"];
/** `serverOptions` with all keys; the transport decides what undefined means. */
export type ServerOptions = Required<{
    [K in keyof IBunWebSocketConfig]: IBunWebSocketConfig[K] | undefined;
}>;
type Given<A extends AnyRecord, M extends AnyRecord> = IWebSocketServerOptions<A, M>;
export interface Settings<A extends AnyRecord, M extends AnyRecord> {
    readonly path: string;
    readonly defaultRooms: readonly string[];
    readonly serverOptions: ServerOptions;
    readonly authTimeout: number;
    readonly heartbeatInterval: number;
    readonly heartbeatTimeout: number;
    readonly encryptedBatchLimit: number;
    readonly requireEncryption: boolean;
    /** It may be missing; then authentication fails. */
    readonly authenticateFn: TWebSocketAuthenticateFn<A, M>;
    readonly validateRoomFn: Given<A, M>['validateRoomFn'];
    readonly clientConnectedFn: Given<A, M>['clientConnectedFn'];
    readonly clientDisconnectedFn: Given<A, M>['clientDisconnectedFn'];
    readonly messageHandler: Given<A, M>['messageHandler'];
    readonly handshakeFn: Given<A, M>['handshakeFn'];
    readonly outboundTransformer: Given<A, M>['outboundTransformer'];
    readonly maxRoomsPerClient: number;
    readonly maxAuthPayloadLength: number;
    readonly maxUnauthenticatedMessages: number;
    readonly maxPendingTransforms: number;
}
export declare function settingsOf<A extends AnyRecord, M extends AnyRecord>(opts: Given<A, M>): Settings<A, M>;
export {};
