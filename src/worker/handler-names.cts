import { editDistance } from '../options/checks.cjs';
import { WSBrokerError, WSBrokerTypeError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { warnOnce } from '../report.cjs';
import type { WorkerInterface } from '../types/worker-interface.cjs';

// Names of handlers, and names that were meant to be one: a handler that is never called fails
// silently, and with a misspelt `handleOpen` everybody is let in.

export const HANDLER_NAMES = [
  'handleOpen',
  'handleTextMessage',
  'handleBinaryMessage',
  'handleClose',
  'handleDrain',
  'handleStart',
  'handleStop',
  'onError',
] as const satisfies readonly (keyof WorkerInterface)[];

type Name = (typeof HANDLER_NAMES)[number];

const MESSAGES: readonly Name[] = ['handleTextMessage', 'handleBinaryMessage'];
/** What other libraries call them, in lower case. */
const LOOSE: Readonly<Record<string, readonly Name[]>> = {
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
};
/** The same, but only exactly so: `Message` may be a class. */
const BARE: Readonly<Record<string, readonly Name[]>> = {
  message: MESSAGES,
  open: ['handleOpen'],
  close: ['handleClose'],
  drain: ['handleDrain'],
};

/**
 * As near to a handler's name as a typing error, but words of their own: `handleStep` is not a
 * misspelt `handleStop`.
 */
const OWN_WORDS = new Set([
  'pen', 'oven', 'omen', 'clone', 'chose', 'lose', 'closet', 'train', 'brain', 'grain', 'rain',
  'drawn', 'star', 'stars', 'stat', 'smart', 'step', 'shop', 'top', 'stoop', 'nextmessage',
  'testmessage',
]);

/**
 * Looks at what is there besides handlers.
 *
 * @param call who asks, for messages
 * @param holders where handlers were looked for: a module, its default export, an object
 * @param handlers what was found; `undefined` if there is nothing
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a function has almost the name of a handler
 * that is not there; or there is no handler at all, but functions that other libraries would call
 */
export function checkNames(
  call: string,
  holders: readonly unknown[],
  handlers: object | undefined,
): void {
  const has = (name: Name): boolean =>
    handlers !== undefined && Reflect.get(handlers, name) !== undefined;
  const foreign = new Map<string, readonly Name[]>();
  for (const [key, isFunction] of members(holders)) {
    const near = misspelt(key);
    if (near !== undefined && !has(near) && isFunction()) {
      throw unknown(
        `${call}: "${key}" is not a handler; did you mean "${near}"? If it is something else, rename it`,
      );
    }
    const meant = Object.hasOwn(BARE, key)
      ? BARE[key]
      : Object.hasOwn(LOOSE, key.toLowerCase())
        ? LOOSE[key.toLowerCase()]
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
  if (!HANDLER_NAMES.some(has)) throw unknown(`${call}: there are no handlers, but ${list}`);
  warnOnce(`${call}: not a handler, and never called: ${list}`);
}

/**
 * Whether it is a class, whose methods only an instance has.
 *
 * @param handlers what was found elsewhere: a class beside it is refused only for a handler that is
 * missing there
 */
export function isClassOfHandlers(
  value: unknown,
  handlers: object | undefined,
): value is { readonly name: string } {
  if (typeof value !== 'function') return false;
  const { prototype } = value as { prototype?: unknown };
  if (typeof prototype !== 'object' || prototype === null) return false;
  const methods = HANDLER_NAMES.filter((name) => name in prototype);
  if (handlers !== undefined)
    return methods.some((name) => Reflect.get(handlers, name) === undefined);
  return methods.length > 0 || /^class\b/.test(Function.prototype.toString.call(value));
}

/** For a default export. */
export function classExported(call: string, { name }: { readonly name: string }): WSBrokerError {
  return unknown(
    `${call}: the default export is a class, and handlers are called on an object: export an instance, as in "export default new ${shownName(name)}()"`,
  );
}

/** For an argument. */
export function classGiven(call: string, { name }: { readonly name: string }): TypeError {
  return new WSBrokerTypeError(
    `${call}: "handlers" must be an object, got a class: pass an instance, as in "registerWorkerThread(new ${shownName(name)}())"`,
  );
}

function shownName(name: string): string {
  return name === '' || name === 'default' ? 'Handlers' : name;
}

function unknown(message: string): WSBrokerError {
  return new WSBrokerError('ERR_WSBROKER_UNKNOWN_HANDLER', message);
}

/**
 * Names of what the holders have, each once, inherited ones too: methods of an instance are its
 * class's. Getters run only where the value matters.
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
  )
    return false;
  // Where every object's chain ends, in any realm.
  return (
    !(
      Object.hasOwn(value, 'constructor') &&
      Object.hasOwn(value, 'toString') &&
      Object.getPrototypeOf(value) === null
    ) && value !== Function.prototype
  );
}

/** A module that passes on what wsbroker exports has a `close`, which is nobody's mistake. */
function isForeignFunction(holder: unknown, key: string): boolean {
  try {
    const value: unknown = Reflect.get(holder as object, key);
    return typeof value === 'function' && value !== native.close;
  } catch {
    return false;
  }
}

/**
 * The handler whose name this almost is. A name with a digit in it is a second one of something,
 * not a slip.
 */
function misspelt(key: string): Name | undefined {
  if (key.length > 32 || /\d/.test(key) || (HANDLER_NAMES as readonly string[]).includes(key))
    return undefined;
  const lower = key.toLowerCase();
  return HANDLER_NAMES.find((name) => {
    const prefix = name.startsWith('on') ? 'on' : 'handle';
    const word = name.slice(prefix.length).toLowerCase();
    if (lower.startsWith(prefix)) return isNear(lower.slice(prefix.length), word);
    // `handel`, `hadnle`, `handl`: but of so short a word as `on` no other form can be told.
    const starts =
      prefix === 'on'
        ? []
        : [5, 6, 7]
            .map((length) => lower.slice(0, length))
            .filter((start) => /[el]$/.test(start) && editDistance(start, prefix) === 1);
    return starts.some((start) => isNear(lower.slice(start.length), word));
  });
}

function isNear(rest: string, word: string): boolean {
  return !OWN_WORDS.has(rest) && editDistance(rest, word) <= (word.length > 8 ? 2 : 1);
}
