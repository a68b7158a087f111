import { Redis } from 'ioredis';

/** The helper and the emitter duplicate it; itself it never connects. */
export const redisConnection = (url) => new Redis(url, { lazyConnect: true });
