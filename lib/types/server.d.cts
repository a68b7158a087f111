import type { AsyncDisposes } from '../ambient.cjs';
import type { RedisOptions } from './cluster-options.cjs';
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
