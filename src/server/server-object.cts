import { fromNative, WSBrokerError } from '../errors.cjs';
import type { NativeRedis } from '../native.cjs';
import { native } from '../native/load.cjs';
import { checkRedisOptions } from '../options/redis.cjs';
import { type CheckedTlsOptions, checkTlsOptions, readTls } from '../options/tls.cjs';
import { reportError } from '../report.cjs';
import type { Server } from '../types/server.cjs';
import type { InnerServer } from './http-server.cjs';
import { keepingAlive, servers, updateKeepAlive } from './keep-alive.cjs';

/** What a server object is made of. */
export interface ServerParts {
  /** The addon's number of its listener. */
  readonly listener: number;
  readonly location: { readonly address: string; readonly port: number; readonly url: string };
  /** The application's HTTP server behind it. */
  readonly inner: InnerServer | undefined;
  readonly tls: CheckedTlsOptions | undefined;
  /** The application's: aborting it closes the server. */
  readonly signal: AbortSignal | undefined;
  /** Called when the bus uses other settings. */
  readonly busReloaded: (redis: NativeRedis) => void;
}

/** The object that `start` resolves to. From now on the server counts as listening. */
export function createServer({ listener, location, signal, ...parts }: ServerParts): Server {
  let { tls } = parts;
  let closing: Promise<void> | undefined;
  let reloaded: Promise<unknown> = Promise.resolve();
  const closeInner = (): Promise<void> => parts.inner?.close() ?? Promise.resolve();
  const close = async (): Promise<void> => {
    if (!servers.has(listener)) return;
    forgetSignal();
    await native.closeListener(listener);
    await closeInner();
    servers.delete(listener);
  };
  const reload = async (given: CheckedTlsOptions | undefined): Promise<void> => {
    if (tls === undefined) {
      throw new WSBrokerError(
        'ERR_WSBROKER_TLS',
        'reloadTls: the server was started without "tls"',
      );
    }
    const next = given ?? tls;
    const pem = await readTls('reloadTls', next);
    if (closing !== undefined || !servers.has(listener)) {
      throw new WSBrokerError('ERR_WSBROKER_TLS', 'reloadTls: the server is closed');
    }
    try {
      native.reloadTls(listener, pem);
    } catch (error) {
      throw fromNative(error);
    }
    tls = next;
  };
  const setKeepsAlive = (keepsAlive: boolean): Server => {
    const listening = servers.get(listener);
    if (listening !== undefined) listening.keepsAlive = keepsAlive;
    updateKeepAlive();
    return self;
  };
  const self: Server = {
    ...location,
    close: () => (closing ??= keepingAlive(close)),
    ref: () => setKeepsAlive(true),
    unref: () => setKeepsAlive(false),
    // Node before 18.18 does not have this symbol.
    ...((Symbol.asyncDispose as symbol | undefined) !== undefined && {
      [Symbol.asyncDispose]: () => self.close(),
    }),
    async reloadTls(options) {
      const given = options === undefined ? undefined : checkTlsOptions('reloadTls', options);
      // One after the other, so that the certificate of the last call is the one that stays.
      const result = reloaded.then(() => reload(given));
      reloaded = result.catch(() => undefined);
      return result;
    },
    async reloadBus(redis) {
      const next = checkRedisOptions('reloadBus', 'redis', redis);
      try {
        await native.reloadCluster(next);
      } catch (error) {
        throw fromNative(error);
      }
      parts.busReloaded(next);
    },
  } as Server;
  const onAbort = (): void =>
    void self
      .close()
      .catch((error: unknown) =>
        reportError('the server did not close after its signal was aborted', error),
      );
  const forgetSignal = (): void => signal?.removeEventListener('abort', onAbort);
  signal?.addEventListener('abort', onAbort);
  servers.set(listener, { keepsAlive: true, forgetSignal, closeInner });
  return self;
}
