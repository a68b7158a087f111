import { performance } from 'node:perf_hooks';
import { isDeepStrictEqual } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { addressFailed, START_OVER } from '../options/advice.cjs';
import { following, toNative, type Agreed } from '../options/process.cjs';
import { busReady, join, type ClusterRequest } from '../options/cluster.cjs';
import { activeOthers, endBy } from '../native/copies.cjs';
import { fromNative, WSBrokerError, WSBrokerRangeError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { loadWorker, workerFile } from '../worker/modules.cjs';
import type { NativeListenOptions } from '../native.cjs';
import { Pool, tellWatchers } from '../pool/pool.cjs';
import { redisRequest } from '../options/redis.cjs';
import { currentRegistration, thread, type Registration } from '../worker/register.cjs';
import { complain, errorText } from '../report.cjs';
import { inScopeHere } from '../async-scope.cjs';
import { moreAbout } from '../worker/syntax.cjs';
import {
  NO_THREAD_OPTIONS,
  sameThreads,
  threadFailed,
  type PoolThreads,
} from '../options/threads.cjs';
import { readTls, tlsRequest, type TlsRequest } from '../options/tls.cjs';
import type { Server, ShutdownReport } from '../types/server.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
import type { ProcessOptions, StartRequest } from '../options/start.cjs';

// What this thread runs: its servers and its workers. `start` and `shutdown` change that one after
// the other, so that none of them sees another's half.

/** Where the module's handlers run: on the threads of a pool, or here. */
type Workers = { readonly file: string } & (
  { readonly pool: Pool } | { readonly registration: Registration }
);

/** For a Redis that is required. */
const BUS_TIMEOUT = 10_000;
/** For `handleStop` of workers that must go because another did not load. */
const UNDO_TIMEOUT = 5_000;
/**
 * The last part of the time that `shutdown` has, an eighth within these bounds, is for `handleStop`
 * and the end of threads.
 */
const LEAST_FOR_WORKERS = 100;
const MOST_FOR_WORKERS = 1_000;

/** What is kept of a server that listens. */
interface Listening {
  /** Whether it keeps the process alive. */
  ref: boolean;
  /** Lets go of the application's signal. */
  readonly forget: () => void;
}

const servers = new Map<number, Listening>();
/** Each as it is called, by what was given. */
const watchers = new Map<(event: WorkerEvent) => void, (event: WorkerEvent) => void>();
let workers: Workers | undefined;
let agreed: Agreed | undefined;
let joined: ClusterRequest | undefined;
/** Aborted by `shutdown`: a `start` before it gives up. */
let era = new AbortController();
/** When the next shutdown, or the one under way, must be over. */
let due = Infinity;
let last: Promise<unknown> = Promise.resolve();

export function startServer(request: StartRequest): Promise<Server> {
  if (thread.inPool && request.workerPath !== undefined) {
    throw new WSBrokerError(
      'ERR_WSBROKER_IN_WORKER',
      'start: a worker of the pool cannot start workers; call start with "workerPath" on the thread that is to own them',
    );
  }
  const file = request.workerPath === undefined ? undefined : workerFile(request.workerPath);
  let begun = false;
  return unlessAborted(request.signal, (signal) => {
    const started = inTurn(() => {
      begun = true;
      return start(request, file, signal);
    });
    // While another one is under way there is nothing to undo.
    const early = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => !begun && reject(signal.reason)),
    );
    return Promise.race([started, early]);
  });
}

/**
 * @param own the application's signal: aborted before the start is done, the start rejects with its
 * reason (at once if it has not begun); afterwards it closes the server
 * @param begin is given one that shutdown aborts, too, with an error as its reason
 */
async function unlessAborted(
  own: AbortSignal | undefined,
  begin: (signal: AbortSignal) => Promise<Server>,
): Promise<Server> {
  const isAborted = (): boolean => own?.aborted === true;
  if (isAborted()) throw own?.reason;
  const either = new AbortController();
  const onShutdown = (): void =>
    either.abort(
      new WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'start: shutdown was called before it was done'),
    );
  const onAbort = (): void => either.abort(own?.reason);
  const { signal: shut } = era;
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
  if (thread.inPool)
    throw new WSBrokerError(
      'ERR_WSBROKER_IN_WORKER',
      'shutdown: a worker of the pool cannot end itself; call shutdown on the thread that called start',
    );
  const others = activeOthers();
  return others.length === 0
    ? shutdownHere(code, timeout)
    : holding(() => shutdownCopies([...others, { shutdown: shutdownHere }], code, timeout));
}

