import { fileURLToPath } from 'node:url';
import { builtins } from '../builtins.cjs';
import { WSBrokerRangeError } from '../errors.cjs';
import type {
  NativeDeflate,
  NativeHistoryRule,
  NativeListenOptions,
  NativeRateLimit,
  NativeTrustProxy,
} from '../native.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
import { exampleBind, OPTION_HINTS } from './advice.cjs';
import {
  duration,
  integer,
  isHttpToken,
  isSendableCode,
  knownKeys,
  MAX_SIZE,
  oneOf,
  optional,
  SENDABLE_CODES,
  strings,
  type Unit,
  wrongType,
  wrongValue,
} from './checks.cjs';
import { checkClusterOptions, type CheckedClusterOptions } from './cluster.cjs';
import { checkHistory } from './history.cjs';
import { checkHttpOptions, type CheckedHttpOptions, HTTP_OPTIONS } from './http.cjs';
import { type CheckedThreadOptions, checkThreadOptions } from './threads.cjs';
import { type CheckedTlsOptions, checkTlsOptions } from './tls.cjs';

// The options of `start` and `shutdown`. Each function returns them checked and complete, or
// throws.

export const MAX_THREADS = 1024;
/** The longest string of V8: a text message must fit into one. */
const MAX_STRING = 2 ** 29 - 24;

/** The process-wide options. */
export interface ProcessOptions {
  threads: number;
  handlers: 'serial' | 'concurrent';
  handlerTimeout: number;
  'watchdog.after': number;
  'watchdog.action': 'report' | 'replace';
  ioThreads: number;
  maxSendMemory: number;
  maxReceiveMemory: number;
  'maxInFlight.messages': number;
  'maxInFlight.bytes': number;
  'maxInFlight.workerBytes': number;
  maxPendingUpgrades: number;
  maxConnections: number;
  maxConnectionsPerIp: number;
  maxChannelsPerSocket: number;
  maxChannelNameLength: number;
  history: NativeHistoryRule[];
  maxHistoryMemory: number;
}

