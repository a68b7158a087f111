import { WSBrokerError } from '../../errors.cjs';
import type { NativeRegistration } from './native-registration.cjs';
import type { Transport, TransportOptions } from './transport.cjs';

// Sockets of the broker. Native code is loaded by `join` only, never by importing this or
// constructing a transport.

/** The transport of a helper with `bind`. It opens nothing, and checks nothing before `join`. */
export function nativeTransport(options: TransportOptions): Transport {
  let registration: NativeRegistration | undefined;
  /** Of registrations that have ended. */
  let dropped = 0;
  const leave = async (): Promise<void> => {
    const left = registration;
    dropped += left?.instance.dropped(false) ?? 0;
    registration = undefined;
    await left?.leave();
  };
  return {
    native: true,
    get instance() {
      return registration?.instance;
    },
    // The place is taken before the first await: there is none.
    async join(host) {
      const there = require('./native-registration.cjs') as typeof import('./native-registration.cjs');
      registration = new there.NativeRegistration(options, host);
    },
    async open() {
      if (registration === undefined)
        throw new WSBrokerError(
          'ERR_WSBROKER_SHUT_DOWN',
          'WebSocketServerHelper: it has been shut down',
        );
      await registration.open();
    },
    leave,
    stopAccepting: () => registration?.stopAccepting(),
    async finish() {
      await registration?.flush();
      await leave();
    },
    // All goes through the instance; without one there is nobody to publish to.
    publish: () => undefined,
    address: () => registration?.address(),
    dropped: (again) => dropped + (registration?.instance.dropped(again) ?? 0),
  };
}
