import type { Transport, TransportOptions } from './transport.cjs';
/** The transport of a helper with `bind`. It opens nothing, and checks nothing before `join`. */
export declare function nativeTransport(options: TransportOptions): Transport;
