/**
 * Gateways of Nest on wsbroker.
 *
 * @packageDocumentation
 */
export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export { NestAdapter, type NestAdapterOptions, type NestGatewayOptions } from './nest/adapter.cjs';
export { NestClient, type NestMessage, NestServer, type NestTarget } from './nest/client.cjs';
export { gatewayChannel, roomChannel } from './nest/rooms.cjs';
