import type { Buffer as Bytes } from '../ambient.cjs';

/**
 * What the emitter needs of a Redis client of the application. Clients of the package ioredis have
 * all of this.
 */
export interface RedisClientLike {
  publish(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
  /** For a Redis Cluster, which needs Redis 7. */
  spublish?(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
  /** For channels with history. */
  evalsha?(sha: string, keys: number, ...rest: (string | Bytes)[]): Promise<unknown>;
  eval?(script: string, keys: number, ...rest: (string | Bytes)[]): Promise<unknown>;
  readonly isCluster?: boolean;
  /** `ready` if it is connected. */
  readonly status?: string;
}
