import type { Buffer } from '../ambient.cjs';

/** A server of a Redis Cluster, or a Sentinel. */
export interface RedisNode {
  /** A host name or an IP address. */
  readonly host: string;
  /** The port it listens on, 1 to 65535. @default 6379, and 26379 for a Sentinel */
  readonly port?: number | undefined;
}

/** How the connection to Redis is encrypted. */
export interface RedisTlsOptions {
  /**
   * The certificate authorities that may have issued the server's certificate, in PEM.
   * @default those that the system trusts
   */
  readonly ca?: string | Uint8Array | undefined;
  /** Our certificate, in PEM. Requires `key`. @default no certificate */
  readonly cert?: string | Uint8Array | undefined;
  /** The certificate's private key, in PEM. Requires `cert`. @default no key */
  readonly key?: string | Uint8Array | undefined;
  /** Whether the server's certificate must be valid. @default true */
  readonly rejectUnauthorized?: boolean | undefined;
}

/**
 * Where Redis is, and how to log in. Set exactly one of `url`, `host`, `nodes` and `sentinels`.
 * Redis 6 is required; for a Redis Cluster, Redis 7, because its sharded channels are used.
 */
export interface RedisOptions {
  /** `redis://[user:password@]host[:port][/db]`, or `rediss://` for encryption. */
  readonly url?: string | undefined;
  /** A host name or an IP address. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** The port it listens on, 1 to 65535. @default 6379 */
  readonly port?: number | undefined;
  /**
   * Some nodes of a Redis Cluster; they name the others. One of them must be reachable whenever an
   * instance connects, so name several.
   */
  readonly nodes?: readonly RedisNode[] | undefined;
  /** Sentinels that watch the primary called `name`. */
  readonly sentinels?: readonly RedisNode[] | undefined;
  /** The primary that the Sentinels watch. Required with `sentinels`. */
  readonly name?: string | undefined;
  /** The user of Redis's ACL. @default Redis's own, `default` */
  readonly username?: string | undefined;
  /** The user's password. @default no password */
  readonly password?: string | undefined;
  /**
   * The number of the database, 0 to 65536; in a Redis Cluster, 0. It does not separate channels:
   * `prefix` does. @default 0
   */
  readonly db?: number | undefined;
  /** How long connecting may take, in milliseconds, 1 to 2^31-1. @default 2000 */
  readonly connectTimeout?: number | undefined;
  /** Whether and how the connection is encrypted. @default false */
  readonly tls?: boolean | RedisTlsOptions | undefined;
}

/**
 * What the bus reports.
 *
 * `ready`: connected, and every channel with subscribers here is listened to.
 *
 * `lost`: the connection is gone, or leads to a replica. Attempts to reconnect go on until one
 * succeeds, and local subscribers are served all the while. `lost` is reported once for each
 * reason, at most eight times, until the bus is ready. `reason` says what keeps the bus from coming
 * back, such as a wrong password or certificate.
 *
 * `warning`: the bus works, but messages may not get where they should. `reason` says why.
 *
 * `gap`: messages are missing. With `channel`, they are messages that other instances sent to it
 * and that did not arrive here. Without `channel`, they are messages of this instance that were not
 * sent, because too many were waiting, the bus was lost, or Redis refused them. Messages that were
 * in flight when the bus was lost count, too, although some may have arrived; so do those that
 * Redis accepted when it may already have been a replica.
 *
 * `gaps`: messages that other instances sent to more than 100 channels are missing at once. `count`
 * is the number of channels, `missed` that of messages. `channels` names at most 10,000 (1 MiB of
 * names); if `count` is greater, treat every channel as affected.
 *
 * While the thread is busy, gaps in one channel are added up, so that the number of waiting events
 * stays bounded.
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

/** How instances find each other. The process has one bus. */
export interface ClusterOptions {
  /** A `redis://` or `rediss://` URL, or options. */
  readonly redis: string | RedisOptions;
  /**
   * The beginning of all names on the bus, 1 to 256 bytes. Instances with different prefixes do not
   * hear each other. @default 'wsbroker'
   */
  readonly prefix?: string | undefined;
  /** This instance's name in lists of instances, 1 to 256 bytes. @default a random name */
  readonly instanceId?: string | undefined;
  /**
   * Whether `start` waits for Redis, and rejects with `ERR_WSBROKER_BUS_LOST` if it is not ready
   * within 10 s. If it is lost later, `ready` in `answers` says so with 503 and the reason `bus`,
   * until it is back; sockets stay open. @default false
   */
  readonly required?: boolean | undefined;
  /**
   * How many bytes may wait to be published, 1 to 2^31-1. Anything beyond is dropped and reported
   * as a gap. @default 8 MiB
   */
  readonly maxOutgoing?: number | undefined;
  /**
   * Called for every change, gap and warning, on the thread that joined.
   * @default a loss, its end and warnings are written to stderr, gaps are not
   */
  readonly onBus?: ((event: BusEvent) => void) | undefined;
}

/** How many subscribers a channel has on all instances. */
export interface ClusterCount {
  /** Subscribers on this instance and on those that have answered. */
  readonly count: number;
  /** Instances that did not answer in time, by their {@link ClusterOptions.instanceId}. */
  readonly missing: readonly string[];
}
