import type { Transport, TransportOptions } from './transport.cjs';
/** The transport of a helper with `bind`. Before `join` it opens and checks nothing. */
export declare function nativeTransport(options: TransportOptions): Transport;
