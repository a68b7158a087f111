import type { ErrorContext, HandlerName, WorkerInterface } from './types.cjs';
import { nearest, wrongType } from './checks.cjs';
import { complain, complainOfHandler, isThenable } from './report.cjs';
import { scopeHere, type Scope } from './scope.cjs';

export const HANDLER_NAMES = [
  'handleOpen', 'handleTextMessage', 'handleBinaryMessage', 'handleClose', 'handleDrain', 'handleStart', 'handleStop', 'onError',
] as const satisfies readonly (keyof WorkerInterface)[];

/** What the addon needs to know of a worker: events of other kinds never cross. */
export const MASK = { open: 1, text: 2, binary: 4, close: 8, drain: 16 } as const;

type Handler = (...args: unknown[]) => unknown;

/** A worker's handlers, looked up once: later changes of the user's object have no effect. */
export interface HandlerTable extends Readonly<Record<Exclude<(typeof HANDLER_NAMES)[number], 'onError'>, Handler | undefined>> {
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
  return value !== null && (typeof value === 'object' || typeof value === 'function') && HANDLER_NAMES.some((name) => Reflect.get(value, name) !== undefined);
}

/** @throws {TypeError} naming the handler that is no function */
export function handlerTable(call: string, handlers: unknown): HandlerTable {
  // A function can hold handlers, too: a class with static ones, or what CommonJS exports with properties.
  if ((typeof handlers !== 'object' || handlers === null) && !hasHandlers(handlers)) throw wrongType(call, 'handlers', 'an object', handlers);
  const pick = (name: (typeof HANDLER_NAMES)[number]): Handler | undefined => {
    const value: unknown = Reflect.get(handlers, name);
    if (value !== undefined && typeof value !== 'function') throw wrongType(call, `handlers.${name}`, 'a function', value);
    return value as Handler | undefined;
  };
  warnOfTypos([handlers]);
  const [handleOpen, handleTextMessage, handleBinaryMessage] = [pick('handleOpen'), pick('handleTextMessage'), pick('handleBinaryMessage')];
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
      (handleOpen ? MASK.open : 0)
      | (handleTextMessage ? MASK.text : 0)
      | (handleBinaryMessage ? MASK.binary : 0)
      | (closes ? MASK.close : 0)
      | (handleDrain ? MASK.drain : 0),
    scope,
    report: (error, handler, socketId) => report(scope, handlers, onError, error, { handler, socketId }),
  };
}

function report(scope: Scope, self: unknown, onError: Handler | undefined, error: unknown, context: ErrorContext): void {
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

/** Modules export all sorts of things, so a name that is almost a handler's is worth a warning, no more; and one, if several of the holders have it. */
export function warnOfTypos(holders: readonly unknown[]): void {
  const warned = new Set<string>();
  for (const holder of holders) {
    if (typeof holder !== 'object' || holder === null) continue;
    for (const key of Object.keys(holder)) {
      if (!/^(handle|on)/i.test(key) || warned.has(key) || (HANDLER_NAMES as readonly string[]).includes(key)) continue;
      if (typeof Reflect.get(holder, key) !== 'function') continue;
      const near = nearest(key, HANDLER_NAMES, 2);
      if (near === undefined) continue;
      warned.add(key);
      process.emitWarning(`"${key}" is no handler; did you mean "${near}"?`, { type: 'WSBrokerWarning' });
    }
  }
}
