import type { NativeCluster } from '../native.cjs';
import type { BusEvent } from '../types/cluster-options.cjs';
import { integer, knownKeys, MAX_SIZE, optional, wrongValue } from './checks.cjs';
import { checkRedisOptions, text } from './redis.cjs';

// How to join other instances: options of `joinCluster`, `start` and the emitter. Checking them
// loads no native code.

/** The options, checked. */
export interface CheckedClusterOptions {
  readonly native: NativeCluster;
  readonly required: boolean;
  readonly onBus: ((event: BusEvent) => void) | undefined;
}

function expected(name: string): string {
  return name === 'options' ? 'an object' : "an object such as { redis: 'redis://127.0.0.1:6379' }";
}

const CLUSTER_OPTIONS = ['redis', 'prefix', 'instanceId', 'required', 'maxOutgoing', 'onBus'];

/**
 * @throws {TypeError | WSBrokerError} an option is wrong; the message says which, what was expected
 * and what was given, but never shows a password
 */
export function checkClusterOptions(
  call: string,
  name: string,
  value: unknown,
  known = CLUSTER_OPTIONS,
): CheckedClusterOptions {
  const bag = knownKeys(call, name, value, known, {}, expected(name));
  const within = (option: string): string => (name === 'options' ? option : `${name}.${option}`);
  const prefix = text(call, within('prefix'), bag['prefix']) ?? 'wsbroker';
  if (prefix === '' || Buffer.byteLength(prefix) > 256) {
    throw wrongValue(call, within('prefix'), '1 to 256 bytes', prefix);
  }
  const instanceId = text(call, within('instanceId'), bag['instanceId']);
  if (instanceId !== undefined && (instanceId === '' || Buffer.byteLength(instanceId) > 256)) {
    throw wrongValue(call, within('instanceId'), '1 to 256 bytes', instanceId);
  }
  return {
    native: {
      redis: checkRedisOptions(call, within('redis'), bag['redis']),
      prefix,
      ...(instanceId !== undefined && { instanceId }),
      maxOutgoing: integer(call, within('maxOutgoing'), bag['maxOutgoing'], 1, MAX_SIZE, 'bytes') ?? 2 ** 23,
    },
    required: optional(call, within('required'), bag['required'], 'boolean') ?? false,
    onBus: optional(
      call,
      within('onBus'),
      bag['onBus'],
      'function',
    ) as CheckedClusterOptions['onBus'],
  };
}
