import { isMainThread } from 'node:worker_threads';
import { also, START_OVER } from './advice.cjs';
import { integer, MAX_SIZE, optionBag, optional, wrongValue } from './checks.cjs';
import { fromNative, WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import type { NativeBusEvent, NativeCluster } from '../native.cjs';
import { redisRequest, text } from './redis.cjs';
import { errorText } from '../report.cjs';
import { inScopeHere } from '../async-scope.cjs';
import type { BusEvent } from '../types/cluster-options.cjs';

// Other instances: what `joinCluster`, `start` and the emitter take, and what the bus has to tell.

/** A place on a bus that is allowed. */
export interface ClusterRequest {
  readonly native: NativeCluster;
  readonly required: boolean;
  readonly onBus: ((event: BusEvent) => void) | undefined;
}

const CLUSTER_OPTIONS = ['redis', 'prefix', 'instanceId', 'required', 'maxOutgoing', 'onBus'];

/**
 * @throws {TypeError | WSBrokerError} naming the option, what was expected and what came; never a
 * password
 */
export function clusterRequest(
  call: string,
  name: string,
  value: unknown,
  known = CLUSTER_OPTIONS,
): ClusterRequest {
  const bag = optionBag(call, name, value, known);
  const within = (option: string): string => (name === 'options' ? option : `${name}.${option}`);
  const prefix = text(call, within('prefix'), bag['prefix']) ?? 'wsbroker';
  if (prefix === '' || Buffer.byteLength(prefix) > 256)
    throw wrongValue(call, within('prefix'), '1 to 256 bytes', prefix);
  const instanceId = text(call, within('instanceId'), bag['instanceId']);
  if (instanceId !== undefined && (instanceId === '' || Buffer.byteLength(instanceId) > 256)) {
    throw wrongValue(call, within('instanceId'), '1 to 256 bytes', instanceId);
  }
  return {
    native: {
      redis: redisRequest(call, within('redis'), bag['redis']),
      prefix,
      ...(instanceId !== undefined && { instanceId }),
      maxOutgoing: integer(call, within('maxOutgoing'), bag['maxOutgoing'], 1, MAX_SIZE) ?? 2 ** 23,
    },
    required: optional(call, within('required'), bag['required'], 'boolean') ?? false,
    onBus: optional(call, within('onBus'), bag['onBus'], 'function') as ClusterRequest['onBus'],
  };
}

/** Why the bus is lost, if it is and somebody has told. */
let lost: string | undefined;

/** Joins, at once or with the first server. */
export function join({ native: options, onBus }: ClusterRequest): void {
  lost = undefined;
  if (!isMainThread) native.endWithThread();
  const tell = teller(onBus);
  try {
    native.joinCluster(options, (events) => {
      for (const event of events)
        if (event.state === 'ready' || event.state === 'lost') lost = event.reason;
      tell(events);
    });
  } catch (error) {
    const ours = fromNative(error);
    throw ours instanceof WSBrokerError && ours.code === 'ERR_WSBROKER_CONFLICT'
      ? also(ours, START_OVER)
      : ours;
  }
}

/** What the addon calls: a throw of the application's must not get into it. */
export function teller(
  onBus: ((event: BusEvent) => void) | undefined,
): (events: NativeBusEvent[]) => void {
  const tell = onBus === undefined ? undefined : inScopeHere(onBus);
  return (events) => {
    if (tell === undefined) return;
    for (const event of events) {
      try {
        // What the addon leaves out has no property.
        tell(
          Object.fromEntries(
            Object.entries(event).filter(([, value]) => value !== undefined),
          ) as unknown as BusEvent,
        );
      } catch (error) {
        console.error(`wsbroker: onBus threw ${errorText(error)}`);
      }
    }
  };
}

/** Waits for the first time that the bus is ready. */
export async function busReady(limit: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(resolve, limit, false)));
  const ready = await Promise.race([native.clusterReady(), late]);
  clearTimeout(timer);
  if (!ready)
    throw new WSBrokerError(
      'ERR_WSBROKER_BUS_LOST',
      `start: Redis did not become ready within ${limit} ms, and "cluster.required" is true${lost === undefined ? '' : `: ${lost}`}`,
    );
}
