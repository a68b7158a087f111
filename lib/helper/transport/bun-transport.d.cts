import type { IBunServer, IWebSocketLogger } from '../types.cjs';
import type { Transport } from './transport.cjs';
/**
 * Sockets of `Bun.serve`, which the application starts and stops. Each helper is an instance of its
 * own.
 */
export declare function bunTransport(server: IBunServer | undefined, log: IWebSocketLogger): Transport;
