import { isMainThread } from 'node:worker_threads';
import { inScopeHere } from '../async-scope.cjs';
import { fromNative, WSBrokerError } from '../errors.cjs';
import type { NativeBusEvent, NativeRedis } from '../native.cjs';
import { START_OVER, withAdvice } from '../options/advice.cjs';
import type { CheckedClusterOptions } from '../options/cluster.cjs';
import { errorText, reportError } from '../report.cjs';
import type { BusEvent } from '../types/cluster-options.cjs';
import { native } from './load.cjs';

// Joining other instances, and what the bus reports.

/** Why the bus is lost, if it is and the bus has said why. */
let lostReason: string | undefined;
/** Where Redis is, for messages. */
let redisPlace = '';

/** Joins, at once or with the first server. */
export function joinCluster({ native: options, onBus }: CheckedClusterOptions): void {
  lostReason = undefined;
  redisPlace = placeOf(options.redis);
  if (!isMainThread) native.endWithThread();
  const report = onBus === undefined ? stderrReporter(redisPlace) : busEventReporter(onBus);
  try {
    native.joinCluster(options, (events) => {
      for (const { state, reason } of events) {
        if (state === 'ready' || state === 'lost') lostReason = reason;
      }
      report(events);
    });
  } catch (error) {
    const ours = fromNative(error);
    const isConflict = ours instanceof WSBrokerError && ours.code === 'ERR_WSBROKER_CONFLICT';
    throw isConflict ? withAdvice(ours, START_OVER) : ours;
  }
}

/** A function for the addon to call: no error of the application's may get into it. */
export function busEventReporter(
  onBus: ((event: BusEvent) => void) | undefined,
): (events: NativeBusEvent[]) => void {
  const scoped = onBus === undefined ? undefined : inScopeHere(onBus);
  return (events) => {
    if (scoped === undefined) return;
    for (const event of events) {
      try {
        // Fields that the addon leaves out are no properties of the event.
        const given = Object.entries(event).filter(([, value]) => value !== undefined);
        scoped(Object.fromEntries(given) as unknown as BusEvent);
      } catch (error) {
        console.error(`wsbroker: onBus threw ${errorText(error)}`);
      }
    }
  };
}

/** For an application without `onBus`: without a word, instances would just not hear each other. */
function stderrReporter(place: string): (events: NativeBusEvent[]) => void {
  let lost = false;
  return (events) => {
    for (const { state, reason } of events) {
      if (state === 'lost') {
        reportError(
          `the bus is lost (Redis${place}). Reconnecting; pass "onBus" to handle this in your code`,
          reason,
        );
      } else if (state === 'warning') reportError(`the bus (Redis${place})`, reason);
      else if (state === 'ready' && lost) reportError(`the bus (Redis${place})`, 'ready again');
      if (state === 'lost' || state === 'ready') lost = state === 'lost';
    }
  };
}

/** Where Redis is, without its user and password. */
function placeOf({ url, nodes }: NativeRedis): string {
  if (url === undefined) return ` at ${nodes.map(({ host, port }) => `${host}:${port}`).join(', ')}`;
  const host = /^rediss?:\/\/(?:[^/]*@)?([^/?#@]+)/.exec(url)?.[1];
  return host === undefined ? '' : ` at ${host}`;
}

/** Waits until the bus is ready for the first time. */
export async function busReady(timeout: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(resolve, timeout, false)));
  const ready = await Promise.race([native.clusterReady(), late]);
  clearTimeout(timer);
  if (ready) return;
  const why = lostReason === undefined ? '' : `: ${lostReason}`;
  throw new WSBrokerError(
    'ERR_WSBROKER_BUS_LOST',
    `start: Redis${redisPlace} was not ready within ${timeout} ms, and "cluster.required" is true${why}`,
  );
}
