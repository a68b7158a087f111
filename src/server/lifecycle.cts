import { isDeepStrictEqual } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { inScopeHere } from '../async-scope.cjs';
import { now } from '../clock.cjs';
import { fromNative, WSBrokerError } from '../errors.cjs';
import type { NativeListenOptions, NativeStuckThread } from '../native.cjs';
import { otherActiveCopies, setCopyLifecycle } from '../native/copies.cjs';
import { busReady, joinCluster } from '../native/join-cluster.cjs';
import { native } from '../native/load.cjs';
import { conflictWithEarlier, explainBindError } from '../options/advice.cjs';
import type { CheckedClusterOptions } from '../options/cluster.cjs';
import {
  type CompleteProcessOptions,
  processOptionsWith,
  toNativeProcessOptions,
} from '../options/process.cjs';
import type { CheckedStartOptions, ProcessOptions } from '../options/start.cjs';
import { readTls } from '../options/tls.cjs';
import { notifyWatchers } from '../pool/pool.cjs';
import { reportError } from '../report.cjs';
import type { Server, ShutdownReport } from '../types/server.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
import { HANDLER_OF_EVENT } from '../worker/dispatch.cjs';
import { findModuleFile } from '../worker/module-file.cjs';
import { currentRegistration, thread } from '../worker/register.cjs';
import { throwIfAborted, unlessAborted } from './abort.cjs';
import { hasTasks, keepingAlive, servers } from './keep-alive.cjs';
import { type InnerServer, openInnerServer } from './http-server.cjs';
import { createServer } from './server-object.cjs';
import { checkWorkers, currentPool, forgetWorkers, hasWorkers, startWorkers } from './workers.cjs';

// `start` and `shutdown`, and the servers and workers of this thread. Calls of `start` and
// `shutdown` run one after the other, so that none of them sees another one half done.

/** How long `start` waits for a Redis that is required, in milliseconds. */
const BUS_TIMEOUT = 10_000;
/** For `handleStop` of workers that end because another one did not load. */
const UNDO_TIMEOUT = 5_000;
/**
 * The last part of the time that `shutdown` has, an eighth within these bounds, is for `handleStop`
 * and the end of threads.
 */
const LEAST_FOR_WORKERS = 100;
const MOST_FOR_WORKERS = 1_000;

/** The functions that `onWorker` gave, each with the one that calls it in its async context. */
const watchers = new Map<(event: WorkerEvent) => void, (event: WorkerEvent) => void>();
let processOptions: CompleteProcessOptions | undefined;
let joined: CheckedClusterOptions | undefined;
/** Aborted by `shutdown`, so that a `start` under way gives up. */
let untilShutdown = new AbortController();
/** When the next shutdown, or the one that is under way, must be over. */
let nextDeadline = Infinity;
let lastTask: Promise<unknown> = Promise.resolve();

export function startServer(request: CheckedStartOptions): Promise<Server> {
  if (thread.inPool && request.workerPath !== undefined) {
    throw new WSBrokerError(
      'ERR_WSBROKER_IN_WORKER',
      'start: a worker module cannot start workers; it is loaded in every worker thread, so call ' +
        'start with "workerPath" in another module, which your program runs',
    );
  }
  const file = request.workerPath === undefined ? undefined : findModuleFile(request.workerPath);
  let begun = false;
  return withSignals(request.signal, (signal) => {
    const started = inTurn(() => {
      begun = true;
      return start(request, file, signal);
    });
    // While an earlier call is under way, this one has nothing to undo.
    const early = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => !begun && reject(signal.reason)),
    );
    return Promise.race([started, early]);
  });
}

/**
 * @param own the application's signal: if it is aborted before the start is done, the start rejects
 * with its reason, at once if it has not begun
 * @param begin gets a signal that `shutdown` aborts, too, with an error as its reason
 */
async function withSignals(
  own: AbortSignal | undefined,
  begin: (signal: AbortSignal) => Promise<Server>,
): Promise<Server> {
  const isAborted = (): boolean => own?.aborted === true;
  if (isAborted()) throw own?.reason;
  const either = new AbortController();
  const onShutdown = (): void =>
    either.abort(
      new WSBrokerError(
        'ERR_WSBROKER_SHUT_DOWN',
        'start: shutdown was called before the server was ready',
      ),
    );
  const onAbort = (): void => either.abort(own?.reason);
  const { signal: shut } = untilShutdown;
  shut.addEventListener('abort', onShutdown);
  own?.addEventListener('abort', onAbort);
  try {
    const server = await begin(either.signal);
    if (isAborted()) {
      await server.close();
      throw own?.reason;
    }
    return server;
  } finally {
    shut.removeEventListener('abort', onShutdown);
    own?.removeEventListener('abort', onAbort);
  }
}

