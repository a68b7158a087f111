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
     * For a client on this machine, such as `ws://127.0.0.1:8080`; `ws+unix:/path` for a Unix socket.
     * With TLS, `wss`.
     */
    readonly url: string;
    /**
     * Stops listening here and closes this server's connections with 1001. Resolves when they are
     * gone. Workers and other servers stay.
     */
    close(): Promise<void>;
    /**
     * Lets the process end while this server listens, if nothing else keeps it alive; its connections
     * end with it. Works on the main thread only: a `Worker` that has handlers is kept alive by them.
     * Returns the server.
     */
    unref(): this;
    /** Undoes {@link Server.unref}. Returns the server. */
    ref(): this;
    /**
     * Replaces certificates and keys, for the whole address. Without `tls` the files are read again;
     * with it, `tls` replaces what `start` was given. Later handshakes use the new ones; no
     * connection is dropped. If they are not usable, it rejects with `ERR_WSBROKER_TLS`, and the old
     * ones stay.
     */
    reloadTls(tls?: TlsOptions): Promise<void>;
    /**
     * Replaces the settings of the bus's Redis for the whole process: a new password, another
     * certificate authority, other servers. They are tried first, on a connection of their own: if
     * that fails, it rejects with `ERR_WSBROKER_BUS_LOST` and the reason, and everything stays as it
     * was. Existing connections stay, unless the settings name other servers. A lost bus tries the
     * new settings at once.
     *
     * @param redis as the option `cluster.redis` of {@link start}
     */
    reloadBus(redis: string | RedisOptions): Promise<void>;
}
/** What {@link shutdown} takes. */
export interface ShutdownOptions {
    /**
     * The close code that connections are sent: 1000 to 1014 as far as RFC 6455 lets it be sent, or
     * 3000 to 4999. Default 1001.
     */
    readonly code?: number | undefined;
    /**
     * Milliseconds after which the shutdown is over, whatever hangs, 0 to 2^31-1. Connections and
     * handlers have most of this time to end by themselves. In the last part (two eighths, at least
     * 200 ms, at most 1.5 s) the connections that are left are cut, each gets its `handleClose` if
     * there is a worker to run it, `handleStop` is called, and the threads end. With less than 200 it
     * takes up to 200 ms. Default 8,000: less than the 10 s that Docker waits.
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
