// Publishing through a Redis client of the application.

import { randomBytes } from 'node:crypto';
import { WSBrokerError } from './errors.cjs';
import type { EmitterReceipt } from './types/emitter-receipt.cjs';
import type { RedisClientLike } from './types/redis-client-like.cjs';

export function isClient(value: unknown): value is RedisClientLike {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { publish?: unknown }).publish === 'function'
  );
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

export type Publisher = (
  channel: Buffer,
  data: string | Buffer,
  id: string | undefined,
) => Promise<EmitterReceipt>;

/**
 * Numbers and envelopes as the addon makes them (crates/wsbroker-redis/src/bus/bus_envelope.rs),
 * for a Redis client of the application.
 */
export function publisherFor(
  client: RedisClientLike,
  prefix: string,
  timeout: number,
): (channel: Buffer, data: string | Buffer) => Promise<void> {
  const ask = boundedClient(client, timeout);
  const instance = randomBytes(8);
  const sequences = new Map<string, { readonly epoch: number; next: number }>();
  let epochs = 0;
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
    await ask(Buffer.byteLength(data) + channel.length, () =>
      client.isCluster === true && client.spublish !== undefined
        ? client.spublish(name, envelope)
        : client.publish(name, envelope),
    );
  };
}

/** Asks the client, which may keep so many bytes for us, and has so long to answer. */
export function boundedClient(
  client: RedisClientLike,
  timeout: number,
): <T>(bytes: number, send: () => Promise<T>) => Promise<T> {
  // Bytes that the client has not settled: it also keeps messages that were given up.
  let pending = 0;
  return async (bytes, send) => {
    const size = bytes + OVERHEAD;
    if (pending > 0 && pending + size > MAX_PENDING) {
      throw lost(`too much is waiting for Redis: ${pending} of at most ${MAX_PENDING} bytes`);
    }
    if (timeout === 0 && client.status !== undefined && client.status !== 'ready') {
      throw lost(`the client is not connected (${client.status}), and "timeout" is 0`);
    }
    pending += size;
    // What is thrown at once is a rejection, too.
    const sent = (async () => send())().finally(() => (pending -= size));
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
      return await Promise.race([sent, late]);
    } catch (error) {
      throw lost((error as Error).message, error);
    } finally {
      clearTimeout(timer);
    }
  };
}

export function lost(why: string, cause?: unknown): WSBrokerError {
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
