// The server helper: what its types promise, and what they must refuse.
import { Cluster, Redis } from 'ioredis';
import { WebSocketEmitter, WebSocketEvents, WebSocketServerHelper, WSBrokerError } from 'wsbroker/server-helper';
import { WSBrokerError as MainError, type StartOptions } from 'wsbroker';
import type {
  DefaultRedisHelper, IBunServer, IBunWebSocketConfig, IBunWebSocketHandler, IRedisClientLike, IRedisConnectionOptions, IRedisSocketMessage, IWebSocket, IWebSocketClient, IWebSocketData,
  IWebSocketEmitterOptions, IWebSocketLogger, IWebSocketMessage, IWebSocketServerOptions, IWebSocketServerStats, TNativeOptions, TNullable, TRedisConnection, TWebSocketAuthenticateFn,
  TWebSocketBusState, TWebSocketClientConnectedFn, TWebSocketClientDisconnectedFn, TWebSocketClientState, TWebSocketEvent, TWebSocketHandshakeFn, TWebSocketMessageHandler,
  TWebSocketMessageType, TWebSocketOutboundTransformer, TWebSocketValidateRoomFn, ValueOrPromise,
} from 'wsbroker/server-helper';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

same<typeof WSBrokerError, typeof MainError>(true);
same<ValueOrPromise<1>, 1 | Promise<1>>(true);
same<TNullable<1>, 1 | undefined | null>(true);
same<TWebSocketEvent, 'authenticate' | 'connected' | 'disconnect' | 'join' | 'leave' | 'error' | 'heartbeat' | 'encrypted'>(true);
same<TWebSocketClientState, 'unauthorized' | 'authenticating' | 'authenticated' | 'disconnected'>(true);
same<TWebSocketMessageType, 'client' | 'user' | 'room' | 'broadcast'>(true);
same<TWebSocketBusState, 'ready' | 'lost'>(true);
same<IWebSocketMessage, { event: string; data?: unknown; id?: string }>(true);
same<IRedisSocketMessage<1>, { serverId: string; type: TWebSocketMessageType; target?: string; event: string; data: 1; exclude?: string[] }>(true);
same<IWebSocketData<{ a: 1 }>, { clientId: string; userId?: string; metadata?: { a: 1 } }>(true);
same<IWebSocketClient['authTimer'], ReturnType<typeof setTimeout> | undefined>(true);
same<IWebSocketServerStats['busState'], TWebSocketBusState | 'idle'>(true);
same<TNativeOptions['tls'], StartOptions['tls']>(true);
same<Extract<keyof TNativeOptions, 'bind' | 'workerPath' | 'threads' | 'handlers' | 'path' | 'cluster'>, never>(true);
same<ReturnType<TWebSocketValidateRoomFn>, ValueOrPromise<string[]>>(true);
same<Parameters<TWebSocketClientDisconnectedFn>[0], { clientId: string; userId?: string }>(true);
same<Parameters<TWebSocketMessageHandler>[0]['message'], IWebSocketMessage>(true);
same<ReturnType<TWebSocketOutboundTransformer<1>>, ValueOrPromise<TNullable<{ event: string; data: 1 }>>>(true);
same<ReturnType<TWebSocketHandshakeFn>, ValueOrPromise<{ serverPublicKey: string; salt: string } | null | false>>(true);
same<Parameters<TWebSocketClientConnectedFn<{ a: 1 }>>[0], { clientId: string; userId?: string; metadata?: { a: 1 } }>(true);

// ioredis fits as it is.
const single: IRedisClientLike = new Redis();
const cluster: IRedisClientLike = new Cluster([]);
const connections: TRedisConnection[] = [
  single, cluster, new Redis(), new Cluster([]), { getClient: () => new Redis() }, 'redis://host', { url: 'redis://host' } satisfies IRedisConnectionOptions,
  { nodes: [{ host: 'a', port: 1 }], tls: { servername: 'a', rejectUnauthorized: false } }, { getClient: () => single } satisfies DefaultRedisHelper,
];

// So do servers and sockets of Bun, as far as they are named here.
declare const server: { pendingWebSockets: number; publish(topic: string, data: string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer, compress?: boolean): number; stop(): void };
server satisfies IBunServer;

