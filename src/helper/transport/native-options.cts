import { fromNative, WSBrokerError } from '../../errors.cjs';
import type { NativeAgreed, NativeListenOptions } from '../../native.cjs';
import { HTTP_OPTIONS } from '../../options/http.cjs';
import { checkStartOptions, type ProcessOptions, START_OPTIONS } from '../../options/start.cjs';
import type { CheckedTlsOptions } from '../../options/tls.cjs';
import type { IBunWebSocketConfig } from '../types.cjs';
import type { TransportOptions } from './transport.cjs';

// The options of a helper, translated to options of `start` and checked.

export const CALL = 'WebSocketServerHelper';

/** Options of `start` that a helper does not have. */
export const NOT_FOR_HELPERS: readonly string[] = [
  'bind',
  'workerPath',
  'threads',
  'startTimeout',
  'worker',
  'handlers',
  'watchdog',
  'path',
  'cluster',
  'signal',
  'history',
  'maxHistoryMemory',
  ...HTTP_OPTIONS,
];

/** Options of Bun's sockets, and their names in `start`. */
const BUN_OPTIONS = [
  ['maxPayloadLength', 'maxPayload'],
  ['idleTimeout', 'idleTimeout'],
  ['sendPings', 'pings'],
  ['backpressureLimit', 'maxBackpressure'],
  ['perMessageDeflate', 'perMessageDeflate'],
] as const;

/** Options that apply to a whole address, and so to every path on it. */
const ADDRESS_OPTIONS = [
  'handshakeTimeout',
  'maxHeaderSize',
  'proxyProtocol',
  'reusePort',
  'tls',
  'trustProxy',
] as const;

/** The options, checked, as the addon takes them. */
export interface CheckedNativeOptions {
  readonly identifier: string;
  readonly bind: string;
  readonly agreed: NativeAgreed[];
  readonly process: Partial<ProcessOptions>;
  readonly listener: Omit<NativeListenOptions, 'process' | 'tls' | 'beside' | 'http'>;
  readonly tls: CheckedTlsOptions | undefined;
}

/**
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT: an option is wrong; the message says
 * which, what was expected and what was given
 */
export function checkNativeOptions(options: TransportOptions): CheckedNativeOptions {
  const { identifier, path, bind, maxAuthPayloadLength } = options;
  if (typeof identifier !== 'string' || identifier === '') {
    throw invalid(`"identifier" must be a non-empty string, got ${shown(identifier)}`);
  }
  if (path === '*') throw invalid("\"path\" must begin with '/', got '*'");
  if (typeof maxAuthPayloadLength !== 'number' || !(maxAuthPayloadLength >= 1)) {
    throw invalid(
      '"maxAuthPayloadLength" must be a number of at least 1, or Infinity, got ' +
        `${shown(maxAuthPayloadLength)}`,
    );
  }
  const given = givenOf(options);
  try {
    const { process, listener, tls } = checkStartOptions(
      { ...given, ...limitsOf(options, given), bind, path },
      CALL,
    );
    return {
      identifier,
      bind: listener.bind,
      agreed: agreedOf(options, given),
      process,
      listener: {
        ...listener,
        maxFirstPayload: Number.isFinite(maxAuthPayloadLength)
          ? Math.floor(maxAuthPayloadLength)
          : undefined,
        given: ADDRESS_OPTIONS.filter((name) => given[name] !== undefined),
      },
      tls,
    };
  } catch (error) {
    throw invalidFrom(withGivenName(error, options));
  }
}

/**
 * Turns an error of the addon into one of a helper, which has not called `start`.
 */
export function helperError(error: unknown): unknown {
  const ours = fromNative(error);
  if (ours instanceof Error && ours.message.startsWith('start: ')) {
    ours.message = `${CALL}: ${ours.message.slice('start: '.length)}`;
  }
  return ours;
}

