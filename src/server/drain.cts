import { inScopeHere } from '../async-scope.cjs';
import type { NativeDrainOptions } from '../native.cjs';
import { native } from '../native/load.cjs';
import { reportError } from '../report.cjs';
import type { DrainProgress, DrainReport } from '../types/server.cjs';
import { keepingAlive } from './keep-alive.cjs';

// `drain`. The schedule is the addon's: it keeps to it however busy this thread is.

export function drainAll(
  options: NativeDrainOptions,
  onProgress: ((progress: DrainProgress) => void) | undefined,
): Promise<DrainReport> {
  if (onProgress === undefined) return keepingAlive(() => native.drainBroker(options));
  const call = inScopeHere(onProgress);
  let last: DrainProgress | undefined;
  let over = false;
  const tell = (progress: DrainProgress): void => {
    if (over) return;
    last = progress;
    try {
      call(progress);
    } catch (error) {
      reportError('the onProgress of drain threw', error);
    }
  };
  return keepingAlive(async () => {
    const report = await native.drainBroker(options, tell);
    // What the addon still says would come behind the result.
    const { closed, cut } = report;
    if (last?.open !== 0 || last.closed !== closed || last.cut !== cut) tell({ open: 0, closed, cut });
    over = true;
    return report;
  });
}
