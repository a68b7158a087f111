import { WSBrokerTypeError } from '../errors.cjs';
import { checkSince } from '../options/history.cjs';
import { integer, knownKeys, MAX_DURATION, MAX_SIZE, optional, typeName, wrongType } from '../options/checks.cjs';
import type { Since } from '../types/history.cjs';
import { HANDLER_NAMES } from '../worker/handler-names.cjs';
import type { ChannelGrant, ChannelsOptions } from './types.cjs';

export const CALL = 'serveChannels';
const OWN_HANDLERS = ['authorize', 'handleRequest', 'handlePublish'] as const;
const DEFAULT_TIMEOUT = 10_000;
const DEFAULT_SOCKET_RATE = 8 << 20;
const DEFAULT_ADDRESS_RATE = 256 << 20;

export interface CheckedChannels {
  readonly handlers: ChannelsOptions;
  readonly timeout: number;
  readonly socketRate: number;
  readonly addressRate: number;
}

/** @throws what {@link serveChannels} says */
export function checkChannelsOptions(options: ChannelsOptions): CheckedChannels {
  const functions = [...OWN_HANDLERS, ...HANDLER_NAMES];
  const bag = knownKeys(CALL, 'options', options, [...functions, 'timeout', 'replayRate']);
  if (bag['authorize'] === undefined) throw wrongType(CALL, 'authorize', 'a function', undefined);
  for (const name of functions) optional(CALL, name, bag[name], 'function');
  const rates =
    bag['replayRate'] === undefined
      ? {}
      : knownKeys(CALL, 'replayRate', bag['replayRate'], ['socket', 'address']);
  const rate = (name: string): number | undefined =>
    integer(CALL, `replayRate.${name}`, rates[name], 1, MAX_SIZE);
  return {
    handlers: options,
    timeout: integer(CALL, 'timeout', bag['timeout'], 1, MAX_DURATION) ?? DEFAULT_TIMEOUT,
    socketRate: rate('socket') ?? DEFAULT_SOCKET_RATE,
    addressRate: rate('address') ?? DEFAULT_ADDRESS_RATE,
  };
}

/** What `authorize` has granted. */
export interface CheckedGrant {
  readonly since: Exclude<Since, 'latest'> | undefined;
  readonly maxReplay: number;
  readonly sender: string | undefined;
}

const EVERYTHING: CheckedGrant = {
  since: undefined,
  maxReplay: Number.MAX_SAFE_INTEGER,
  sender: undefined,
};

/**
 * @returns `undefined`: it may not
 * @throws {TypeError | RangeError | WSBrokerError} it is something else, which must not count as
 * permission
 */
export function checkGrant(value: unknown): CheckedGrant | undefined {
  if (value === false) return undefined;
  if (value === true) return EVERYTHING;
  const call = 'authorize';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new WSBrokerTypeError(
      `${call}: the result must be true, false, or an object with "since", "maxReplay" and ` +
        `"sender", got ${typeName(value)}. The client was refused`,
    );
  }
  const bag = knownKeys(call, 'result', value, ['since', 'maxReplay', 'sender']);
  const { since } = bag as ChannelGrant;
  if (since !== undefined && since !== 'now') {
    // The newest message is not a place that one may see from on.
    if (typeof since === 'string') throw wrongType(call, 'since', "a position or 'now'", since);
    checkSince(call, since);
  }
  return {
    since,
    maxReplay:
      integer(call, 'maxReplay', bag['maxReplay'], 0, MAX_SIZE) ?? Number.MAX_SAFE_INTEGER,
    sender: optional(call, 'sender', bag['sender'], 'string'),
  };
}
