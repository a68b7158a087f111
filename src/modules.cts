import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WSBrokerError } from './errors.cjs';
import { HANDLER_NAMES, hasHandlers, warnOfTypos } from './handlers.cjs';
import { currentRegistration, register, thread, type Registration } from './register.cjs';
import { within } from './time.cjs';

/**
 * The worker module's file, an extension added as `require` would.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND naming the path that was tried
 */
export function workerFile(path: string): string {
  const file = resolve(path);
  if (statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  try {
    return createRequire(join(process.cwd(), 'x.js')).resolve(file);
  } catch {
    throw new WSBrokerError('ERR_WSBROKER_WORKER_NOT_FOUND', `start: "workerPath" names no module: there is no file ${file}`);
  }
}

/** What a module registered by itself when it was first imported: a second import does not run it again. */
const registeredBy = new Map<string, unknown>();

/** Why a module that was waited for so many milliseconds counts as failed. */
export function loadTimeout(file: string, timeout: number): WSBrokerError {
  const what = `worker ${file} has not loaded within ${timeout} ms ("startTimeout"): a top-level await of it does not settle, or code of it does not return`;
  return new WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what);
}

/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports, unless it does so itself.
 *
 * @param timeout milliseconds for the import, 0 = no limit; what it calls at the top level of the module cannot be interrupted from here
 * @param loaded called when the module has been imported, before its `handleStart` is waited for
 * @throws what the module throws, or its `handleStart`, or {@link loadTimeout}; then the thread is no worker
 */
export async function loadWorker(file: string, timeout = 0, loaded = (): void => undefined): Promise<Registration> {
  const before = currentRegistration();
  thread.loading = true;
  try {
    const imported = import(pathToFileURL(file).href) as Promise<unknown>;
    if (timeout > 0 && !(await within(timeout, imported))) throw loadTimeout(file, timeout);
    const registration = importedWorker(file, await imported, before);
    loaded();
    await registration.ready;
    return registration;
  } catch (error) {
    const itself = currentRegistration();
    if (itself !== before) itself?.drop();
    throw error;
  } finally {
    thread.loading = false;
  }
}

function importedWorker(file: string, module: unknown, before: Registration | undefined): Registration {
  const itself = currentRegistration();
  if (itself !== undefined && itself !== before) {
    registeredBy.set(file, itself.handlers);
    return itself;
  }
  const handlers = registeredBy.get(file) ?? exportedHandlers(module);
  if (handlers !== undefined) return register(file, handlers);
  // A module need not have handlers. But one whose only handler is misspelt looks just like that.
  const outer = defaultOf(module);
  warnOfTypos([module, outer, defaultOf(outer)]);
  return register(file, {}, true);
}

/** Handlers are exported by name or on the default export; what a CommonJS module exports is its default. A name counts before a default. */
function exportedHandlers(module: unknown): unknown {
  const outer = defaultOf(module);
  // What TypeScript and Babel make of a default export in CommonJS.
  const inner = defaultOf(outer);
  const object = hasHandlers(outer) ? outer : hasHandlers(inner) ? inner : undefined;
  if (!hasHandlers(module)) return object;
  if (object === undefined) return module;
  const named = HANDLER_NAMES.filter((name) => module[name] !== undefined && module[name] !== object[name]);
  // In the usual case, names of a CommonJS module that Node has found in it, the object itself is `this` of its handlers.
  // Defined, not assigned: what it inherits may be frozen, or a getter.
  return named.length === 0 ? object : (Object.create(object, Object.fromEntries(named.map((name) => [name, { value: module[name] }]))) as object);
}

function defaultOf(value: unknown): unknown {
  return value !== null && (typeof value === 'object' || typeof value === 'function') ? (value as { default?: unknown }).default : undefined;
}
