import { WSBrokerError } from '../../errors.cjs';
import type { NativeRegistration } from './native-registration.cjs';
import type { Transport, TransportOptions } from './transport.cjs';

// Sockets of the broker. Only `join` loads native code: importing this module or constructing a
// transport does not.

/** The transport of a helper with `bind`. Before `join` it opens and checks nothing. */
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
      const there =
        require('./native-registration.cjs') as typeof import('./native-registration.cjs');
      registration = new there.NativeRegistration(options, host);
    },
    async open() {
      if (registration === undefined) {
        throw new WSBrokerError(
          'ERR_WSBROKER_SHUT_DOWN',
          'WebSocketServerHelper: it has been shut down',
        );
      }
      await registration.open();
    },
    leave,
    stopAccepting: () => registration?.stopAccepting(),
    async finish() {
      await registration?.flush();
      await leave();
    },
    // Everything goes through the instance; without one there are no subscribers.
    publish: () => undefined,
    address: () => registration?.address(),
    dropped: (again) => dropped + (registration?.instance.dropped(again) ?? 0),
  };
}
