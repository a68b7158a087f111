import { randomBytes } from 'node:crypto';
import type { Buffer as Bytes } from './ambient.cjs';
import { fromNative, WSBrokerError } from './errors.cjs';
import type { NativeEmitter } from './native.cjs';
import { busEventReporter } from './native/join-cluster.cjs';
import { native } from './native/load.cjs';
import { duration, knownKeys, wrongType } from './options/checks.cjs';
import { checkClusterOptions } from './options/cluster.cjs';
import type { BusEvent, RedisOptions } from './types/cluster-options.cjs';
import type { Data } from './types/messages.cjs';

export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export type {
  BusEvent,
  RedisNode,
  RedisOptions,
  RedisTlsOptions,
} from './types/cluster-options.cjs';
export type { Data } from './types/messages.cjs';

/**
 * What the emitter needs of a Redis client of the application. Clients of the package ioredis have
 * all of this.
 */
export interface RedisClientLike {
  publish(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
  /** For a Redis Cluster, which needs Redis 7. */
  spublish?(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
  readonly isCluster?: boolean;
  /** `ready` if it is connected. */
  readonly status?: string;
}

/** @see {@link Emitter} */
export interface EmitterOptions {
  /**
   * The Redis of the instances: a `redis://` or `rediss://` URL, options, or a client of the
   * application, which the emitter does not close.
   */
  redis: string | RedisOptions | RedisClientLike;
  /** The `prefix` of the instances, 1 to 256 bytes. @default 'wsbroker' */
  prefix?: string;
  /**
   * How long a publish may wait for a connection and, after a loss, until the instances are heard
   * again, in milliseconds, 0 to 2^31-1. With a client of the application: how long it may wait for
   * Redis to answer; a message that was given up may still arrive, because the client keeps it.
   * @default 5000
   */
  timeout?: number;
  /**
   * Called for every change of the connection, and for warnings. Not called with a client of the
   * application.
   */
  onBus?: (event: BusEvent) => void;
}

/**
 * Publishes to channels from a process without sockets of its own, such as a cron job or an API.
 * Subscribers on all instances get the messages as from `sendToChannel`.
 *
 * @example
 * ```js
 * import { Emitter } from 'wsbroker/emitter';
 *
 * const emitter = new Emitter({ redis: 'redis://127.0.0.1' });
 * await emitter.publish('news', 'The shop is open');
 * await emitter.close();
 * ```
 */
export class Emitter {
  readonly #publish: (channel: Buffer, data: string | Buffer) => Promise<void>;
  readonly #close: () => void;
  readonly #waiting = new Set<Promise<void>>();
  #closed = false;

  /**
   * Connects in the background, and reconnects whenever the connection is lost.
   *
   * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
   */
  constructor(options: EmitterOptions) {
    const bag = knownKeys('Emitter', 'options', options, KNOWN_OPTIONS);
    const timeout = duration('Emitter', 'timeout', bag['timeout'], 0) ?? 5_000;
    const client = bag['redis'];
    if (isClient(client)) {
      const request = checkClusterOptions(
        'Emitter',
        'options',
        { ...bag, redis: 'redis://127.0.0.1' },
        KNOWN_OPTIONS,
      );
      this.#publish = publisherFor(client, request.native.prefix, timeout);
      this.#close = () => undefined;
      return;
    }
    const request = checkClusterOptions('Emitter', 'options', bag, KNOWN_OPTIONS);
    let emitter: NativeEmitter;
    try {
      emitter = new native.NativeEmitter(request.native, busEventReporter(request.onBus));
    } catch (error) {
      throw fromNative(error);
    }
    this.#publish = (channel, data) => emitter.publish(channel, data, timeout);
    this.#close = () => emitter.close();
  }

  /**
   * Publishes to every subscriber of the channel. Messages to one channel arrive in the order of
   * the calls. A message that is rejected uses up a number: receivers see a gap when a later one
   * arrives.
   *
   * @param channel as in `sendToChannel`
   * @param data a string is sent as a text message, bytes as a binary message
   * @returns a promise that resolves when Redis has the message; the number of subscribers is not
   * known
   * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
   * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis cannot be reached, was lost before it
   * answered, or refused the message; no instance was heard again in time; or more than 8 MiB are
   * waiting for Redis. ERR_WSBROKER_SHUT_DOWN: {@link close} was called
   */
  async publish(channel: Data, data: Data): Promise<void> {
    if (this.#closed) {
      throw new WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'publish: the emitter is closed');
    }
    const to = bytes('channel', channel);
    const task = this.#publish(
      Buffer.from(to),
      typeof data === 'string' ? data : bytes('data', data),
    );
    const settled = task.catch(() => undefined);
    this.#waiting.add(settled);
    // A pending promise of the addon does not keep the process alive.
    const alive = setInterval(() => undefined, 2 ** 30);
    try {
      await task;
    } catch (error) {
      throw error instanceof WSBrokerError ? error : fromNative(error);
    } finally {
      clearInterval(alive);
      this.#waiting.delete(settled);
    }
  }

