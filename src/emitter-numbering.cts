// Publishing to channels with history through a Redis client of the application.

import { boundedClient, type Publisher } from './emitter-client.cjs';
import { NotStored, type ScriptClient, ScriptRunner } from './emitter-script.cjs';
import { WSBrokerError } from './errors.cjs';
import type { NativeHistoryRule } from './native.cjs';
import { native } from './native/load.cjs';
import { wrongType, wrongValue } from './options/checks.cjs';
import type { Position } from './types/history.cjs';
import type { RedisClientLike } from './types/redis-client-like.cjs';

/** Channels whose heads are remembered. More, and the oldest is forgotten. */
const MAX_HEADS = 10_000;

export interface Numbering {
  hasHistory(channel: Buffer): boolean;
  publish: Publisher;
}

/** The script of the instances, run by the client. */
export function numberingFor(
  client: RedisClientLike,
  prefix: string,
  history: NativeHistoryRule[],
  timeout: number,
): Numbering {
  if (typeof client.evalsha !== 'function' || typeof client.eval !== 'function') {
    throw wrongType('Emitter', 'redis', 'with "history", a client that has evalsha and eval, as ioredis has', client);
  }
  const keyPrefix = (client as { options?: { keyPrefix?: unknown } }).options?.keyPrefix;
  if (typeof keyPrefix === 'string' && keyPrefix !== '') {
    throw wrongValue('Emitter', 'redis', 'with "history", a client without a keyPrefix, which would lead to other keys', keyPrefix);
  }
  const script = new native.NativePublishingScript(prefix, history);
  const runner = new ScriptRunner(client as ScriptClient, script.text);
  const ask = boundedClient(client, timeout);
  const heads = new Map<string, Position>();

  const publish: Publisher = async (channel, data, id) => {
    const name = channel.toString('latin1');
    // Now: the bytes are the caller's again when this returns.
    const call = script.publish(channel, data, id, heads.get(name), client.isCluster === true);
    if (call === null) return {};
    const size = Buffer.byteLength(data) + channel.length;
    const send = (): Promise<unknown> =>
      runner.run(name, call.keys.length, [...call.keys, ...call.arguments]);
    const texts = await ask(size, send).catch((error: unknown) => {
      throw failure(error);
    });
    const [epoch, offset, duplicate] = (Array.isArray(texts) ? texts : []).map(String);
    if (epoch === undefined || offset === undefined) {
      throw failure(new Error('Redis gave an answer that the script does not give'));
    }
    const position = { offset: Number(offset), epoch };
    if (duplicate === '1') return { ...position, duplicate: true };
    heads.delete(name);
    heads.set(name, position);
    if (heads.size > MAX_HEADS) heads.delete(heads.keys().next().value as string);
    return position;
  };

  return { hasHistory: (channel) => script.hasHistory(channel), publish };
}

/** An error of Redis itself: it has stored nothing. Anything else may have happened later. */
function failure(error: unknown): WSBrokerError {
  const { cause } = error as { cause?: { name?: unknown } };
  const isRefused =
    cause === undefined
      ? error instanceof WSBrokerError
      : cause instanceof NotStored || cause.name === 'ReplyError';
  const known =
    error instanceof WSBrokerError
      ? error
      : new WSBrokerError('ERR_WSBROKER_BUS_LOST', `publish: ${(error as Error).message}`);
  return Object.assign(known, { stored: isRefused ? (false as const) : ('unknown' as const) });
}