export function shutdownAll(code: number, timeout: number): Promise<ShutdownReport> {
  if (thread.inPool) {
    throw new WSBrokerError(
      'ERR_WSBROKER_IN_WORKER',
      'shutdown: a worker of the pool cannot shut down; call shutdown on the thread that ' +
        'called start',
    );
  }
  const others = otherActiveCopies();
  return others.length === 0
    ? shutdownHere(code, timeout)
    : keepingAlive(() => shutdownCopies([...others, { shutdown: shutdownHere }], code, timeout));
}

setCopyLifecycle({
  isActive: () =>
    hasTasks() ||
    servers.size > 0 ||
    hasWorkers() ||
    processOptions !== undefined ||
    joined !== undefined ||
    currentRegistration() !== undefined,
  shutdown: shutdownHere,
});

/** Shuts down what this copy of the package has in this thread. */
export function shutdownHere(code: number, timeout: number): Promise<ShutdownReport> {
  const deadline = now() + timeout;
  nextDeadline = Math.min(nextDeadline, deadline);
  untilShutdown.abort();
  untilShutdown = new AbortController();
  return inTurn(() => shutdown(code, timeout, deadline));
}

/** One after the other, because they may share a broker. */
async function shutdownCopies(
  copies: readonly { shutdown(code: number, timeout: number): Promise<ShutdownReport> }[],
  code: number,
  timeout: number,
): Promise<ShutdownReport> {
  const deadline = now() + timeout;
  const all = { closed: 0, terminated: 0 };
  for (const copy of copies) {
    const { closed, terminated } = await copy.shutdown(
      code,
      Math.max(0, Math.floor(deadline - now())),
    );
    all.closed += closed;
    all.terminated += terminated;
  }
  return all;
}

async function start(
  request: CheckedStartOptions,
  file: string | undefined,
  signal: AbortSignal,
): Promise<Server> {
  const undo: (() => unknown)[] = [];
  let listened = false;
  try {
    throwIfAborted(signal);
    const options = mergeProcessOptions(request.process);
    // A listener without paths takes no sockets, so that it needs no worker.
    if (file !== undefined || request.listener.paths.length > 0) {
      checkWorkers(file, request.process.threads, request.threads);
    }
    if (processOptions === undefined) {
      processOptions = options;
      undo.push(() => (processOptions = undefined));
    }
    const { onWorker } = request;
    if (onWorker !== undefined && !watchers.has(onWorker)) {
      watchers.set(onWorker, inScopeHere(onWorker));
      undo.push(() => watchers.delete(onWorker));
    }
    if (request.cluster !== undefined && !isJoined(request.cluster)) {
      joinCluster(request.cluster);
      joined = request.cluster;
      undo.push(async () => {
        // If others use the broker, it stays joined, and the next attempt finds the same options.
        if (await native.leaveCluster()) joined = undefined;
      });
    }
    // The address comes first: without it there is no need to load anything.
    const tls =
      request.tls === undefined
        ? undefined
        : await unlessAborted(signal, readTls('start', request.tls));
    const target = request.http?.target;
    let inner: InnerServer | undefined;
    if (target !== undefined) {
      const opened = (inner = await openInnerServer(target));
      undo.push(() => opened.close());
    }
    throwIfAborted(signal);
    listened = true;
    if (!isMainThread) native.endWithThread();
    const listener = await listen({
      ...request.listener,
      tls,
      http: request.http && {
        ...request.http.native,
        forward: inner?.forward,
        identity: inner?.identity,
      },
      process: toNativeProcessOptions(options),
    });
    undo.push(() => native.closeListener(listener));
    throwIfAborted(signal);
    if (request.cluster?.required === true) {
      await unlessAborted(signal, busReady(BUS_TIMEOUT));
      native.requireCluster();
    }
    await startWorkers(file, request, { signal, watchers, undo, undoTimeout });
    native.watchWorkers(watchStuckWorkers);
    if (Object.keys(request.process).some((name) => name.startsWith('watchdog.'))) {
      native.watchIdleWorkers();
    }
    const location = native.listenerAddress(listener);
    native.serve(listener);
    return createServer({
      listener,
      location,
      inner,
      tls: request.tls,
      signal: request.signal,
      busReloaded: (redis) => {
        // A later start with these settings agrees with them.
        if (joined !== undefined) joined = { ...joined, native: { ...joined.native, redis } };
      },
    });
  } catch (error) {
    for (const step of undo.reverse()) await attempt(step);
    // A start that did not get that far made no broker; one that exists belongs to another thread.
    if (listened) await attempt(dropUnusedBroker);
    throw error;
  }
}

