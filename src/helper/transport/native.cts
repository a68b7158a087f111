import { WSBrokerError } from '../../errors.cjs';
import type { Transport, TransportOptions } from './transport.cjs';

// Sockets of the broker. Native code is loaded by `join` only, never by importing this or constructing a transport.

/** The transport of a helper with `bind`. It opens nothing, and checks nothing before `join`. */
export function nativeTransport(_options: TransportOptions): Transport {
  return {
    native: true,
    instance: undefined,
    join: () => Promise.reject(new WSBrokerError('ERR_WSBROKER_UNSUPPORTED', 'the native transport is not there yet')),
    open: () => Promise.resolve(),
    leave: () => Promise.resolve(),
    stopAccepting: () => undefined,
    finish: () => Promise.resolve(),
    publish: () => undefined,
    address: () => undefined,
  };
}
