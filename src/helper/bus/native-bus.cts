import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers';
import { fromNative, WSBrokerError, WSBrokerRangeError } from '../../errors.cjs';
import type { Native, NativeRedis, NativeRelay, NativeRelayEvent } from '../../native.cjs';
import { checkRedisOptions, REDIS_TLS_OPTIONS_NAMED } from '../../options/redis.cjs';
import { RateLimitedLine } from '../log.cjs';
import { LIMITS } from '../protocol.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IRedisConnectionOptions } from '../types.cjs';
import type { Bus, BusCounts, BusHost, BusRole } from './bus.cjs';

// A bus with connections of the broker. Only `connect` loads native code: importing this module or
// constructing a bus does not.

/** From this number of messages on, those that are known to have arrived are forgotten. */
const FORGET_FROM = 64;

/**
 * A bus for a URL or for options. It does not connect yet.
 *
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
 */
export function createNativeBus(
  call: string,
  redis: string | IRedisConnectionOptions,
  role: BusRole,
): Bus {
  const native = checkRedisOptions(call, 'redisConnection', redis, REDIS_TLS_OPTIONS_NAMED);
  if (native.url !== undefined) checkUrl(call, native.url);
  return new NativeBus(native, role);
}

/** The URL is not shown: it may contain a password. */
function checkUrl(call: string, url: string): void {
  try {
    const { hostname, pathname, username, password } = new URL(url);
    decodeURIComponent(username);
    decodeURIComponent(password);
    if (hostname !== '' && /^\/?\d*\/?$/.test(pathname)) return;
  } catch {
    // As below.
  }
  throw new WSBrokerRangeError(
    `${call}: "redisConnection" must be a URL such as redis://user:password@host:6379/0, ` +
      'with a port up to 65535 and a number as its path',
  );
}

/** The `connect` that waits for the connections. */
interface PendingConnect {
  resolve(): void;
  reject(error: unknown): void;
}

