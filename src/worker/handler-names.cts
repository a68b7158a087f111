import { WSBrokerError, WSBrokerTypeError } from '../errors.cjs';
import { editDistance } from '../options/checks.cjs';
import { warnOnce } from '../report.cjs';
import type { WorkerInterface } from '../types/worker-interface.cjs';
import { ownFunctions } from './own-functions.cjs';

// The names of handlers, and names that look like a mistake: a misspelled handler would never be
// called, and with a misspelled `handleOpen` every connection would be accepted.

export const HANDLER_NAMES = [
  'handleOpen',
  'handleTextMessage',
  'handleBinaryMessage',
  'handleClose',
  'handleDrain',
  'handleLost',
  'handleStart',
  'handleStop',
  'onError',
] as const satisfies readonly (keyof WorkerInterface)[];

type HandlerKey = (typeof HANDLER_NAMES)[number];

const MESSAGES: readonly HandlerKey[] = ['handleTextMessage', 'handleBinaryMessage'];
/** What other libraries call them, in lower case. Case does not matter. */
const FOREIGN_NAMES: Readonly<Record<string, readonly HandlerKey[]>> = {
  handlemessage: MESSAGES,
  onmessage: MESSAGES,
  handletext: ['handleTextMessage'],
  ontextmessage: ['handleTextMessage'],
  handlebinary: ['handleBinaryMessage'],
  onbinarymessage: ['handleBinaryMessage'],
  onopen: ['handleOpen'],
  onconnection: ['handleOpen'],
  handleconnection: ['handleOpen'],
  onclose: ['handleClose'],
  ondrain: ['handleDrain'],
  onlost: ['handleLost'],
};
/** The same, but only in this spelling: `Message` may be a class. */
const FOREIGN_NAMES_EXACT: Readonly<Record<string, readonly HandlerKey[]>> = {
  message: MESSAGES,
  open: ['handleOpen'],
  close: ['handleClose'],
  drain: ['handleDrain'],
};

/**
 * As similar to the name of a handler as a typing error, but words in their own right: `handleStep`
 * is not a misspelled `handleStop`.
 */
const OWN_WORDS = new Set([
  'pen', 'oven', 'omen', 'clone', 'chose', 'lose', 'host', 'last', 'list', 'post', 'most', 'cost', 'loss', 'log', 'load', 'closet', 'train', 'brain', 'grain', 'rain',
  'drawn', 'star', 'stars', 'stat', 'smart', 'step', 'shop', 'top', 'stoop', 'nextmessage',
  'testmessage',
]);

/**
 * Looks for functions that were meant to be handlers.
 *
 * @param call the name of the call, for messages
 * @param holders where handlers were looked for: a module, its default export, an object
 * @param handlers the handlers that were found; `undefined` if there are none
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a function has almost the name of a handler
 * that is missing; or there is no handler, only functions with the names that other libraries use
 */
export function checkNames(
  call: string,
  holders: readonly unknown[],
  handlers: object | undefined,
): void {
  const has = (name: HandlerKey): boolean =>
    handlers !== undefined && Reflect.get(handlers, name) !== undefined;
  const foreign = new Map<string, readonly HandlerKey[]>();
  for (const [key, isFunction] of members(holders)) {
    const similar = misspelledHandler(key);
    if (similar !== undefined && !has(similar) && isFunction()) {
      throw unknown(
        `${call}: "${key}" is not a handler; did you mean "${similar}"? If it is something ` +
          'else, rename it',
      );
    }
    const meant = Object.hasOwn(FOREIGN_NAMES_EXACT, key)
      ? FOREIGN_NAMES_EXACT[key]
      : Object.hasOwn(FOREIGN_NAMES, key.toLowerCase())
        ? FOREIGN_NAMES[key.toLowerCase()]
        : undefined;
    if (meant !== undefined && !meant.some(has) && isFunction()) foreign.set(key, meant);
  }
  if (foreign.size === 0) return;
  const list = [...foreign]
    .map(
      ([key, meant]) =>
        `"${key}" (wsbroker calls it ${meant.map((name) => `"${name}"`).join(' and ')})`,
    )
    .join(', ');
  if (!HANDLER_NAMES.some(has)) throw unknown(`${call}: there are no handlers, only ${list}`);
  warnOnce(`${call}: these are not handlers and are never called: ${list}`);
}

