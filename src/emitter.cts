import { isClient, type Publisher, publisherFor } from './emitter-client.cjs';
import { numberingFor } from './emitter-numbering.cjs';
import { fromNative, WSBrokerError } from './errors.cjs';
import type { NativeEmitter } from './native.cjs';
import { busEventReporter } from './native/join-cluster.cjs';
import { native } from './native/load.cjs';
import { duration, knownKeys, optional, wrongType, wrongValue } from './options/checks.cjs';
import { checkClusterOptions } from './options/cluster.cjs';
import { checkHistory } from './options/history.cjs';
import { storedOrThrow } from './server/bus-receipt.cjs';
import type { BusEvent, RedisOptions } from './types/cluster-options.cjs';
import type { EmitterReceipt } from './types/emitter-receipt.cjs';
import type { HistoryOptions } from './types/history.cjs';
import type { Data } from './types/messages.cjs';
import type { RedisClientLike } from './types/redis-client-like.cjs';

export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export type {
  BusEvent,
  RedisNode,
  RedisOptions,
  RedisTlsOptions,
} from './types/cluster-options.cjs';
export type { EmitterReceipt } from './types/emitter-receipt.cjs';
export type { HistoryOptions } from './types/history.cjs';
export type { Data } from './types/messages.cjs';
export type { RedisClientLike } from './types/redis-client-like.cjs';

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
   * The option `history` of the instances. Redis then numbers and keeps what is published to these
   * channels, as if an instance had published it; without it such messages have no number, are
   * not delivered there, and are counted as `unnumbered`. @default no channel has a history
   */
  history?: readonly HistoryOptions[];
  /**
   * Called for every change of the connection, and for warnings. Not called with a client of the
   * application.
   */
  onBus?: (event: BusEvent) => void;
}

/** Options of a publish of an emitter. */
export interface EmitterPublishOptions {
  /**
   * On a channel with `history`: makes the publish repeatable. Within 5 minutes a message with the
   * same id is not published again. 1 to 128 bytes. @default none
   */
  readonly id?: string | undefined;
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
  readonly #publish: Publisher;
  readonly #hasHistory: (channel: Buffer) => boolean;
  readonly #close: () => void;
  readonly #waiting = new Set<Promise<unknown>>();
  #closed = false;

  /**
   * Connects in the background, and reconnects whenever the connection is lost.
   *
   * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
   */
  constructor(options: EmitterOptions) {
    const bag = knownKeys('Emitter', 'options', options, KNOWN_OPTIONS);
    const timeout = duration('Emitter', 'timeout', bag['timeout'], 0) ?? 5_000;
    const history = checkHistory('Emitter', bag['history']) ?? [];
    const client = bag['redis'];
    if (isClient(client)) {
      const request = checkClusterOptions(
        'Emitter',
        'options',
        { ...bag, redis: 'redis://127.0.0.1' },
        KNOWN_OPTIONS,
      );
      const { prefix } = request.native;
      const plain = publisherFor(client, prefix, timeout);
      const numbering = history.length === 0 ? undefined : numberingFor(client, prefix, history, timeout);
      this.#hasHistory = (channel) => numbering?.hasHistory(channel) ?? false;
      this.#publish = (channel, data, id) =>
        numbering?.hasHistory(channel)
          ? numbering.publish(channel, data, id)
          : plain(channel, data).then(() => ({}));
      this.#close = () => undefined;
      return;
    }
    const request = checkClusterOptions('Emitter', 'options', bag, KNOWN_OPTIONS);
    let emitter: NativeEmitter;
    try {
      emitter = new native.NativeEmitter(request.native, history, busEventReporter(request.onBus));
    } catch (error) {
      throw fromNative(error);
    }
    this.#hasHistory = (channel) => emitter.hasHistory(channel);
    this.#publish = async (channel, data, id) => {
      const receipt = await emitter.publish(channel, data, id, timeout);
      return receipt === null ? {} : storedOrThrow(receipt);
    };
    this.#close = () => emitter.close();
  }

  /**
   * Publishes to every subscriber of the channel. Messages to one channel arrive in the order of
   * the calls. A message that is rejected uses up a number: receivers see a gap when a later one
   * arrives.
   *
   * On a channel with `history` nothing is missed: instances that do not hear the message find it
   * in Redis.
   *
   * @param channel as in `sendToChannel`
   * @param data a string is sent as a text message, bytes as a binary message
   * @returns a promise that resolves when Redis has the message; the number of subscribers is not
   * known
   * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
   * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: `id` is empty or longer than 128 bytes, or
   * the channel has no history
   * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis cannot be reached, was lost before it
   * answered, or refused the message; no instance was heard again in time; or more than 8 MiB are
   * waiting for Redis. On a channel with `history`, `stored` is `false` or, where Redis may have
   * it, `'unknown'`: publish it again with the same `id`. ERR_WSBROKER_SHUT_DOWN: {@link close} was
   * called
   */
  async publish(channel: Data, data: Data, options?: EmitterPublishOptions): Promise<EmitterReceipt> {
    if (this.#closed) {
      throw new WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'publish: the emitter is closed');
    }
    const to = Buffer.from(bytes('channel', channel));
    const id = checkId(options);
    if (id !== undefined && !this.#hasHistory(to)) {
      const expected = 'a publish to a channel with "history", which the emitter has to be given, too';
      throw wrongValue('publish', 'id', expected, to.toString());
    }
    const task = this.#publish(to, typeof data === 'string' ? data : bytes('data', data), id);
    const settled = task.catch(() => undefined);
    this.#waiting.add(settled);
    // A pending promise of the addon does not keep the process alive.
    const alive = setInterval(() => undefined, 2 ** 30);
    try {
      return await task;
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

/** Bytes. */
const MAX_ID = 128;
const KNOWN_OPTIONS = ['redis', 'prefix', 'timeout', 'history', 'onBus'];

function bytes(name: string, value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  throw wrongType('publish', name, 'a string, ArrayBuffer or Uint8Array', value);
}

function checkId(options: EmitterPublishOptions | undefined): string | undefined {
  if (options === undefined) return undefined;
  const bag = knownKeys('publish', 'options', options, ['id']);
  const id = optional('publish', 'id', bag['id'], 'string') as string | undefined;
  if (id !== undefined && (id === '' || Buffer.byteLength(id) > MAX_ID)) {
    throw wrongValue('publish', 'id', `1 to ${MAX_ID} bytes`, id);
  }
  return id;
}