/** Options of `start`, checked. */
export interface CheckedStartOptions {
  readonly workerPath: string | undefined;
  readonly startTimeout: number;
  readonly process: Partial<ProcessOptions>;
  readonly threads: CheckedThreadOptions | undefined;
  readonly listener: Omit<NativeListenOptions, 'process' | 'tls' | 'http'>;
  readonly http: CheckedHttpOptions | undefined;
  readonly tls: CheckedTlsOptions | undefined;
  readonly cluster: CheckedClusterOptions | undefined;
  readonly onWorker: ((event: WorkerEvent) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

export const START_OPTIONS = [
  'bind', 'workerPath', 'threads', 'startTimeout', 'worker', 'handlers', 'handlerTimeout',
  'watchdog', 'ioThreads', 'path', 'protocols', 'maxPayload', 'handshakeTimeout', 'openTimeout',
  'maxPendingUpgrades', 'maxHeaderSize', 'idleTimeout', 'pings', 'pingInterval', 'closeTimeout',
  'maxBackpressure', 'overflow', 'maxSendMemory', 'maxReceiveMemory', 'maxInFlight',
  'maxConnections', 'maxConnectionsPerIp', 'maxChannelsPerSocket', 'maxChannelNameLength',
  'history', 'maxHistoryMemory', 'maxLifetime', 'rateLimit', 'origins', 'trustProxy', 'proxyProtocol', 'reusePort',
  'perMessageDeflate', 'tls', 'onWorker', 'cluster', 'signal', ...HTTP_OPTIONS,
] as const;

/**
 * @param call the name of the call, for messages
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
export function checkStartOptions(options: unknown, call = 'start'): CheckedStartOptions {
  const bag = knownKeys(call, 'options', options, START_OPTIONS, OPTION_HINTS);
  if (typeof bag['bind'] !== 'string') {
    throw wrongType(call, 'bind', exampleBind(bag['bind']), bag['bind']);
  }
  const time = (name: string, from: number, fallback: number): number =>
    duration(call, name, bag[name], from) ?? fallback;
  const size = (name: string, from: number, to: number, fallback: number): number =>
    integer(call, name, bag[name], from, to, 'bytes') ?? fallback;
  const paths = servedPaths(call, bag['path']);
  return {
    workerPath: path(call, 'workerPath', bag['workerPath']),
    startTimeout: time('startTimeout', 0, 30_000),
    process: processOptions(call, bag),
    threads: threadOptions(call, bag),
    listener: {
      bind: bag['bind'],
      paths,
      protocols: subprotocols(call, bag['protocols']),
      handshakeTimeout: time('handshakeTimeout', 1, 10_000),
      openTimeout: time('openTimeout', 1, 10_000),
      maxHeaderSize: size('maxHeaderSize', 256, 2 ** 20, 16_384),
      maxPayload: size('maxPayload', 1, MAX_STRING, 2 ** 20),
      idleTimeout: time('idleTimeout', 0, 120_000),
      pings: optional(call, 'pings', bag['pings'], 'boolean') ?? true,
      pingInterval: time('pingInterval', 0, 25_000),
      closeTimeout: time('closeTimeout', 1, 5_000),
      maxBackpressure: size('maxBackpressure', 1, MAX_SIZE, 2 ** 20),
      overflow:
        oneOf(call, 'overflow', bag['overflow'], ['close', 'dropNewest', 'dropOldest']) ?? 'close',
      maxLifetime: time('maxLifetime', 0, 0),
      rateLimit: rateLimit(call, bag['rateLimit']),
      origins: allowedOrigins(call, bag['origins']),
      trustProxy: trustProxy(call, bag['trustProxy']),
      proxyProtocol: optional(call, 'proxyProtocol', bag['proxyProtocol'], 'boolean') ?? false,
      reusePort: optional(call, 'reusePort', bag['reusePort'], 'boolean') ?? false,
      deflate: deflate(call, bag['perMessageDeflate']),
    },
    http: checkHttpOptions(call, bag, paths),
    tls: bag['tls'] === undefined ? undefined : checkTlsOptions(call, bag['tls']),
    cluster:
      bag['cluster'] === undefined
        ? undefined
        : checkClusterOptions(call, 'cluster', bag['cluster']),
    onWorker: optional(
      call,
      'onWorker',
      bag['onWorker'],
      'function',
    ) as CheckedStartOptions['onWorker'],
    signal: abortSignal(call, bag['signal']),
  };
}

/** @throws as {@link checkStartOptions} */
export function checkShutdownOptions(options: unknown): { code: number; timeout: number } {
  const call = 'shutdown';
  const bag = options === undefined ? {} : knownKeys(call, 'options', options, ['code', 'timeout']);
  const code = integer(call, 'code', bag['code'], 1000, 4999) ?? 1001;
  if (!isSendableCode(code)) throw wrongValue(call, 'code', SENDABLE_CODES, code);
  return { code, timeout: duration(call, 'timeout', bag['timeout'], 0) ?? 8_000 };
}

/** An `AbortSignal` of any context. */
function abortSignal(call: string, value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  const { aborted, addEventListener } = (value ?? {}) as Partial<AbortSignal>;
  if (typeof aborted !== 'boolean' || typeof addEventListener !== 'function') {
    throw wrongType(call, 'signal', 'an AbortSignal', value);
  }
  return value as AbortSignal;
}

function threadOptions(
  call: string,
  bag: Record<string, unknown>,
): CheckedThreadOptions | undefined {
  if (bag['worker'] === undefined) return undefined;
  const threads = checkThreadOptions(call, bag['worker']);
  if (bag['threads'] === 0) {
    throw new WSBrokerRangeError(
      `${call}: "worker" cannot be combined with threads: 0, which starts no worker threads`,
    );
  }
  return threads;
}

function processOptions(call: string, bag: Record<string, unknown>): Partial<ProcessOptions> {
  const inFlight =
    bag['maxInFlight'] === undefined
      ? {}
      : knownKeys(
          call,
          'maxInFlight',
          bag['maxInFlight'],
          ['messages', 'bytes', 'workerBytes'],
          {},
          'an object such as { messages: 256 }',
        );
  const watchdog =
    bag['watchdog'] === undefined
      ? {}
      : knownKeys(
          call,
          'watchdog',
          bag['watchdog'],
          ['after', 'action'],
          {},
          "an object such as { after: 10_000, action: 'replace' }",
        );
  const memory = (name: string): number | undefined =>
    integer(call, name, bag[name], 1, Number.MAX_SAFE_INTEGER, 'bytes');
  const count = (name: string): number | undefined => integer(call, name, bag[name], 1, MAX_SIZE);
  const flight = (name: string, unit?: Unit): number | undefined =>
    integer(call, `maxInFlight.${name}`, inFlight[name], 1, MAX_SIZE, unit);
  const all: { [K in keyof ProcessOptions]: ProcessOptions[K] | undefined } = {
    threads: integer(call, 'threads', bag['threads'], 0, MAX_THREADS),
    handlers: oneOf(call, 'handlers', bag['handlers'], ['serial', 'concurrent']),
    handlerTimeout: duration(call, 'handlerTimeout', bag['handlerTimeout'], 0),
    'watchdog.after': duration(call, 'watchdog.after', watchdog['after'], 100),
    'watchdog.action': oneOf(call, 'watchdog.action', watchdog['action'], ['report', 'replace']),
    ioThreads: integer(call, 'ioThreads', bag['ioThreads'], 1, 1024),
    maxSendMemory: memory('maxSendMemory'),
    maxReceiveMemory: memory('maxReceiveMemory'),
    'maxInFlight.messages': flight('messages'),
    'maxInFlight.bytes': flight('bytes', 'bytes'),
    'maxInFlight.workerBytes': flight('workerBytes', 'bytes'),
    maxPendingUpgrades: count('maxPendingUpgrades'),
    maxConnections: count('maxConnections'),
    maxConnectionsPerIp: count('maxConnectionsPerIp'),
    maxChannelsPerSocket: count('maxChannelsPerSocket'),
    maxChannelNameLength: count('maxChannelNameLength'),
    history: checkHistory(call, bag['history']),
    maxHistoryMemory: memory('maxHistoryMemory'),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function servedPaths(call: string, value: unknown): string[] {
  if (value === undefined) return ['*'];
  const paths =
    typeof value === 'string'
      ? [value]
      : strings(call, 'path', value, 'a string or an array of strings');
  for (const one of paths) {
    if (one !== '*' && !/^\/[^?#\s]*$/.test(one)) {
      throw wrongValue(
        call,
        'path',
        "'*', or a path that begins with '/' and has no '?', '#' or space",
        one,
      );
    }
  }
  return [...new Set(paths)];
}

function subprotocols(call: string, value: unknown): string[] {
  if (value === undefined) return [];
  const list = strings(call, 'protocols', value, 'an array of strings');
  for (const one of list) {
    if (!isHttpToken(one)) {
      throw wrongValue(call, 'protocols', "names of letters, digits and !#$%&'*+-.^_`|~", one);
    }
  }
  return [...new Set(list)];
}

function rateLimit(call: string, value: unknown): NativeRateLimit | undefined {
  if (value === undefined) return undefined;
  const bag = knownKeys(
    call,
    'rateLimit',
    value,
    ['messages', 'bytes', 'burst', 'action'],
    {},
    'an object such as { messages: 50, burst: 200 }',
  );
  const number = (name: string, to: number, unit?: Unit): number | undefined =>
    integer(call, `rateLimit.${name}`, bag[name], 1, to, unit);
  const messages = number('messages', MAX_SIZE);
  const bytes = number('bytes', Number.MAX_SAFE_INTEGER, 'bytes');
  if (messages === undefined && bytes === undefined) {
    throw new WSBrokerRangeError(`${call}: "rateLimit" must set "messages", "bytes" or both`);
  }
  return {
    messages,
    bytes,
    burst: number('burst', MAX_SIZE),
    action: oneOf(call, 'rateLimit.action', bag['action'], ['pause', 'close']) ?? 'pause',
  };
}

function deflate(call: string, value: unknown): NativeDeflate | undefined {
  if (value === undefined || value === false) return undefined;
  if (value !== true && typeof value !== 'object') {
    throw wrongType(call, 'perMessageDeflate', 'a boolean or an object', value);
  }
  const bag =
    value === true ? {} : knownKeys(call, 'perMessageDeflate', value, ['threshold', 'level']);
  return {
    threshold: integer(call, 'perMessageDeflate.threshold', bag['threshold'], 0, MAX_SIZE, 'bytes') ?? 1024,
    level: integer(call, 'perMessageDeflate.level', bag['level'], 1, 9) ?? 3,
  };
}

/** One string or an array of them, each checked under its own name. */
function oneOrMore(
  call: string,
  name: string,
  value: unknown,
  check: (name: string, one: string) => string,
): string[] {
  if (typeof value === 'string') return [check(name, value)];
  const list = strings(call, name, value, 'a string or an array of strings');
  return [...new Set(list.map((one, i) => check(`${name}[${i}]`, one)))];
}

function allowedOrigins(call: string, value: unknown): string[] | undefined {
  if (value === undefined) return undefined;
  return oneOrMore(call, 'origins', value, (name, one) => {
    const origin = originOf(one);
    if (origin === undefined) {
      throw wrongValue(
        call,
        name,
        "'*', 'null', or an origin such as 'https://app.example' or 'https://*.app.example', " +
          'without a path',
        one,
      );
    }
    return origin;
  });
}

/**
 * As browsers send it (RFC 6454, section 6.2): in lower case, names in Punycode, no port where it
 * is the usual one.
 */
function originOf(text: string): string | undefined {
  if (text === '*' || text === 'null') return text;
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\\s]+$/i.test(text)) return undefined;
  if (!/^https?:/i.test(text)) return text.toLowerCase();
  try {
    return new URL(text).origin;
  } catch {
    return undefined;
  }
}

function trustProxy(call: string, value: unknown): NativeTrustProxy | undefined {
  if (value === undefined) return undefined;
  const bag = knownKeys(
    call,
    'trustProxy',
    value,
    ['from', 'header'],
    {},
    "an object such as { from: '10.0.0.0/8' }",
  );
  const from = oneOrMore(call, 'trustProxy.from', bag['from'], (name, one) => {
    if (one !== 'unix' && !isNetwork(one)) {
      throw wrongValue(call, name, "an IP address, a network such as '10.0.0.0/8', or 'unix'", one);
    }
    return one;
  });
  if (from.length === 0) {
    throw new WSBrokerRangeError(
      `${call}: "trustProxy.from" must contain at least one proxy, got an empty array`,
    );
  }
  return {
    from: from.filter((one) => one !== 'unix'),
    unix: from.includes('unix'),
    header:
      oneOf(call, 'trustProxy.header', bag['header'], ['x-forwarded-for', 'forwarded']) ??
      'x-forwarded-for',
  };
}

function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = builtins.net.isIP(address);
  return family !== 0 && (prefix === undefined || Number(prefix) <= (family === 4 ? 32 : 128));
}

export function path(call: string, name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && !value.startsWith('file:')) {
    if (value === '' || value.includes('\0')) {
      throw wrongValue(call, name, 'the path of a module', value);
    }
    return value;
  }
  if (typeof value !== 'string' && !(value instanceof URL)) {
    throw wrongType(call, name, 'a string or a file: URL', value);
  }
  try {
    return fileURLToPath(value);
  } catch {
    throw wrongValue(call, name, 'a path or a file: URL on this machine', String(value));
  }
}