/**
 * Whether the value is a class that has the handlers as methods of its instances.
 *
 * @param handlers handlers that were found elsewhere: then a class counts only if it has one that
 * is missing there
 */
export function isClassOfHandlers(
  value: unknown,
  handlers: object | undefined,
): value is { readonly name: string } {
  if (typeof value !== 'function') return false;
  const { prototype } = value as { prototype?: unknown };
  if (typeof prototype !== 'object' || prototype === null) return false;
  const methods = HANDLER_NAMES.filter((name) => name in prototype);
  if (handlers !== undefined) {
    return methods.some((name) => Reflect.get(handlers, name) === undefined);
  }
  return methods.length > 0 || /^class\b/.test(Function.prototype.toString.call(value));
}

/** For a default export. */
export function classExported(call: string, { name }: { readonly name: string }): WSBrokerError {
  return unknown(
    `${call}: the default export is a class, but handlers are called on an object: export an ` +
      `instance, as in "export default new ${shownName(name)}()"`,
  );
}

/** For an argument. */
export function classGiven(call: string, { name }: { readonly name: string }): TypeError {
  return new WSBrokerTypeError(
    `${call}: "handlers" must be an object, got a class: pass an instance, as in ` +
      `"registerWorkerThread(new ${shownName(name)}())"`,
  );
}

function shownName(name: string): string {
  return name === '' || name === 'default' ? 'Handlers' : name;
}

function unknown(message: string): WSBrokerError {
  return new WSBrokerError('ERR_WSBROKER_UNKNOWN_HANDLER', message);
}

/**
 * The names of all members of the holders, each once, including inherited ones: methods of an
 * instance belong to its class. Getters run only if the value matters.
 */
function* members(holders: readonly unknown[]): Generator<[string, () => boolean]> {
  const seen = new Set<string>();
  for (const holder of holders) {
    for (let object = holder; isHolder(object); object = Object.getPrototypeOf(object)) {
      for (const key of Object.getOwnPropertyNames(object)) {
        if (seen.has(key)) continue;
        seen.add(key);
        yield [key, () => isForeignFunction(holder, key)];
      }
    }
  }
}

function isHolder(value: unknown): value is object {
  if (
    (typeof value !== 'object' && typeof value !== 'function') ||
    value === null ||
    Array.isArray(value) ||
    ArrayBuffer.isView(value)
  ) {
    return false;
  }
  // Not `Object.prototype` of any context, where every chain of prototypes ends.
  return (
    !(
      Object.hasOwn(value, 'constructor') &&
      Object.hasOwn(value, 'toString') &&
      Object.getPrototypeOf(value) === null
    ) && value !== Function.prototype
  );
}

/** A module that re-exports wsbroker has a `close`, which is not a mistake. */
function isForeignFunction(holder: unknown, key: string): boolean {
  try {
    const value: unknown = Reflect.get(holder as object, key);
    return typeof value === 'function' && !ownFunctions.has(value);
  } catch {
    return false;
  }
}

/**
 * The handler whose name this almost is. A name with a digit is deliberate, not a typing error.
 */
function misspelledHandler(key: string): HandlerKey | undefined {
  if (key.length > 32 || /\d/.test(key) || (HANDLER_NAMES as readonly string[]).includes(key)) {
    return undefined;
  }
  const lower = key.toLowerCase();
  return HANDLER_NAMES.find((name) => {
    const prefix = name.startsWith('on') ? 'on' : 'handle';
    const word = name.slice(prefix.length).toLowerCase();
    if (lower.startsWith(prefix)) return isSimilar(lower.slice(prefix.length), word);
    // `handel`, `hadnle`, `handl`. The word `on` is too short for that.
    const starts =
      prefix === 'on'
        ? []
        : [5, 6, 7]
            .map((length) => lower.slice(0, length))
            .filter((start) => /[el]$/.test(start) && editDistance(start, prefix) === 1);
    return starts.some((start) => isSimilar(lower.slice(start.length), word));
  });
}

function isSimilar(rest: string, word: string): boolean {
  return !OWN_WORDS.has(rest) && editDistance(rest, word) <= (word.length > 8 ? 2 : 1);
}