endBy({
  isActive: () =>
    busy > 0 ||
    servers.size > 0 ||
    workers !== undefined ||
    agreed !== undefined ||
    joined !== undefined ||
    currentRegistration() !== undefined,
  shutdown: shutdownHere,
});

function shutdownHere(code: number, timeout: number): Promise<ShutdownReport> {
  const deadline = performance.now() + timeout;
  due = Math.min(due, deadline);
  era.abort();
  era = new AbortController();
  return inTurn(() => shutdown(code, timeout, deadline));
}

/** One after the other, since they may share a broker. */
async function shutdownCopies(
  copies: readonly { shutdown(code: number, timeout: number): Promise<ShutdownReport> }[],
  code: number,
  timeout: number,
): Promise<ShutdownReport> {
  const deadline = performance.now() + timeout;
  const all = { closed: 0, terminated: 0 };
  for (const copy of copies) {
    const { closed, terminated } = await copy.shutdown(
      code,
      Math.max(0, Math.floor(deadline - performance.now())),
    );
    all.closed += closed;
    all.terminated += terminated;
  }
  return all;
}

async function start(
  request: StartRequest,
  file: string | undefined,
  signal: AbortSignal,
): Promise<Server> {
  const undo: (() => unknown)[] = [];
  let listened = false;
  try {
    checkShutdown(signal);
    const options = agree(request.process);
    checkWorkers(file, request.process.threads, request.threads);
    if (agreed === undefined) {
      agreed = options;
      undo.push(() => (agreed = undefined));
    }
    const { onWorker } = request;
    if (onWorker !== undefined && !watchers.has(onWorker)) {
      watchers.set(onWorker, inScopeHere(onWorker));
      undo.push(() => watchers.delete(onWorker));
    }
    if (request.cluster !== undefined && !isJoined(request.cluster)) {
      join(request.cluster);
      joined = request.cluster;
      undo.push(async () => {
        // Others may use the broker: then it stays joined, and who tries again agrees with that.
        if (await native.leaveCluster()) joined = undefined;
      });
    }
    // The address first: who cannot have it need not load anything.
    const tls =
      request.tls === undefined
        ? undefined
        : await unlessShutdown(signal, readTls('start', request.tls));
    listened = true;
    if (!isMainThread) native.endWithThread();
    const listener = await listen({ ...request.listener, tls, process: toNative(options) });
    undo.push(() => native.closeListener(listener));
    checkShutdown(signal);
    if (request.cluster?.required === true) await unlessShutdown(signal, busReady(BUS_TIMEOUT));
    await readyWorkers(file, request, signal, undo);
    native.watchWorkers(tellOfStuck);
    const place = native.listenerAddress(listener);
    native.serve(listener);
    return server(listener, place, request.tls, request.signal);
  } catch (error) {
    for (const step of undo.reverse()) await attempt(step);
    // Who did not get that far leaves nothing behind; a broker that is there then is another
    // thread's.
    if (listened) await attempt(dropUnusedBroker);
    throw error;
  }
}

async function listen(options: NativeListenOptions): Promise<number> {
  try {
    return await native.listen(options);
  } catch (error) {
    throw addressFailed(fromNative(error), options.bind, options.reusePort);
  }
}

/** The failure that led here is the one to be told. */
async function attempt(step: () => unknown): Promise<void> {
  try {
    await step();
  } catch {
    // Nothing is left to be done about it.
  }
}

