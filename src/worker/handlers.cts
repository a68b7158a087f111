import { type AsyncScope, scopeHere } from '../async-scope.cjs';
import { wrongType } from '../options/checks.cjs';
import { isThenable } from '../promises.cjs';
import { reportError, reportHandlerError } from '../report.cjs';
import type { ErrorContext, HandlerName } from '../types/worker-interface.cjs';
import { checkNames, classGiven, HANDLER_NAMES, isClassOfHandlers } from './handler-names.cjs';

/**
 * Which events the addon sends to a worker: those that have a handler. `pinned`: its connections
 * are closed with 1012 when it ends, instead of moving to another worker. `forget`: it hears of the
 * end of sockets that have had a token, whether or not it has a handler for that.
 */
export const MASK = {
  open: 1,
  text: 2,
  binary: 4,
  close: 8,
  drain: 16,
  pinned: 32,
  lost: 64,
  forget: 128,
} as const;

/**
 * A property of handlers that keep what they know of connections on their thread. If it is `true`
 * the worker is pinned: see {@link MASK}.
 */
export const PINNED = Symbol('wsbroker.pinned');

type Handler = (...args: unknown[]) => unknown;

/** A worker's handlers. They are looked up once: later changes of the object have no effect. */
export interface HandlerTable extends Readonly<
  Record<Exclude<(typeof HANDLER_NAMES)[number], 'onError'>, Handler | undefined>
> {
  /** The `this` of each handler: the object they came from. */
  readonly self: unknown;
  readonly mask: number;
  /** The async context of the registration. */
  readonly scope: AsyncScope;
  /** Never throws, and leaves no rejection unhandled. */
  report(error: unknown, handler: HandlerName, socketId: number | undefined): void;
}

/** Whether the value has a property with the name of a handler. */
export function hasHandlers(value: unknown): value is Record<string, unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    HANDLER_NAMES.some((name) => Reflect.get(value, name) !== undefined)
  );
}

/**
 * @param holders where the handlers were found; misspelled ones are looked for there
 * @throws {TypeError} a handler is not a function; the message names it
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a handler is misspelled
 */
export function handlerTable(
  call: string,
  handlers: unknown,
  holders: readonly unknown[] = [handlers],
): HandlerTable {
  if (isClassOfHandlers(handlers, hasHandlers(handlers) ? handlers : undefined)) {
    throw classGiven(call, handlers);
  }
  // A function can have handlers, too: a class with static methods, or an exported function with
  // properties.
  if ((typeof handlers !== 'object' || handlers === null) && !hasHandlers(handlers)) {
    throw wrongType(call, 'handlers', 'an object', handlers);
  }
  const pick = (name: (typeof HANDLER_NAMES)[number]): Handler | undefined => {
    const value: unknown = Reflect.get(handlers, name);
    if (value !== undefined && typeof value !== 'function') {
      throw wrongType(call, `handlers.${name}`, 'a function', value);
    }
    return value as Handler | undefined;
  };
  checkNames(call, holders, handlers);
  const [handleOpen, handleTextMessage, handleBinaryMessage] = [
    pick('handleOpen'),
    pick('handleTextMessage'),
    pick('handleBinaryMessage'),
  ];
  const [handleClose, handleDrain] = [pick('handleClose'), pick('handleDrain')];
  const handleLost = pick('handleLost');
  const onError = pick('onError');
  const scope = scopeHere();
  // Tokens are cached by socket until its close event.
  const cachesTokens = handleTextMessage ?? handleBinaryMessage ?? handleDrain;
  return {
    self: handlers,
    handleOpen,
    handleTextMessage,
    handleBinaryMessage,
    handleClose,
    handleDrain,
    handleLost,
    handleStart: pick('handleStart'),
    handleStop: pick('handleStop'),
    mask:
      (handleOpen ? MASK.open : 0) |
      (handleTextMessage ? MASK.text : 0) |
      (handleBinaryMessage ? MASK.binary : 0) |
      (handleClose ? MASK.close : 0) |
      (cachesTokens ? MASK.forget : 0) |
      (handleDrain ? MASK.drain : 0) |
      (handleLost ? MASK.lost : 0) |
      (Reflect.get(handlers, PINNED) === true ? MASK.pinned : 0),
    scope,
    report: (error, handler, socketId) =>
      report(scope, handlers, onError, error, { handler, socketId }),
  };
}

function report(
  scope: AsyncScope,
  self: unknown,
  onError: Handler | undefined,
  error: unknown,
  context: ErrorContext,
): void {
  if (onError === undefined) return reportHandlerError(error, context);
  const failed = (reason: unknown): void => {
    reportHandlerError(error, context);
    reportError('onError failed', reason);
  };
  try {
    const result = scope.call(onError, self, error, context);
    if (isThenable(result)) Promise.resolve(result).then(undefined, failed);
  } catch (reason) {
    failed(reason);
  }
}
