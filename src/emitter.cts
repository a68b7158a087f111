import { randomBytes } from 'node:crypto';
import { clusterRequest, teller } from './cluster.cjs';
import { integer, MAX_DURATION, optionBag, wrongType } from './checks.cjs';
import { fromNative, WSBrokerError } from './errors.cjs';
import { native } from './load.cjs';
import type { Buffer as Bytes } from './ambient.cjs';
import type { NativeEmitter } from './native.cjs';
import type { BusEvent, Data, RedisOptions } from './types.cjs';

export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export type { BusEvent, Data, RedisNode, RedisOptions, RedisTlsOptions } from './types.cjs';

/** What the emitter needs of a client of the application's own; that of the package ioredis has it. */
export interface RedisClientLike {
  publish(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
  /** Of a Cluster with Redis 7. */
  spublish?(channel: string | Bytes, message: string | Bytes): Promise<unknown>;
  readonly isCluster?: boolean;
}

/** @see {@link Emitter} */
export interface EmitterOptions {
  /** Where the instances meet: a `redis://` or `rediss://` URL, options, or a client of the application's own, which stays the application's. */
  redis: string | RedisOptions | RedisClientLike;
  /** As the instances have it. @default 'wsbroker' */
  prefix?: string;
  /** How long a publish waits, in ms, for a connection that is not there yet. @default 5000 */
  timeout?: number;
  /** Told of every change of the connection. Not with a client of the application's own. */
  onBus?: (event: BusEvent) => void;
}

/**
 * Publishes to channels from a process that serves no sockets: a cron job, an API. Subscribers on all instances get it as from `sendToChannel`.
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
   * Connects in the background, and again without end.
   *
   * @throws {TypeError | WSBrokerError} naming the option that is wrong
   */
  constructor(options: EmitterOptions) {
    const bag = optionBag('Emitter', 'options', options, KNOWN);
    const timeout = integer('Emitter', 'timeout', bag['timeout'], 0, MAX_DURATION) ?? 5_000;
    const client = bag['redis'];
    if (isClient(client)) {
      const request = clusterRequest('Emitter', 'options', { ...bag, redis: 'redis://127.0.0.1' }, KNOWN);
      this.#publish = foreign(client, request.native.prefix);
      this.#close = () => undefined;
      return;
    }
    const request = clusterRequest('Emitter', 'options', bag, KNOWN);
    let emitter: NativeEmitter;
    try {
      emitter = new native.NativeEmitter(request.native, teller(request.onBus));
    } catch (error) {
      throw fromNative(error);
    }
    this.#publish = (channel, data) => emitter.publish(channel, data, timeout);
    this.#close = () => emitter.close();
  }

  /**
   * Publishes to every subscriber of the channel. Messages to one channel arrive in the order of the calls.
   *
   * @param channel as in `sendToChannel`
   * @param data a string is sent as a text message, bytes as a binary one
   * @returns a promise that resolves when Redis has the message; how many subscribers there are is not known
   * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
   * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis is not there, was lost before it answered, or refused the message. ERR_WSBROKER_SHUT_DOWN: after {@link close}
   */
  async publish(channel: Data, data: Data): Promise<void> {
    if (this.#closed) throw new WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'publish: this emitter is closed');
    const to = bytes('channel', channel);
    const task = this.#publish(Buffer.from(to), typeof data === 'string' ? data : bytes('data', data));
    const settled = task.catch(() => undefined);
    this.#waiting.add(settled);
    // A waiting promise of the addon does not keep the process alive.
    const alive = setInterval(() => undefined, 2 ** 30);
    try {
      await task;
    } catch (error) {
      throw fromNative(error);
    } finally {
      clearInterval(alive);
      this.#waiting.delete(settled);
    }
  }

  /** Waits for what is being published, and ends the connection. Afterwards nothing keeps the process alive. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#waiting);
    this.#close();
  }
}

const KNOWN = ['redis', 'prefix', 'timeout', 'onBus'];

function isClient(value: unknown): value is RedisClientLike {
  return typeof value === 'object' && value !== null && typeof (value as { publish?: unknown }).publish === 'function';
}

function bytes(name: string, value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw wrongType('publish', name, 'a string, ArrayBuffer or Uint8Array', value);
}

/** Channels whose numbers are remembered; of another the receivers see a new epoch, which is no gap. */
const MOST_CHANNELS = 10_000;

/** Numbers and envelopes as the addon makes them (crates/wsbroker-core/src/cluster/envelope.rs), for a client that is not ours. */
function foreign(client: RedisClientLike, prefix: string): (channel: Buffer, data: string | Buffer) => Promise<void> {
  const instance = randomBytes(8);
  const lines = new Map<string, { readonly epoch: number; next: number }>();
  let epochs = 0;
  const mark = prefix.includes(':') ? Buffer.from([0x18, ...varint(Buffer.byteLength(prefix))]) : Buffer.alloc(0);
  return async (channel, data) => {
    const key = channel.toString('latin1');
    const line = lines.get(key) ?? { epoch: ++epochs, next: 1 };
    // The one that was used last stands last.
    lines.delete(key);
    lines.set(key, line);
    if (lines.size > MOST_CHANNELS) lines.delete(lines.keys().next().value as string);
    const payload = Buffer.from(data as string);
    const kind = typeof data === 'string' ? 0 : 1;
    const envelope = Buffer.concat([mark, Buffer.from([0x10]), instance, varint(line.epoch), varint(line.next++), varint(payload.length * 8 + kind), payload]);
    const name = Buffer.concat([Buffer.from(`${prefix}:`), channel]);
    try {
      await (client.isCluster === true && client.spublish !== undefined ? client.spublish(name, envelope) : client.publish(name, envelope));
    } catch (error) {
      throw new WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${(error as Error).message}`, { cause: error });
    }
  };
}

function varint(number: number): Buffer {
  const bytes: number[] = [];
  for (; number >= 0x80; number = Math.floor(number / 0x80)) bytes.push((number % 0x80) + 0x80);
  return Buffer.from([...bytes, number]);
}
