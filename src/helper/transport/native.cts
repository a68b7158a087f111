import { WSBrokerError } from '../../errors.cjs';
import type { NativeSeat } from './native-seat.cjs';
import type { Transport, TransportOptions } from './transport.cjs';

// Sockets of the broker. Only `join` loads native code: importing this module or constructing a
// transport does not.

/** The transport of a helper with `bind`. Before `join` it opens and checks nothing. */
export function nativeTransport(options: TransportOptions): Transport {
  let seat: NativeSeat | undefined;
  /** Of seats that were left. */
  let dropped = 0;
  const leave = async (): Promise<void> => {
    const left = seat;
    dropped += left?.instance.dropped(false) ?? 0;
    seat = undefined;
    await left?.leave();
  };
  return {
    native: true,
    get instance() {
      return seat?.instance;
    },
    // The place is taken before the first await: there is none.
    async join(host) {
      const there = require('./native-seat.cjs') as typeof import('./native-seat.cjs');
      seat = new there.NativeSeat(options, host);
    },
    async open() {
      if (seat === undefined)
        throw new WSBrokerError(
          'ERR_WSBROKER_SHUT_DOWN',
          'WebSocketServerHelper: it has been shut down',
        );
      await seat.open();
    },
    leave,
    stopAccepting: () => seat?.stopAccepting(),
    async finish() {
      await seat?.flush();
      await leave();
    },
    // Everything goes through the instance; without one there are no subscribers.
    publish: () => undefined,
    address: () => seat?.address(),
    dropped: (again) => dropped + (seat?.instance.dropped(again) ?? 0),
  };
}