// What Bun's types have come to take besides, and how they name views (1.4).
type BunData = string | NodeJS.TypedArray | DataView | ArrayBuffer | SharedArrayBuffer | Blob;
interface BunSocket<T> {
  data: T; readonly remoteAddress: string; readonly readyState: 0 | 1 | 2 | 3; send(data: BunData, compress?: boolean): number; close(code?: number, reason?: string): void;
  subscribe(topic: string): boolean; unsubscribe(topic: string): boolean; isSubscribed(topic: string): boolean; cork<R = unknown>(callback: (ws: BunSocket<T>) => R): R;
}
interface BunHandler<T> {
  message(ws: BunSocket<T>, message: string | Buffer<ArrayBuffer>): void | Promise<void>; open?(ws: BunSocket<T>): void | Promise<void>;
  drain?(ws: BunSocket<T>): void | Promise<void>; close?(ws: BunSocket<T>, code: number, reason: string): void | Promise<void>;
  idleTimeout?: number; maxPayloadLength?: number; backpressureLimit?: number; closeOnBackpressureLimit?: boolean; sendPings?: boolean; publishToSelf?: boolean;
  perMessageDeflate?: boolean | object;
}
declare const bun: { pendingWebSockets: number; publish(topic: string, data: BunData, compress?: boolean): number; reload(options: { websocket: BunHandler<IWebSocketData> }): void };
declare const bunSocket: BunSocket<IWebSocketData>;
declare const bunHandler: IBunWebSocketHandler;
bun satisfies IBunServer;
bunSocket satisfies IWebSocket<IWebSocketData>;
bunSocket satisfies IWebSocket;
bun.reload({ websocket: bunHandler });

type Login = { token: string };
type Profile = { role: 'admin' | 'guest' };

const authenticateFn: TWebSocketAuthenticateFn<Login, Profile> = async ({ token }) => (token === '' ? null : { userId: 'u', metadata: { role: 'guest' } });
const logger: IWebSocketLogger = { for: () => logger, debug() {}, info() {}, warn() {}, error() {} };
const options: IWebSocketServerOptions<Login, Profile> = {
  identifier: 'app',
  redisConnection: new Redis(),
  server,
  authenticateFn,
  logger,
  serverOptions: { idleTimeout: 30 } satisfies IBunWebSocketConfig,
  clientConnectedFn: ({ metadata }) => void metadata?.role,
  handshakeFn: ({ data: { token } }) => ({ serverPublicKey: token, salt: '' }),
  outboundTransformer: async ({ client, event, data }) => (client.metadata?.role === 'admin' ? null : { event, data }),
  validateRoomFn: ({ rooms }) => rooms,
  messageHandler: async ({ message }) => void message.event,
  maxRoomsPerClient: Infinity,
};
const helper = new WebSocketServerHelper(options);
// What was written can be read back.
const parts = { ...options, redisConnection: { getClient: () => new Redis() }, server: bun } satisfies IWebSocketServerOptions<Login, Profile>;
new WebSocketServerHelper(parts);
parts.redisConnection.getClient().disconnect();
parts.server.publish('topic', 'text') satisfies number;
new WebSocketServerHelper({ identifier: 'native', redisConnection: 'redis://host', bind: '127.0.0.1:0', authenticateFn: () => false, maxConnections: 10, tls: { cert: '', key: '' } });
for (const redisConnection of connections) new WebSocketEmitter({ redisConnection } satisfies IWebSocketEmitterOptions);

same<ReturnType<typeof helper.getClientsByUser>, IWebSocketClient<Profile>[]>(true);
same<ReturnType<typeof helper.getClients>, IWebSocketClient<Profile> | Map<string, IWebSocketClient<Profile>> | undefined>(true);
same<ReturnType<typeof helper.getBunWebSocketHandler>, IBunWebSocketHandler>(true);
same<ReturnType<typeof helper.configure>, Promise<void>>(true);
same<ReturnType<typeof helper.getAddress>, { address: string; port: number; url: string; endpoint: string } | undefined>(true);
same<typeof helper.scope, string>(true);
same<ReturnType<typeof helper.getLogger>, IWebSocketLogger>(true);
helper.send({ destination: 'a', payload: { topic: 't', data: { a: 1 } }, doLog: true, cb: () => undefined });
helper.send<number>({ payload: { topic: 't', data: 1 } });
helper.sendToRoom({ room: 'r', event: 'e', data: 1, exclude: ['a'] });
helper.onClientConnect({ clientId: 'a', socket: {} as IWebSocket });
helper.countRoom({ room: 'r' }).toFixed();
same<Awaited<ReturnType<WebSocketEmitter['toRoom']>>, void>(true);

const event: string = 'join';
if (WebSocketEvents.isValid(event)) same<typeof event, TWebSocketEvent>(true);
same<typeof WebSocketEvents.JOIN, 'join'>(true);
WebSocketEvents.SCHEME_SET satisfies Set<string>;

// @ts-expect-error without a Redis
new WebSocketServerHelper({ identifier: 'a', server, authenticateFn });
// @ts-expect-error without authenticateFn
new WebSocketServerHelper({ identifier: 'a', redisConnection: '', server });
// @ts-expect-error an option of start that the helper decides itself
new WebSocketServerHelper({ identifier: 'a', redisConnection: '', authenticateFn, threads: 4 });
// @ts-expect-error data are needed
helper.sendToClient({ clientId: 'a', event: 'e' });
// @ts-expect-error a user has no exclude
helper.sendToUser({ userId: 'a', event: 'e', data: 1, exclude: [] });
// @ts-expect-error a room is not a list
helper.joinRoom({ clientId: 'a', room: ['r'] });
// @ts-expect-error metadata of another kind
({ userId: 'u', metadata: { role: 'king' } }) satisfies Awaited<ReturnType<typeof authenticateFn>>;