class NativeBus implements Bus {
  readonly form: string;
  readonly instanceWide = true;
  readonly #redis: NativeRedis;
  readonly #role: BusRole;
  #relay: NativeRelay | undefined;
  #serverId: string | undefined;
  #host: BusHost | undefined;
  #instance: Instance | undefined;
  #pendingConnect: PendingConnect | undefined;
  #up = { publisher: false, subscriber: false };
  /** The callbacks of messages by number, until it is known that a message did not fail. */
  readonly #unsettled = new Map<number, (error: unknown) => void>();
  #invalid = 0;
  #dropped = 0;
  readonly #invalidLine = new RateLimitedLine((count) =>
    this.#host?.logger.warn(
      `${count} message(s) from Redis ignored; the last: ${this.#invalidReason}`,
    ),
  );
  readonly #droppedLine = new RateLimitedLine((count) =>
    this.#host?.logger.error(`${count} message(s) from Redis dropped: too many were waiting`),
  );
  #invalidReason = '';
  #closed = false;

  constructor(redis: NativeRedis, role: BusRole) {
    this.#redis = redis;
    this.#role = role;
    // All options are hashed: any of them may contain a password.
    this.form = `native ${createHash('sha256').update(JSON.stringify(redis)).digest('hex')}`;
  }

  get publisherReady(): boolean {
    return this.#up.publisher;
  }

  get subscriberReady(): boolean {
    return this.#up.subscriber;
  }

  async connect(host: BusHost, instance: Instance | undefined): Promise<void> {
    if (this.#closed) throw closed();
    this.#host = host;
    this.#instance = instance;
    // An earlier attempt may have made a relay, but for an instance that has been left since.
    if (this.#relay !== undefined && this.#serverId !== host.serverId) this.#drop();
    this.#relay ??= this.#begin(host, instance);
    if (!this.#ready) await this.#untilReady();
  }

  /** Native connections are subscribed when they are ready. */
  subscribe(): Promise<void> {
    return Promise.resolve();
  }

  publish(channel: string, text: string, failed: (error: unknown) => void): void {
    if (this.#closed) return failed(closed());
    const number = this.#relay?.publish(channel, text) ?? 0;
    if (number <= 0) {
      return failed(
        number === -2
          ? closed()
          : lost(number === -1 ? 'too much is waiting to be sent to Redis' : undefined),
      );
    }
    this.#unsettled.set(number, failed);
    if (this.#unsettled.size >= FORGET_FROM) this.#forgetSettled();
  }

  async request(channel: string, text: string): Promise<void> {
    if (this.#closed) throw closed();
    const relay = this.#relay;
    if (relay === undefined) throw lost();
    try {
      await keepingAlive(relay.request(channel, text));
    } catch (error) {
      throw fromNative(error);
    }
  }

  counts(): BusCounts {
    return { invalid: this.#invalid, dropped: this.#dropped };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pendingConnect?.reject(closed());
    const relay = this.#relay;
    this.#up = { publisher: false, subscriber: false };
    this.#invalidLine.flush();
    this.#droppedLine.flush();
    if (relay === undefined) return;
    try {
      await keepingAlive(relay.close(LIMITS.redisQuit));
    } catch (error) {
      this.#host?.logger.warn('the connections to Redis did not end', error);
    }
  }

  /** The addon reports the state of an instance's input itself. */
  get #ready(): boolean {
    return (
      this.#up.publisher &&
      (this.#role === 'emitter' || (this.#up.subscriber && this.#instance?.inputState !== 'lost'))
    );
  }

  #begin(host: BusHost, instance: Instance | undefined): NativeRelay {
    const { native } = require('../../native/load.cjs') as { native: Native };
    this.#serverId = host.serverId;
    let relay: NativeRelay | undefined;
    const wake = (): void => {
      if (relay !== undefined && relay === this.#relay) this.#drain(relay);
    };
    try {
      return (relay = new native.NativeRelay(
        {
          redis: this.#redis,
          listens: this.#role === 'server',
          ...(instance?.helper !== undefined && { helper: instance.helper }),
          ...(host.serverId !== undefined && { serverId: host.serverId }),
        },
        wake,
      ));
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** The timer keeps the process alive meanwhile. */
  async #untilReady(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#pendingConnect = { resolve, reject };
        timer = setTimeout(() => {
          reject(
            lost(
              `Redis client did not become ready within ${LIMITS.redisReady}ms (status: ` +
                'connecting)',
            ),
          );
        }, LIMITS.redisReady);
      });
    } catch (error) {
      this.#drop();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#pendingConnect = undefined;
    }
  }

  /** Closes a relay that did not connect, or whose instance no longer exists. */
  #drop(): void {
    const relay = this.#relay;
    this.#relay = undefined;
    this.#up = { publisher: false, subscriber: false };
    this.#unsettled.clear();
    relay?.close(0).catch(() => undefined);
  }

  /** One portion at a time, so that timers and sockets get their turn. */
  #drain(relay: NativeRelay): void {
    if (this.#closed || relay !== this.#relay) return;
    const items = relay.take();
    if (items.length === 0) return;
    for (const item of items) {
      if (this.#closed || relay !== this.#relay) return;
      if (typeof item === 'string') this.#host?.received(item);
      else this.#take(item);
    }
    setImmediate(() => this.#drain(relay));
  }

  #take(event: NativeRelayEvent): void {
    const { kind, reason = 'for an unknown reason', count } = event;
    switch (kind) {
      case 'connected':
        this.#up = { publisher: true, subscriber: this.#role === 'server' };
        this.#changed();
        break;
      case 'failed':
        this.#pendingConnect?.reject(lost(`Redis: ${reason}`));
        break;
      case 'lost':
      case 'ready':
        this.#up = { ...this.#up, [event.listener ? 'subscriber' : 'publisher']: kind === 'ready' };
        if (kind === 'lost') {
          this.#host?.logger.error(
            `Redis ${event.listener ? 'subscriber' : 'publisher'}: ${reason}`,
          );
        }
        this.#changed();
        break;
      case 'warning':
        this.#host?.logger.warn(`Redis: ${reason}`);
        break;
      case 'invalid':
        this.#invalid += count;
        this.#invalidReason = reason;
        this.#invalidLine.add(count);
        break;
      case 'dropped':
        this.#dropped += count;
        this.#droppedLine.add(count);
        break;
      case 'unpublished': {
        const failed = this.#unsettled.get(count);
        this.#unsettled.delete(count);
        failed?.(new WSBrokerError('ERR_WSBROKER_REDIS', reason));
        break;
      }
      default:
        kind satisfies never;
    }
  }

  #changed(): void {
    this.#host?.changed();
    this.#settle();
  }

  /** The instance learns the state of its input separately, perhaps one turn later. */
  #settle(): void {
    if (this.#pendingConnect === undefined || this.#closed) return;
    if (this.#ready) this.#pendingConnect.resolve();
    else if (this.#up.publisher && this.#up.subscriber) setImmediate(() => this.#settle());
  }

  #forgetSettled(): void {
    const settled = this.#relay?.settled() ?? 0;
    for (const number of this.#unsettled.keys()) {
      if (number > settled) break;
      this.#unsettled.delete(number);
    }
  }
}

function lost(why = 'the connection to Redis is lost; the message was not sent'): WSBrokerError {
  return new WSBrokerError('ERR_WSBROKER_BUS_LOST', why);
}

function closed(): WSBrokerError {
  return new WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'the connection to Redis has been closed');
}

/** A pending promise of the addon does not keep the process alive. */
async function keepingAlive(promise: Promise<void>): Promise<void> {
  const alive = setInterval(() => undefined, 2 ** 30);
  try {
    await promise;
  } finally {
    clearInterval(alive);
  }
}