  /**
   * Waits for publishes that are under way, each within its timeout, and ends the connection.
   * Afterwards nothing keeps the process alive.
   */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#waiting);
    this.#close();
  }
}

const KNOWN_OPTIONS = ['redis', 'prefix', 'timeout', 'onBus'];

function isClient(value: unknown): value is RedisClientLike {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { publish?: unknown }).publish === 'function'
  );
}

function bytes(name: string, value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  throw wrongType('publish', name, 'a string, ArrayBuffer or Uint8Array', value);
}

/**
 * How many channels have their numbers remembered. Any other starts a new epoch, which receivers do
 * not take for a gap.
 */
const MAX_CHANNELS = 10_000;

/**
 * How many bytes a client of the application may keep for us; each message counts this many more.
 */
const MAX_PENDING = 2 ** 23;
const OVERHEAD = 256;
/**
 * How many milliseconds an answer may take if `timeout` is 0, which allows no time for connecting.
 */
const ANSWER_TIMEOUT = 2_500;

/**
 * Numbers and envelopes as the addon makes them (crates/wsbroker-redis/src/bus/bus_envelope.rs),
 * for a Redis client of the application.
 */
function publisherFor(
  client: RedisClientLike,
  prefix: string,
  timeout: number,
): (channel: Buffer, data: string | Buffer) => Promise<void> {
  const instance = randomBytes(8);
  const sequences = new Map<string, { readonly epoch: number; next: number }>();
  let epochs = 0;
  // Bytes that the client has not settled: it also keeps messages that were given up.
  let pending = 0;
  const mark = prefix.includes(':')
    ? Buffer.from([0x18, ...varint(Buffer.byteLength(prefix))])
    : Buffer.alloc(0);
  return async (channel, data) => {
    const key = channel.toString('latin1');
    const sequence = sequences.get(key) ?? { epoch: ++epochs, next: 1 };
    // The channel that was used last comes last.
    sequences.delete(key);
    sequences.set(key, sequence);
    if (sequences.size > MAX_CHANNELS) sequences.delete(sequences.keys().next().value as string);
    // Also for a message that is not sent, so that receivers notice a gap.
    const number = sequence.next++;
    const size = Buffer.byteLength(data) + channel.length + OVERHEAD;
    if (pending > 0 && pending + size > MAX_PENDING) {
      throw lost(`too much is waiting for Redis: ${pending} of at most ${MAX_PENDING} bytes`);
    }
    if (timeout === 0 && client.status !== undefined && client.status !== 'ready') {
      throw lost(`the client is not connected (${client.status}), and "timeout" is 0`);
    }
    const payload = Buffer.from(data as string);
    const kind = typeof data === 'string' ? 0 : 1;
    const envelope = Buffer.concat([
      mark,
      Buffer.from([0x10]),
      instance,
      varint(sequence.epoch),
      varint(number),
      varint(payload.length * 8 + kind),
      payload,
    ]);
    const name = Buffer.concat([Buffer.from(`${prefix}:`), channel]);
    const send = async (): Promise<void> =>
      void (await (client.isCluster === true && client.spublish !== undefined
        ? client.spublish(name, envelope)
        : client.publish(name, envelope)));
    pending += size;
    const sent = send().finally(() => (pending -= size));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const limit = timeout === 0 ? ANSWER_TIMEOUT : timeout;
      timer = setTimeout(
        () =>
          reject(
            new Error(`Redis did not answer within ${limit} ms; the message may still arrive`),
          ),
        limit,
      );
    });
    try {
      await Promise.race([sent, late]);
    } catch (error) {
      throw lost((error as Error).message, error);
    } finally {
      clearTimeout(timer);
    }
  };
}

function lost(why: string, cause?: unknown): WSBrokerError {
  return new WSBrokerError(
    'ERR_WSBROKER_BUS_LOST',
    `publish: ${why}`,
    cause === undefined ? undefined : { cause },
  );
}

function varint(number: number): Buffer {
  const bytes: number[] = [];
  for (; number >= 0x80; number = Math.floor(number / 0x80)) bytes.push((number % 0x80) + 0x80);
  return Buffer.from([...bytes, number]);
}