function givenOf({ native }: TransportOptions): Record<string, unknown> {
  const all = native as Record<string, unknown>;
  const names = START_OPTIONS.filter(
    (name) => !NOT_FOR_HELPERS.includes(name) && all[name] !== undefined && all[name] !== null,
  );
  return Object.fromEntries(names.map((name) => [name, all[name]]));
}

/**
 * For each limit the value of `serverOptions`, otherwise that of the option of `start`, otherwise
 * the default of the helper. A limit whose default was removed is left out, so that the default of
 * `start` applies.
 */
function limitsOf(
  { serverOptions, givenServerOptions }: TransportOptions,
  given: Record<string, unknown>,
): Record<string, unknown> {
  const choose = (
    name: keyof typeof serverOptions,
    started: string,
    convert: (value: unknown) => unknown = (value) => value,
  ): [string, unknown] => {
    const own: unknown = givenServerOptions[name] ?? undefined;
    if (own !== undefined) return [started, convert(own)];
    if (given[started] !== undefined) return [started, given[started]];
    const fallback: unknown = serverOptions[name] ?? undefined;
    return [started, fallback === undefined ? undefined : convert(fallback)];
  };
  const converters: Partial<Record<keyof IBunWebSocketConfig, (value: unknown) => unknown>> = {
    idleTimeout: (seconds) => (typeof seconds === 'number' ? Math.round(seconds * 1000) : seconds),
    // `perMessageDeflate` of `start` may hold details: `true` keeps them.
    perMessageDeflate: (on) =>
      on === true && typeof given['perMessageDeflate'] === 'object'
        ? given['perMessageDeflate']
        : on,
  };
  const overflow = givenServerOptions.closeOnBackpressureLimit === true ? 'close' : 'dropNewest';
  return Object.fromEntries(
    [
      ...BUN_OPTIONS.map(([name, started]) => choose(name, started, converters[name])),
      [
        'overflow',
        (givenServerOptions.closeOnBackpressureLimit ?? undefined) === undefined
          ? (given['overflow'] ?? overflow)
          : overflow,
      ],
    ].filter(([, value]) => value !== undefined),
  );
}

/**
 * Lets an error name the option in `serverOptions` that was given, not its translation.
 */
function withGivenName(error: unknown, { givenServerOptions }: TransportOptions): unknown {
  if (!(error instanceof Error)) return error;
  for (const [name, started] of BUN_OPTIONS) {
    const given: unknown = givenServerOptions[name] ?? undefined;
    if (given === undefined || !error.message.includes(`"${started}"`)) continue;
    const unit =
      name === 'idleTimeout'
        ? ` (in milliseconds; serverOptions.idleTimeout is in seconds, and is ${shown(given)})`
        : '';
    error.message = error.message.replace(`"${started}"`, `"serverOptions.${name}"`) + unit;
  }
  return error;
}

/**
 * All helpers of an instance must agree on address, path, socket options and Redis; on the other
 * options if they give them.
 */
function agreedOf(
  { path, bind, serverOptions, redisForm }: TransportOptions,
  given: Record<string, unknown>,
): NativeAgreed[] {
  const rest = Object.entries(given).filter(([, value]) => typeof value !== 'function');
  return [
    { name: 'bind', text: bind, optional: false },
    { name: 'path', text: path, optional: false },
    { name: 'serverOptions', text: JSON.stringify(serverOptions), optional: false },
    { name: 'redisConnection', text: redisForm, optional: false },
    ...rest.map(([name, value]) => ({ name, text: JSON.stringify(value), optional: true })),
  ];
}

function invalidFrom(error: unknown): unknown {
  if (
    !(error instanceof WSBrokerError) ||
    !/^ERR_WSBROKER_(INVALID_ARG_|UNKNOWN_OPTION)/.test((error as { code: string }).code)
  ) {
    return error;
  }
  return new WSBrokerError('ERR_WSBROKER_INVALID_ARGUMENT', error.message, { cause: error });
}

function invalid(what: string): WSBrokerError {
  return new WSBrokerError('ERR_WSBROKER_INVALID_ARGUMENT', `${CALL}: ${what}`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