async function listen(options: NativeListenOptions): Promise<number> {
  try {
    return await native.listen(options);
  } catch (error) {
    throw explainBindError(fromNative(error), options.bind, options.reusePort);
  }
}

/** Ignores errors: the one that led here is reported. */
async function attempt(step: () => unknown): Promise<void> {
  try {
    await step();
  } catch {
    // As above.
  }
}

/** Is over at the deadline, whatever hangs. */
async function shutdown(code: number, timeout: number, deadline: number): Promise<ShutdownReport> {
  const left = (): number => Math.max(0, deadline - now());
  const pool = currentPool();
  pool?.hurry();
  const forWorkers = Math.max(LEAST_FOR_WORKERS, Math.min(MOST_FOR_WORKERS, timeout / 8));
  const { closed, terminated } = await native.shutdownBroker(
    code,
    Math.max(0, left() - forWorkers),
    pool !== undefined,
  );
  // In case it was joined before there was a broker to shut down.
  await native.leaveCluster();
  const inner = [...servers.values()].map(({ closeInner }) => closeInner());
  for (const { forgetSignal } of servers.values()) forgetSignal();
  servers.clear();
  const rest = Math.max(LEAST_FOR_WORKERS, left());
  await Promise.all([pool?.stop(rest), currentRegistration()?.stop(rest), ...inner]);
  forgetWorkers();
  processOptions = undefined;
  joined = undefined;
  nextDeadline = Infinity;
  native.watchWorkers();
  watchers.clear();
  return { closed, terminated };
}

/** For `handleStop` of workers that end because a `start` failed: less if a shutdown waits. */
function undoTimeout(): number {
  return Math.max(LEAST_FOR_WORKERS, Math.min(UNDO_TIMEOUT, nextDeadline - now()));
}

/** Called by the addon, once each time that a worker of any thread is stuck. */
function watchStuckWorkers({ thread: workerId, duration, kind, socketId }: NativeStuckThread): void {
  const handler = kind === undefined ? undefined : HANDLER_OF_EVENT[kind];
  const at =
    handler === undefined
      ? 'something on its thread, not necessarily a handler, does not return'
      : `${handler} of socket ${socketId} does not return`;
  const reason = new WSBrokerError(
    'ERR_WSBROKER_WORKER_STUCK',
    `worker ${workerId} has not returned to its event loop for ${duration / 1000} s: ${at}; ` +
      'new connections go to other workers, if there are any',
  );
  if (watchers.size === 0) reportError(`worker ${workerId} is stuck`, reason.message);
  notifyWatchers(watchers.values(), {
    type: 'stuck',
    workerId,
    reason,
    duration,
    ...(handler !== undefined && { handler }),
    ...(handler !== undefined && socketId !== undefined && { socketId }),
  });
  if (processOptions?.['watchdog.action'] === 'replace') {
    void currentPool()?.replaceStuck(workerId, reason);
  }
}

// Options.

/** The process-wide options with those of this call, which must not contradict earlier ones. */
function mergeProcessOptions({ threads: _, ...given }: Partial<ProcessOptions>): CompleteProcessOptions {
  if (processOptions === undefined) return processOptionsWith(native, given, false);
  for (const [name, value] of Object.entries(given)) {
    const before = processOptions[name as keyof CompleteProcessOptions];
    if (!isDeepStrictEqual(value, before)) throw conflictWithEarlier(name, before, value);
  }
  return processOptions;
}

/** Whether an earlier `start` of this thread has joined with the same options. */
function isJoined({ native: options, onBus }: CheckedClusterOptions): boolean {
  return (
    joined !== undefined && joined.onBus === onBus && isDeepStrictEqual(joined.native, options)
  );
}

/**
 * A `start` that failed leaves no broker with its options behind, unless another thread uses one.
 */
async function dropUnusedBroker(): Promise<void> {
  if (
    servers.size > 0 ||
    processOptions !== undefined ||
    currentRegistration() !== undefined ||
    native.workerCount() > 0 ||
    native.instanceCount() > 0
  ) {
    return;
  }
  await native.shutdownBroker(1001, 0);
}

/** Aborted by the next `shutdown`, with an error as its reason. */
export function untilNextShutdown(): AbortSignal {
  return untilShutdown.signal;
}

/** One task after the other. */
export function inTurn<T>(task: () => Promise<T>): Promise<T> {
  const result = keepingAlive(() => lastTask.then(task));
  lastTask = result.catch(() => undefined);
  return result;
}
