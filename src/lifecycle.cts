import { performance } from 'node:perf_hooks';
import { isDeepStrictEqual } from 'node:util';
import { following, toNative, type Agreed } from './agreed.cjs';
import { busReady, join, type ClusterRequest } from './cluster.cjs';
import { redisRequest } from './redis.cjs';
import { fromNative, WSBrokerError } from './errors.cjs';
import { native } from './load.cjs';
import { loadWorker, workerFile } from './modules.cjs';
import type { NativeListenOptions } from './native.cjs';
import { Pool } from './pool.cjs';
import { currentRegistration, thread, type Registration } from './register.cjs';
import { errorText } from './report.cjs';
import { readTls, tlsRequest, type TlsRequest } from './tls.cjs';
import type { Server, ShutdownReport, WorkerEvent } from './types.cjs';
import type { ProcessOptions, StartRequest } from './validate.cjs';

// What this thread runs: its servers and its workers. `start` and `shutdown` change that one after the other, so that none of them sees another's half.

/** Where the module's handlers run: on the threads of a pool, or here. */
type Workers = { readonly file: string } & ({ readonly pool: Pool } | { readonly registration: Registration });

/** For a Redis that is required. */
const BUS_TIMEOUT = 10_000;
/** For `handleStop` of workers that must go because another did not load. */
const UNDO_TIMEOUT = 5_000;
/** For `handleStop` even if connections have used up the time that `shutdown` has. */
const LEAST_TIMEOUT = 1_000;

const servers = new Set<number>();
const watchers = new Set<(event: WorkerEvent) => void>();
let workers: Workers | undefined;
let agreed: Agreed | undefined;
let joined: ClusterRequest | undefined;
/** Aborted by `shutdown`: a `start` before it gives up. */
let era = new AbortController();
let last: Promise<unknown> = Promise.resolve();

export function startServer(request: StartRequest): Promise<Server> {
  if (thread.inPool && request.workerPath !== undefined) {
    throw new WSBrokerError('ERR_WSBROKER_IN_WORKER', 'start: a worker of the pool cannot start workers; call start with "workerPath" on the thread that shall own them');
  }
  const file = request.workerPath === undefined ? undefined : workerFile(request.workerPath);
  const { signal } = era;
  return inTurn(() => start(request, file, signal));
}

export function shutdownAll(code: number, timeout: number): Promise<ShutdownReport> {
  if (thread.inPool) throw new WSBrokerError('ERR_WSBROKER_IN_WORKER', 'shutdown: a worker of the pool cannot end itself; call shutdown on the thread that called start');
  era.abort();
  era = new AbortController();
  return inTurn(() => shutdown(code, timeout));
}