function server(
  listener: number,
  { address, port, url }: { address: string; port: number; url: string },
  tls: TlsRequest | undefined,
  signal: AbortSignal | undefined,
): Server {
  let closing: Promise<void> | undefined;
  let reloaded: Promise<unknown> = Promise.resolve();
  const close = async (): Promise<void> => {
    if (!servers.has(listener)) return;
    forget();
    await native.closeListener(listener);
    servers.delete(listener);
  };
  const reload = async (wanted: TlsRequest | undefined): Promise<void> => {
    if (tls === undefined)
      throw new WSBrokerError(
        'ERR_WSBROKER_TLS',
        'reloadTls: this server was started without "tls"',
      );
    const next = wanted ?? tls;
    const pem = await readTls('reloadTls', next);
    if (closing !== undefined || !servers.has(listener))
      throw new WSBrokerError('ERR_WSBROKER_TLS', 'reloadTls: this server is closed');
    try {
      native.reloadTls(listener, pem);
    } catch (error) {
      throw fromNative(error);
    }
    tls = next;
  };
  const holds = (ref: boolean): Server => {
    const listening = servers.get(listener);
    if (listening !== undefined) listening.ref = ref;
    holdIfNeeded();
    return self;
  };
  const self: Server = {
    address,
    port,
    url,
    close: () => (closing ??= holding(close)),
    ref: () => holds(true),
    unref: () => holds(false),
    // Node before 18.18 has no such symbol.
    ...((Symbol.asyncDispose as symbol | undefined) !== undefined && {
      [Symbol.asyncDispose]: () => self.close(),
    }),
    async reloadTls(options) {
      const wanted = options === undefined ? undefined : tlsRequest('reloadTls', options);
      // One after the other, so that the last call's certificate is the one that stays.
      const result = reloaded.then(() => reload(wanted));
      reloaded = result.catch(() => undefined);
      return result;
    },
    async reloadBus(redis) {
      const next = redisRequest('reloadBus', 'redis', redis);
      try {
        await native.reloadCluster(next);
      } catch (error) {
        throw fromNative(error);
      }
      // A later start with these agrees with what is there.
      if (joined !== undefined) joined = { ...joined, native: { ...joined.native, redis: next } };
    },
  } as Server;
  const onAbort = (): void =>
    void self
      .close()
      .catch((error: unknown) =>
        complain('a server whose signal was aborted did not close', error),
      );
  const forget = (): void => signal?.removeEventListener('abort', onAbort);
  signal?.addEventListener('abort', onAbort);
  servers.set(listener, { ref: true, forget });
  return self;
}

/** It is over at the deadline, whatever hangs. */
async function shutdown(code: number, timeout: number, deadline: number): Promise<ShutdownReport> {
  const left = (): number => Math.max(0, deadline - performance.now());
  const pool = workers !== undefined && 'pool' in workers ? workers.pool : undefined;
  pool?.hurry();
  const forWorkers = Math.max(LEAST_FOR_WORKERS, Math.min(MOST_FOR_WORKERS, timeout / 8));
  const { closed, terminated } = await native.shutdownBroker(
    code,
    Math.max(0, left() - forWorkers),
    pool !== undefined,
  );
  // What was joined before there was anything to shut down.
  await native.leaveCluster();
  for (const { forget } of servers.values()) forget();
  servers.clear();
  const rest = Math.max(LEAST_FOR_WORKERS, left());
  await Promise.all([pool?.stop(rest), currentRegistration()?.stop(rest)]);
  workers = undefined;
  agreed = undefined;
  joined = undefined;
  due = Infinity;
  native.watchWorkers();
  watchers.clear();
  return { closed, terminated };
}

/** For `handleStop` of workers that must end because a `start` failed: less if a shutdown waits. */
function undoTimeout(): number {
  return Math.max(LEAST_FOR_WORKERS, Math.min(UNDO_TIMEOUT, due - performance.now()));
}

/** Called by the addon, once each time a worker is stuck, whichever thread owns it. */
function tellOfStuck(workerId: number): void {
  const what = `worker ${workerId} has taken nothing for a second, though something waits for it: the usual cause is a handler that does not return; new connections go to other workers, if there are any`;
  const reason = new WSBrokerError('ERR_WSBROKER_WORKER_STUCK', what);
  if (watchers.size === 0) complain(`worker ${workerId} is stuck`, reason.message);
  tellWatchers(watchers.values(), { type: 'stuck', workerId, reason });
}

// Options.

/** The process-wide options with this call's, which may not differ from an earlier one's. */
function agree({ threads: _, ...given }: Partial<ProcessOptions>): Agreed {
  if (agreed === undefined) return following(native, given, false);
  for (const [name, value] of Object.entries(given)) {
    const before = agreed[name as keyof Agreed];
    if (value !== before) throw conflict(name, before, value);
  }
  return agreed;
}

/** An earlier `start` of this thread has joined with the same options. */
function isJoined({ native: options, onBus }: ClusterRequest): boolean {
  return (
    joined !== undefined && joined.onBus === onBus && isDeepStrictEqual(joined.native, options)
  );
}

function conflict(name: string, before: unknown, now: unknown): WSBrokerError {
  const was = before === undefined ? 'off' : String(before);
  return new WSBrokerError(
    'ERR_WSBROKER_CONFLICT',
    `start: "${name}" holds for the whole process and is ${was} since an earlier start, got ${String(now)}; ${START_OVER}`,
  );
}

// Workers.

