/**
 * Authentication, users, rooms, a heartbeat, encryption and delivery between instances, on native
 * sockets or on those of Bun.
 *
 * @packageDocumentation
 */

export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export { WebSocketEmitter } from './helper/websocket-emitter.cjs';
export {
  WebSocketChannels,
  WebSocketClientStates,
  WebSocketDefaults,
  WebSocketEvents,
  WebSocketMessageTypes,
} from './helper/protocol.cjs';
export { WebSocketServerHelper } from './helper/websocket-server-helper.cjs';
export type {
  DefaultRedisHelper,
  IBunServer,
  IBunWebSocketConfig,
  IBunWebSocketHandler,
  IRedisClientLike,
  IRedisConnectionOptions,
  IRedisSocketMessage,
  IWebSocket,
  IWebSocketClient,
  IWebSocketData,
  IWebSocketEmitterOptions,
  IWebSocketLogger,
  IWebSocketMessage,
  IWebSocketServerOptions,
  IWebSocketServerStats,
  TNativeOptions,
  TNullable,
  TRedisConnection,
  TWebSocketAuthenticateFn,
  TWebSocketBusState,
  TWebSocketClientConnectedFn,
  TWebSocketClientDisconnectedFn,
  TWebSocketClientState,
  TWebSocketEvent,
  TWebSocketHandshakeFn,
  TWebSocketMessageHandler,
  TWebSocketMessageType,
  TWebSocketOutboundTransformer,
  TWebSocketValidateRoomFn,
  ValueOrPromise,
} from './helper/types.cjs';
