import type { Buffer } from '../ambient.cjs';

/** A server of a Redis Cluster, or a Sentinel. */
export interface RedisNode {
  /** A name or an IP address. */
  readonly host: string;
  /** The port it listens on. @default 6379, and 26379 for a Sentinel */
  readonly port?: number | undefined;
}

/** How a Redis is encrypted. */
export interface RedisTlsOptions {
  /**
   * PEM of the authorities that the server's certificate is checked against. @default those that
   * the system trusts
   */
  readonly ca?: string | Uint8Array | undefined;
  /** PEM of our certificate; together with `key`. */
  readonly cert?: string | Uint8Array | undefined;
  /** PEM. */
  readonly key?: string | Uint8Array | undefined;
  /** Whether the server's certificate must be good. @default true */
  readonly rejectUnauthorized?: boolean | undefined;
}

/**
 * A Redis: one of `url`, `host`, `nodes` and `sentinels`, and who we are there. Redis 6 at least; a
 * Cluster needs Redis 7, whose sharded channels it uses.
 */
export interface RedisOptions {
  /** `redis://[user:password@]host[:port][/db]`, or `rediss://` with encryption. */
  readonly url?: string | undefined;
  /** A name or an IP address. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** The port it listens on. @default 6379 */
  readonly port?: number | undefined;
  /**
   * Some nodes of a Redis Cluster; they name the others. One of them must be there whenever an
   * instance connects, so give several.
   */
  readonly nodes?: readonly RedisNode[] | undefined;
  /** Sentinels that watch the master called `name`. */
  readonly sentinels?: readonly RedisNode[] | undefined;
  /** The master that the Sentinels watch. */
  readonly name?: string | undefined;
  /** The user of Redis's ACL. Default: Redis's own, `default`. */
  readonly username?: string | undefined;
  /** The user's password. Default: none. */
  readonly password?: string | undefined;
  /** The number of the database. It does not separate channels; `prefix` does. @default 0 */
  readonly db?: number | undefined;
  /** How long connecting may take, in ms, 1 to 2^31-1. @default 2000 */
  readonly connectTimeout?: number | undefined;
  /** Whether the connection is encrypted, and how. @default false */
  readonly tls?: boolean | RedisTlsOptions | undefined;
}

/**
 * What the bus reports. A loss is never hidden.
 *
 * `ready`: connected, and every channel with subscribers here is listened to. `lost`: the
 * connection is gone, or leads to a replica; attempts to reconnect go on until one succeeds, and
 * local subscribers are served all the while. `lost` is reported once for each reason, eight times
 * at most, until the bus is ready: `reason` says what keeps the bus from coming back, such as a
 * wrong password or certificate. `warning`: the bus works, but messages may not get where they
 * should; `reason` says why. `gap`: messages are missing. With `channel`, they are messages that
 * other instances sent to it and that did not arrive here. Without `channel`, they are messages of
 * this instance that did not leave, since too many waited, the bus was lost, or Redis refused them.
 * Messages that were under way when the bus was lost count too, though some may have arrived; so do
 * those that a Redis took when it may already have been a replica. `gaps`: messages of other
 * instances to more than 100 channels are missing at once; `count` is the number of channels,
 * `missed` that of messages. `channels` names at most 10,000 (1 MiB of names); if `count` is
 * greater, treat every channel as affected.
 *
 * While the thread is busy, gaps in one channel are added up, so that the events waiting for it are
 * bounded.
 */
export type BusEvent =
  | { readonly state: 'ready' }
  | { readonly state: 'lost'; readonly reason: string }
  | { readonly state: 'warning'; readonly reason: string }
  | { readonly state: 'gap'; readonly channel?: string | Buffer; readonly missed: number }
  | {
      readonly state: 'gaps';
      readonly count: number;
      readonly missed: number;
      readonly channels: Iterable<string | Buffer>;
    };

/** How instances meet. The process has one bus. */
export interface ClusterOptions {
  /** A `redis://` or `rediss://` URL, or options. */
  readonly redis: string | RedisOptions;
  /**
   * What names on the bus begin with; instances with another prefix do not hear each other. 1 to
   * 256 bytes. @default 'wsbroker'
   */
  readonly prefix?: string | undefined;
  /**
   * What this instance is called where instances are listed. 1 to 256 bytes. @default a random one
   */
  readonly instanceId?: string | undefined;
  /**
   * Whether `start` waits for Redis, and rejects (ERR_WSBROKER_BUS_LOST) if it is not there within
   * 10 s. @default false
   */
  readonly required?: boolean | undefined;
  /**
   * Bytes that may wait to be published, 1 to 2^31-1; anything beyond is dropped, and reported as a
   * gap. @default 8 MiB
   */
  readonly maxOutgoing?: number | undefined;
  /** Called for every change, gap and warning, on the thread that joined. */
  readonly onBus?: ((event: BusEvent) => void) | undefined;
}

/** Subscribers of a channel on all instances. */
export interface ClusterCount {
  /** On this instance and on those that have answered. */
  readonly count: number;
  /** Instances that have not answered in time, by their {@link ClusterOptions.instanceId}. */
  readonly missing: readonly string[];
}
