import { WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import type { CheckedReloadOptions } from '../options/reload.cjs';
import type { ReloadReport } from '../types/worker-threads.cjs';
import { findModuleFile } from '../worker/module-file.cjs';
import { currentRegistration, thread } from '../worker/register.cjs';
import { unlessAborted } from './abort.cjs';
import { keepingAlive } from './keep-alive.cjs';
import { inTurn, untilNextShutdown } from './lifecycle.cjs';
import { currentPool, explain } from './workers.cjs';

// `reloadWorkers`. Until the new threads have taken over, other calls of `start` and `shutdown`
// wait; while the old threads end, only another `reloadWorkers` does.

let lastReload: Promise<unknown> = Promise.resolve();

export function reload(request: CheckedReloadOptions): Promise<ReloadReport> {
  if (thread.inPool) {
    throw new WSBrokerError(
      'ERR_WSBROKER_IN_WORKER',
      'reloadWorkers: a worker of the pool cannot reload the workers; call reloadWorkers on the ' +
        'thread that called start',
    );
  }
  const file = request.workerPath === undefined ? undefined : findModuleFile(request.workerPath);
  const shut = untilNextShutdown();
  const report = keepingAlive(async () => {
    await lastReload;
    const { left } = await inTurn(() => takeOver(request, file, shut));
    return await left;
  });
  lastReload = report.catch(() => undefined);
  return report;
}

/** @param shut aborted by the next `shutdown` */
async function takeOver(
  { threads, timeout }: CheckedReloadOptions,
  given: string | undefined,
  shut: AbortSignal,
): Promise<{ left: Promise<ReloadReport> }> {
  if (shut.aborted) throw shutDownError();
  const pool = currentPool();
  if (pool === undefined) throw noPool();
  const file = given ?? pool.file;
  const shutdown = new AbortController();
  const onShutdown = (): void => shutdown.abort(shutDownError());
  shut.addEventListener('abort', onShutdown);
  try {
    return await pool.takeOver(file, threads ?? pool.threads, timeout, (ready) =>
      unlessAborted(shutdown.signal, ready),
    );
  } catch (error) {
    throw await explain(file, error, shutdown.signal);
  } finally {
    shut.removeEventListener('abort', onShutdown);
  }
}

function shutDownError(): WSBrokerError {
  return new WSBrokerError(
    'ERR_WSBROKER_SHUT_DOWN',
    'reloadWorkers: shutdown was called before the new workers were ready',
  );
}

function noPool(): WSBrokerError {
  if (currentRegistration() !== undefined || native.workerCount() > 0) {
    return new WSBrokerError(
      'ERR_WSBROKER_CONFLICT',
      'reloadWorkers: the workers are not threads of the pool, but of the application (threads: 0 ' +
        'or registerWorkerThread), and only those of the pool can be reloaded',
    );
  }
  return new WSBrokerError(
    'ERR_WSBROKER_NO_WORKER',
    'reloadWorkers: there are no workers; call it after start, on the same thread',
  );
}
