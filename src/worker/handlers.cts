import type { ErrorContext, HandlerName } from '../types/worker-interface.cjs';
import { wrongType } from '../options/checks.cjs';
import { checkNames, classGiven, HANDLER_NAMES, isClassOfHandlers } from './handler-names.cjs';
import { complain, complainOfHandler } from '../report.cjs';
import { isThenable } from '../promises.cjs';
import { scopeHere, type Scope } from '../async-scope.cjs';

/** What the addon needs to know of a worker: events of other kinds never cross. */
export const MASK = { open: 1, text: 2, binary: 4, close: 8, drain: 16 } as const;

type Handler = (...args: unknown[]) => unknown;

/** A worker's handlers, looked up once: later changes of the user's object have no effect. */
export interface HandlerTable extends Readonly<
  Record<Exclude<(typeof HANDLER_NAMES)[number], 'onError'>, Handler | undefined>
> {
  /** `this` of each handler: the object they came from. */
  readonly self: unknown;
  readonly mask: number;
  /** That of the registration. */
  readonly scope: Scope;
  /** Never throws and leaves no rejection behind. */
  report(error: unknown, handler: HandlerName, socketId: number | undefined): void;
}

/** Whether the value looks like something that holds handlers. */
export function hasHandlers(value: unknown): value is Record<string, unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    HANDLER_NAMES.some((name) => Reflect.get(value, name) !== undefined)
  );
}

/**
 * @param holders where the handlers were found, which may hold misspelt ones besides
 * @throws {TypeError} naming the handler that is no function
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a handler is misspelt
 */
export function handlerTable(
  call: string,
  handlers: unknown,
  holders: readonly unknown[] = [handlers],
): HandlerTable {
  if (isClassOfHandlers(handlers, hasHandlers(handlers) ? handlers : undefined))
    throw classGiven(call, handlers);
  // A function can hold handlers, too: a class with static ones, or what CommonJS exports with
  // properties.
  if ((typeof handlers !== 'object' || handlers === null) && !hasHandlers(handlers))
    throw wrongType(call, 'handlers', 'an object', handlers);
  const pick = (name: (typeof HANDLER_NAMES)[number]): Handler | undefined => {
    const value: unknown = Reflect.get(handlers, name);
    if (value !== undefined && typeof value !== 'function')
      throw wrongType(call, `handlers.${name}`, 'a function', value);
    return value as Handler | undefined;
  };
  checkNames(call, holders, handlers);
  const [handleOpen, handleTextMessage, handleBinaryMessage] = [
    pick('handleOpen'),
    pick('handleTextMessage'),
    pick('handleBinaryMessage'),
  ];
  const [handleClose, handleDrain] = [pick('handleClose'), pick('handleDrain')];
  const onError = pick('onError');
  const scope = scopeHere();
  // Who is handed tokens keeps them by socket, and learns from the close event when to forget them.
  const closes = handleClose ?? handleTextMessage ?? handleBinaryMessage ?? handleDrain;
  return {
    self: handlers,
    handleOpen,
    handleTextMessage,
    handleBinaryMessage,
    handleClose,
    handleDrain,
    handleStart: pick('handleStart'),
    handleStop: pick('handleStop'),
    mask:
      (handleOpen ? MASK.open : 0) |
      (handleTextMessage ? MASK.text : 0) |
      (handleBinaryMessage ? MASK.binary : 0) |
      (closes ? MASK.close : 0) |
      (handleDrain ? MASK.drain : 0),
    scope,
    report: (error, handler, socketId) =>
      report(scope, handlers, onError, error, { handler, socketId }),
  };
}

function report(
  scope: Scope,
  self: unknown,
  onError: Handler | undefined,
  error: unknown,
  context: ErrorContext,
): void {
  if (onError === undefined) return complainOfHandler(error, context);
  const failed = (reason: unknown): void => {
    complainOfHandler(error, context);
    complain('onError failed', reason);
  };
  try {
    const result = scope.call(onError, self, error, context);
    if (isThenable(result)) Promise.resolve(result).then(undefined, failed);
  } catch (reason) {
    failed(reason);
  }
}
