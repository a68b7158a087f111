import type { IBunServer, IWebSocketLogger } from '../types.cjs';
import type { Transport } from './transport.cjs';

/**
 * Sockets of `Bun.serve`, which the application starts and stops. Each helper is an instance of its
 * own.
 */
export function bunTransport(server: IBunServer | undefined, log: IWebSocketLogger): Transport {
  return {
    native: false,
    instance: undefined,
    join: () => Promise.resolve(),
    open: () => Promise.resolve(),
    leave: () => Promise.resolve(),
    stopAccepting: () => undefined,
    finish: () => Promise.resolve(),
    publish(topic, frame) {
      try {
        server?.publish(topic, frame);
      } catch (error) {
        log.error('publish failed', error);
      }
    },
    address: () => undefined,
    dropped: () => 0,
  };
}