async function start(request: StartRequest, file: string | undefined, signal: AbortSignal): Promise<Server> {
  const undo: (() => unknown)[] = [];
  let listened = false;
  try {
    checkShutdown(signal);
    const options = agree(request.process);
    checkWorkers(file, request.process.threads);
    if (agreed === undefined) {
      agreed = options;
      undo.push(() => (agreed = undefined));
    }
    const { onWorker } = request;
    if (onWorker !== undefined && !watchers.has(onWorker)) {
      watchers.add(onWorker);
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
    const tls = request.tls === undefined ? undefined : await unlessShutdown(signal, readTls('start', request.tls));
    listened = true;
    const listener = await listen({ ...request.listener, tls, process: toNative(options) });
    undo.push(() => native.closeListener(listener));
    checkShutdown(signal);
    if (request.cluster?.required === true) await unlessShutdown(signal, busReady(BUS_TIMEOUT));
    await readyWorkers(file, request.process.threads, signal, undo);
    const place = native.listenerAddress(listener);
    native.serve(listener);
    servers.add(listener);
    return server(listener, place, request.tls);
  } catch (error) {
    for (const step of undo.reverse()) await attempt(step);
    // Who did not get that far leaves nothing behind; a broker that is there then is another thread's.
    if (listened) await attempt(dropUnusedBroker);
    throw error;
  }
}

async function listen(options: NativeListenOptions): Promise<number> {
  try {
    return await native.listen(options);
  } catch (error) {
    throw fromNative(error);
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

function server(listener: number, { address, port, url }: { address: string; port: number; url: string }, tls: TlsRequest | undefined): Server {
  let closing: Promise<void> | undefined;
  let reloaded: Promise<unknown> = Promise.resolve();
  const close = async (): Promise<void> => {
    if (!servers.has(listener)) return;
    await native.closeListener(listener);
    servers.delete(listener);
  };
  const reload = async (wanted: TlsRequest | undefined): Promise<void> => {
    if (tls === undefined) throw new WSBrokerError('ERR_WSBROKER_TLS', 'reloadTls: this server was started without "tls"');
    const next = wanted ?? tls;
    const pem = await readTls('reloadTls', next);
    if (closing !== undefined || !servers.has(listener)) throw new WSBrokerError('ERR_WSBROKER_TLS', 'reloadTls: this server is closed');
    try {
      native.reloadTls(listener, pem);
    } catch (error) {
      throw fromNative(error);
    }
    tls = next;
  };
  return {
    address,
    port,
    url,
    close: () => (closing ??= holding(close)),
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
  };
}

async function shutdown(code: number, timeout: number): Promise<ShutdownReport> {
  const deadline = performance.now() + timeout;
  const pool = workers !== undefined && 'pool' in workers ? workers.pool : undefined;
  const { closed, terminated } = await native.shutdownBroker(code, timeout, pool !== undefined);
  // What was joined before there was anything to shut down.
  await native.leaveCluster();
  servers.clear();
  const left = Math.max(LEAST_TIMEOUT, deadline - performance.now());
  await Promise.all([pool?.stop(left), currentRegistration()?.stop(left)]);
  workers = undefined;
  agreed = undefined;
  joined = undefined;
  watchers.clear();
  return { closed, terminated };
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
  return joined !== undefined && joined.onBus === onBus && isDeepStrictEqual(joined.native, options);
}

function conflict(name: string, before: unknown, now: unknown): WSBrokerError {
  const was = before === undefined ? 'off' : String(before);
  return new WSBrokerError('ERR_WSBROKER_CONFLICT', `start: "${name}" holds for the whole process and is ${was} since an earlier start, got ${String(now)}`);
}

// Workers.

function checkWorkers(file: string | undefined, threads: number | undefined): void {
  if (file === undefined) {
    if (workers !== undefined || currentRegistration() !== undefined || native.workerCount() > 0) return;
    throw new WSBrokerError('ERR_WSBROKER_NO_WORKER', 'start: "workerPath" is needed, since no worker is registered (registerWorkerThread)');
  }
  if (workers === undefined) {
    if (threads !== 0 || currentRegistration() === undefined) return;
    throw new WSBrokerError('ERR_WSBROKER_CONFLICT', 'start: "threads" is 0, but this thread has registered handlers already');
  }
  if (workers.file !== file) throw conflict('workerPath', workers.file, file);
  const running = 'pool' in workers ? workers.pool.threads : 0;
  if (threads !== undefined && threads !== running) throw conflict('threads', running, threads);
}

async function readyWorkers(file: string | undefined, threads: number | undefined, signal: AbortSignal, undo: (() => unknown)[]): Promise<void> {
  try {
    await unlessShutdown(signal, currentRegistration()?.ready ?? Promise.resolve());
    if (file === undefined || workers !== undefined) return;
    if (threads === 0) {
      const loading = loadWorker(file);
      undo.push(() => void loading.then((late) => late.stop(UNDO_TIMEOUT), () => undefined));
      workers = { file, registration: await unlessShutdown(signal, loading) };
    } else {
      const pool = new Pool(file, threads ?? Math.max(4, native.brokerDefaults().cpus), watchers);
      undo.push(() => pool.stop(UNDO_TIMEOUT));
      await unlessShutdown(signal, pool.start());
      workers = { file, pool };
    }
    undo.push(() => (workers = undefined));
  } catch (error) {
    if (error instanceof WSBrokerError && ['ERR_WSBROKER_WORKER_FAILED', 'ERR_WSBROKER_SHUT_DOWN'].includes(error.code)) throw error;
    const message: unknown = (error as { message?: unknown } | null | undefined)?.message;
    const what = `start: worker ${file ?? 'of this thread'} failed to load: ${typeof message === 'string' ? message : errorText(error)}`;
    throw new WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what, { cause: error });
  }
}

/** A `start` that failed leaves no broker with its options behind, unless another thread uses it. */
async function dropUnusedBroker(): Promise<void> {
  if (servers.size > 0 || agreed !== undefined || currentRegistration() !== undefined || native.workerCount() > 0 || native.instanceCount() > 0) return;
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
  hold ??= setInterval(() => undefined, 2 ** 30);
  try {
    return await task();
  } finally {
    busy--;
    if (busy === 0 && servers.size === 0) {
      clearInterval(hold);
      hold = undefined;
    }
  }
}

function checkShutdown(signal: AbortSignal): void {
  if (signal.aborted) throw new WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'start: shutdown was called before it was done');
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
