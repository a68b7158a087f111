import { inspect, types } from 'node:util';

/** The codes of all errors that the package raises on purpose. */
export type WSBrokerErrorCode =
  /** There is no addon binary for this platform, or it does not load. */
  | 'ERR_WSBROKER_BINARY'
  /**
   * The operating system refused the address: it is in use, not allowed, or not of this machine.
   */
  | 'ERR_WSBROKER_BIND'
  /** `bind` is not an address. */
  | 'ERR_WSBROKER_INVALID_BIND'
  /**
   * The call contradicts an earlier one: a process-wide option, the worker module, or a path of the
   * same address.
   */
  | 'ERR_WSBROKER_CONFLICT'
  /**
   * A certificate or key, or its file, cannot be used; the message names it. `syscallCode` says why
   * a file could not be read.
   */
  | 'ERR_WSBROKER_TLS'
  /**
   * A socket is in as many channels as it may be (`maxChannelsPerSocket`), or the name of a channel
   * is too long (`maxChannelNameLength`).
   */
  | 'ERR_WSBROKER_LIMIT'
  /** The system does not support it. */
  | 'ERR_WSBROKER_UNSUPPORTED'
  /** An argument has the wrong type. The error is a `TypeError`. */
  | 'ERR_WSBROKER_INVALID_ARG_TYPE'
  /**
   * An argument has the right type, but a value that is not allowed. The error is a `RangeError`.
   */
  | 'ERR_WSBROKER_INVALID_ARG_VALUE'
  /** An option does not exist. */
  | 'ERR_WSBROKER_UNKNOWN_OPTION'
  /**
   * The name of a handler is misspelled, or there are no handlers, only functions with the names
   * that other libraries use.
   */
  | 'ERR_WSBROKER_UNKNOWN_HANDLER'
  /** Called in a worker of the pool, where it cannot work. */
  | 'ERR_WSBROKER_IN_WORKER'
  /** `start` was called without `workerPath`, and no worker is registered. */
  | 'ERR_WSBROKER_NO_WORKER'
  /** There is no file at `workerPath`. */
  | 'ERR_WSBROKER_WORKER_NOT_FOUND'
  /**
   * A worker threw or ended before it was ready, or did not load within `startTimeout`. `cause` is
   * its own error, if it has one.
   */
  | 'ERR_WSBROKER_WORKER_FAILED'
  /** A worker ended although nothing asked it to. */
  | 'ERR_WSBROKER_WORKER_DIED'
  /** A worker has not returned to its event loop for a second, or what `watchdog.after` says. */
  | 'ERR_WSBROKER_WORKER_STUCK'
  /** An async handler did not settle within `handlerTimeout`. */
  | 'ERR_WSBROKER_HANDLER_TIMEOUT'
  /** An argument or option of the server helper is not allowed. */
  | 'ERR_WSBROKER_INVALID_ARGUMENT'
  /** `redisConnection` of the server helper or its emitter is missing, or cannot be used. */
  | 'ERR_WSBROKER_INVALID_REDIS'
  /** Redis cannot be reached, or was lost before it answered; the message says more. */
  | 'ERR_WSBROKER_BUS_LOST'
  /** Redis refused it, or was lost before it answered; the message says which. */
  | 'ERR_WSBROKER_REDIS'
  /** It has been closed, or was closed before it was done, as by `shutdown` during `start`. */
  | 'ERR_WSBROKER_SHUT_DOWN'
  /** The system refuses the threads that a broker needs. */
  | 'ERR_WSBROKER_START'
  /** Of `wsbroker/testing`: what a test waited for did not happen. */
  | 'ERR_WSBROKER_TEST'
  /** A fault in this package. */
  | 'ERR_WSBROKER_INTERNAL'
  /** `handleOpen` returned something that is not a verdict. The connection was refused with 500. */
  | 'ERR_WSBROKER_INVALID_VERDICT';

/**
 * An error that the package raises on purpose. Test its `code`, never its `message`.
 *
 * A wrong type is a `TypeError` with such a code, a wrong value a `RangeError`;
 * `instanceof WSBrokerError` is true for them, too. If the operating system refused, `syscallCode`
 * says why, for example `EADDRINUSE` with `ERR_WSBROKER_BIND`.
 */