function checkWorkers(
  file: string | undefined,
  threads: number | undefined,
  given: PoolThreads | undefined,
): void {
  if (
    given !== undefined &&
    workers !== undefined &&
    !('pool' in workers && sameThreads(workers.pool.given, given))
  ) {
    throw new WSBrokerError(
      'ERR_WSBROKER_CONFLICT',
      `start: "worker" holds for the whole process, and an earlier start gave other values; ${START_OVER}`,
    );
  }
  if (given !== undefined && workers === undefined && file === undefined)
    throw new WSBrokerRangeError(
      'start: "worker" needs "workerPath", the module that the worker threads load',
    );
  if (file === undefined) {
    if (workers !== undefined || currentRegistration() !== undefined || native.workerCount() > 0)
      return;
    throw new WSBrokerError(
      'ERR_WSBROKER_NO_WORKER',
      'start: "workerPath" is needed, since no worker is registered (registerWorkerThread)',
    );
  }
  if (workers === undefined) {
    if (threads !== 0 || currentRegistration() === undefined) return;
    throw new WSBrokerError(
      'ERR_WSBROKER_CONFLICT',
      'start: "threads" is 0, but this thread has registered handlers already',
    );
  }
  if (workers.file !== file) throw conflict('workerPath', workers.file, file);
  const running = 'pool' in workers ? workers.pool.threads : 0;
  if (threads !== undefined && threads !== running) throw conflict('threads', running, threads);
}

async function readyWorkers(
  file: string | undefined,
  request: StartRequest,
  signal: AbortSignal,
  undo: (() => unknown)[],
): Promise<void> {
  const {
    process: { threads },
    threads: given,
    startTimeout,
  } = request;
  try {
    await unlessShutdown(signal, currentRegistration()?.ready ?? Promise.resolve());
    if (file === undefined || workers !== undefined) return;
    if (threads === 0) {
      const loading = loadWorker(file, startTimeout);
      undo.push(
        () =>
          void loading.then(
            (late) => late.stop(undoTimeout()),
            () => undefined,
          ),
      );
      workers = { file, registration: await unlessShutdown(signal, loading) };
    } else {
      const pool = new Pool(
        file,
        threads ?? Math.max(4, native.brokerDefaults().cpus),
        given ?? NO_THREAD_OPTIONS,
        watchers,
        startTimeout,
      );
      undo.push(() => pool.stop(undoTimeout()));
      await unlessShutdown(signal, pool.start());
      workers = { file, pool };
    }
    undo.push(() => (workers = undefined));
  } catch (error) {
    const refused = threadFailed(error);
    if (refused !== error || (signal.aborted && error === signal.reason)) throw refused;
    const more =
      file === undefined
        ? ''
        : await unlessShutdown(
            signal,
            moreAbout(file, error instanceof WSBrokerError ? error.cause : error),
          ).catch(() => '');
    if (error instanceof WSBrokerError && error.code === 'ERR_WSBROKER_WORKER_FAILED') {
      error.message += more;
      throw error;
    }
    const message: unknown = (error as { message?: unknown } | null | undefined)?.message;
    const what = `start: worker ${file ?? 'of this thread'} failed to load: ${typeof message === 'string' ? message : errorText(error)}${more}`;
    throw new WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what, { cause: error });
  }
}

/**
 * A `start` that failed leaves no broker with its options behind, unless another thread uses it.
 */
async function dropUnusedBroker(): Promise<void> {
  if (
    servers.size > 0 ||
    agreed !== undefined ||
    currentRegistration() !== undefined ||
    native.workerCount() > 0 ||
    native.instanceCount() > 0
  )
    return;
  await native.shutdownBroker(1001, 0);
}

// Turns, and who keeps the process alive.

function inTurn<T>(task: () => Promise<T>): Promise<T> {
  const result = holding(() => last.then(task));
  last = result.catch(() => undefined);
  return result;
}

let busy = 0;
let hold: NodeJS.Timeout | undefined;

/** While the task runs, and while a server listens, the process does not exit by itself. */
async function holding<T>(task: () => Promise<T>): Promise<T> {
  busy++;
  holdIfNeeded();
  try {
    return await task();
  } finally {
    busy--;
    holdIfNeeded();
  }
}

function holdIfNeeded(): void {
  if (busy > 0 || [...servers.values()].some(({ ref }) => ref)) {
    hold ??= setInterval(() => undefined, 2 ** 30);
  } else {
    clearInterval(hold);
    hold = undefined;
  }
}

function checkShutdown(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason;
}

async function unlessShutdown<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  checkShutdown(signal);
  let onAbort = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    onAbort = resolve;
    signal.addEventListener('abort', onAbort);
  });
  try {
    const result = await Promise.race([promise, aborted]);
    checkShutdown(signal);
    return result as T;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
