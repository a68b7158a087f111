import type { AsyncDisposes } from '../ambient.cjs';
import type { RedisOptions } from './cluster-options.cjs';
import type { Data } from './messages.cjs';
import type { TlsOptions } from './start-options.cjs';

/**
 * A listening server: what {@link start} resolves to. `await using server = await start(…)` ends
 * with {@link Server.close}.
 */
export interface Server extends AsyncDisposes {
  /** The address it is bound to: an IP address, or the path of a Unix socket. */
  readonly address: string;
  /** The port it is bound to; 0 for a Unix socket. */
  readonly port: number;
  /**
   * Its URL for a client on this machine, such as `ws://127.0.0.1:8080`; `wss` with TLS,
   * `ws+unix:/path` for a Unix socket.
   */
  readonly url: string;
  /**
   * Stops listening here and closes this server's connections with 1001. Plain requests in hand
   * come to their end, or are cut after `requestTimeout`. Resolves when all are gone. Workers and
   * other servers stay.
   */
  close(): Promise<void>;
  /**
   * Lets the process exit while this server listens, if nothing else keeps it alive; its
   * connections end with it. Has no effect on a `Worker` of your own that has handlers: they keep
   * it alive. Returns the server.
   */
  unref(): this;
  /** Undoes {@link Server.unref}. Returns the server. */
  ref(): this;
  /**
   * Replaces certificates and keys for the whole address. Without `tls` the files are read again;
   * with it, `tls` replaces what `start` was given. Later handshakes use the new ones; no
   * connection is dropped. If they cannot be used, it rejects with `ERR_WSBROKER_TLS` and the old
   * ones stay.
   */
  reloadTls(tls?: TlsOptions): Promise<void>;
  /**
   * Replaces the settings of the bus's Redis for the whole process: a new password, another
   * certificate authority, other servers. They are first tried on a connection of their own. If
   * that fails, it rejects with `ERR_WSBROKER_BUS_LOST` and the reason, and everything stays as it
   * was. Existing connections stay, unless the settings name other servers. A lost bus tries the
   * new settings at once.
   *
   * @param redis as the option `cluster.redis` of {@link start}
   */
  reloadBus(redis: string | RedisOptions): Promise<void>;
}

/** Options of {@link shutdown}. */
export interface ShutdownOptions {
  /**
   * The close code that clients get: 1000 to 1003, 1007 to 1014, or 3000 to 4999. @default 1001
   */
  readonly code?: number | undefined;
  /**
   * Milliseconds after which the shutdown is over, whatever still hangs, 0 to 2^31-1. Connections
   * and handlers have most of this time to end by themselves. In the last part (two eighths, at
   * least 200 ms, at most 1.5 s) the remaining connections are cut, `handleClose` is called for
   * each of them if there is a worker to run it, `handleStop` is called, and the threads end. A
   * shutdown with less than 200 may still take up to 200 ms.
   * @default 8000, less than the 10 s that Docker waits
   */
  readonly timeout?: number | undefined;
}

/** What {@link shutdown} resolves to. */
export interface ShutdownReport {
  /** Connections that completed the close handshake. */
  readonly closed: number;
  /** Connections that had to be cut. */
  readonly terminated: number;
}

/** Options of {@link drain}. Times are in milliseconds from the call, integers from 0 to 2^31-1. */
export interface DrainOptions {
  /**
   * Over how long connections are closed, beginning at `delay`, at an even rate. 0: all at once.
   * @default 10_000
   */
  readonly over?: number | undefined;
  /**
   * How far a close may be from its place in the even row, as a fraction of the interval between
   * two closes, 0 to 1. @default 0.1
   */
  readonly jitter?: number | undefined;
  /**
   * How long connections are still accepted, so that a load balancer has time to see that readiness
   * is gone. @default 0
   */
  readonly delay?: number | undefined;
  /**
   * When connections that are still open are cut, also if `delay` and `over` are not over by then.
   * @default delay + over + 5_000
   */
  readonly deadline?: number | undefined;
  /**
   * The close code that clients get: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
   * @default 1012, service restart
   */
  readonly code?: number | undefined;
  /**
   * How long clients are asked to wait before they come back, in milliseconds, 0 to 2^31-1. The
   * reason of the close frame is `retry-after=` and this in whole seconds, rounded up; the 503 that
   * upgrades and requests get from `delay` on has it as `Retry-After`. It is the same for all, so
   * that they come back as evenly as they were closed. @default 1_000
   */
  readonly retryAfter?: number | undefined;
  /**
   * What every connection is sent before the first one is closed, a string as a text message, bytes
   * as a binary one. Clients of the server helper do not get it. @default nothing
   */
  readonly notice?: Data | undefined;
  /**
   * Is called on this thread when connections begin to be closed, then whenever the numbers have
   * changed, at most 20 times a second, and at the end, before the promise resolves. What it throws
   * is written to stderr. @default nobody is told
   */
  readonly onProgress?: ((progress: DrainProgress) => void) | undefined;
}

/** What {@link DrainOptions.onProgress} is told. */
export interface DrainProgress {
  /** Connections that are still open. */
  readonly open: number;
  /** Connections that have ended since `delay` was over. */
  readonly closed: number;
  /** Of all, those that had to be cut. */
  readonly cut: number;
}

/** What {@link drain} resolves to. It counts from the end of `delay` on. */
export interface DrainReport {
  /** Connections that ended in time, whether we closed them or they went by themselves. */
  readonly closed: number;
  /** Connections that had to be cut: open at the deadline, or without an answer to the close. */
  readonly cut: number;
}