export class WSBrokerError extends Error {
  override readonly name: string = 'WSBrokerError';
  readonly code: WSBrokerErrorCode;
  /** The system's own code, such as `EADDRINUSE`. */
  declare readonly syscallCode?: string;
  /**
   * Of a {@link publish} to a channel with history, with `cluster`: whether Redis has the message.
   * `false`: it has not. `'unknown'`: it was lost before it answered; publish again with the same
   * `id`.
   */
  declare readonly stored?: false | 'unknown';
  /** 500, with `ERR_WSBROKER_INVALID_REDIS`. */
  declare readonly statusCode?: number;
  /** Present, and undefined, with `ERR_WSBROKER_INVALID_REDIS`. */
  declare readonly messageCode?: string | undefined;

  constructor(code: WSBrokerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** By code, so that the `TypeError`s and the addon's own errors count, too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (!isOfAll(this)) return Function.prototype[Symbol.hasInstance].call(this, value);
    return isError(value) && String((value as { code?: unknown }).code).startsWith('ERR_WSBROKER_');
  }
}

/** Apart from the class: bundlers rename a class that names itself. */
function isOfAll(errors: unknown): boolean {
  return errors === WSBrokerError;
}

/** An argument has the wrong type. */
export class WSBrokerTypeError extends TypeError {
  readonly code = 'ERR_WSBROKER_INVALID_ARG_TYPE' satisfies WSBrokerErrorCode;
}

/** An argument has the right type, but a value that is not allowed. */
export class WSBrokerRangeError extends RangeError {
  readonly code = 'ERR_WSBROKER_INVALID_ARG_VALUE' satisfies WSBrokerErrorCode;
}

/** Errors of another context count, too: test runners give modules globals of their own. */
function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

/** An error of the addon as one of ours, with a stack that leads to the caller. */
export function fromNative(error: unknown): unknown {
  const { code, message, syscallCode } = error as {
    code?: unknown;
    message?: unknown;
    syscallCode?: unknown;
  };
  if (typeof code !== 'string' || !code.startsWith('ERR_WSBROKER_')) return error;
  if (code === 'ERR_WSBROKER_INVALID_ARG_VALUE') return new WSBrokerRangeError(String(message));
  if (code === 'ERR_WSBROKER_INVALID_ARG_TYPE') return new WSBrokerTypeError(String(message));
  const ours = new WSBrokerError(code as WSBrokerErrorCode, String(message));
  return syscallCode === undefined ? ours : Object.assign(ours, { syscallCode });
}

const BUILT_IN = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
} as const;

/**
 * An error on its way between threads: structured cloning alone would lose `code` and, on Bun,
 * more.
 */
export interface PortableError {
  readonly name?: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string | number;
  readonly cause?: PortableError;
  /** What was thrown was not an error. */
  readonly plain?: boolean;
}

/** @see {@link PortableError} */
export function toPortable(error: unknown, depth = 0): PortableError {
  try {
    if (!isError(error)) {
      return {
        message: typeof error === 'string' ? error : inspect(error, { depth: 1 }),
        plain: true,
      };
    }
    const { name, message, stack, code, cause } = error as Error & { code?: unknown };
    return {
      name: String(name),
      message: String(message),
      ...(typeof stack === 'string' && { stack }),
      ...((typeof code === 'string' || typeof code === 'number') && { code }),
      ...(cause !== undefined && depth < 8 && { cause: toPortable(cause, depth + 1) }),
    };
  } catch {
    return { message: 'an error that cannot be read', plain: true };
  }
}

/** Restores the error; classes of the language itself are restored, too. */
export function fromPortable(portable: PortableError): unknown {
  if (portable.plain) return portable.message;
  const { name = 'Error', message, stack, code, cause } = portable;
  const options = cause === undefined ? undefined : { cause: fromPortable(cause) };
  const BuiltIn = Object.hasOwn(BUILT_IN, name)
    ? BUILT_IN[name as keyof typeof BUILT_IN]
    : undefined;
  const error = BuiltIn === undefined ? new Error(message, options) : new BuiltIn(message, options);
  const hidden = { configurable: true, writable: true, enumerable: false };
  if (error.name !== name) Object.defineProperty(error, 'name', { ...hidden, value: name });
  if (stack !== undefined) Object.defineProperty(error, 'stack', { ...hidden, value: stack });
  return code === undefined ? error : Object.assign(error, { code });
}
