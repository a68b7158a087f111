import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { types } from 'node:util';
import { noWorkerFile } from '../options/advice.cjs';
import { WSBrokerError } from '../errors.cjs';
import { hasHandlers } from './handlers.cjs';
import { checkNames, classExported, HANDLER_NAMES, isClassOfHandlers } from './handler-names.cjs';
import { currentRegistration, register, thread, type Registration } from './register.cjs';
import { warnOnce } from '../report.cjs';
import { readable } from './syntax.cjs';
import { within } from '../promises.cjs';

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
    throw noWorkerFile(path);
  }
}

/**
 * What a module registered by itself when it was first imported: a second import does not run it
 * again.
 */
const registeredBy = new Map<string, unknown>();

/** Why a module that did not load within this many milliseconds counts as failed. */
export function loadTimeout(file: string, timeout: number): WSBrokerError {
  const what = `worker ${file} has not loaded within ${timeout} ms ("startTimeout"): a top-level await in it does not settle, or code in it does not return`;
  return new WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what);
}

/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports,
 * unless it does so itself.
 *
 * @param timeout milliseconds for the import, 0 = no limit; what it calls at the top level of the
 * module cannot be interrupted from here
 * @param loaded called when the module has been imported, before its `handleStart` is waited for
 * @throws what the module throws, or its `handleStart`, or {@link loadTimeout}; then the thread is
 * no worker
 */
export async function loadWorker(
  file: string,
  timeout = 0,
  loaded = (): void => undefined,
): Promise<Registration> {
  const before = currentRegistration();
  thread.loading = true;
  try {
    const imported = load(file);
    if (timeout > 0 && !(await within(timeout, imported))) throw loadTimeout(file, timeout);
    const registration = importedWorker(file, await imported, before);
    loaded();
    await registration.ready;
    return registration;
  } catch (error) {
    const itself = currentRegistration();
    if (itself !== before) itself?.drop();
    throw readable(error);
  } finally {
    thread.loading = false;
  }
}

function importedWorker(
  file: string,
  module: unknown,
  before: Registration | undefined,
): Registration {
  const itself = currentRegistration();
  if (itself !== undefined && itself !== before) {
    registeredBy.set(file, itself.handlers);
    return itself;
  }
  const again = registeredBy.get(file);
  if (again !== undefined) return register(file, again);
  const outer = defaultOf(module);
  const inner = defaultOf(outer);
  const handlers = exportedHandlers(module);
  for (const one of [outer, inner]) {
    if (!hasHandlers(one) && isClassOfHandlers(one, handlers)) throw classExported(file, one);
  }
  const holders = [module, outer, inner];
  if (handlers !== undefined) return register(file, handlers, false, holders);
  checkNames(file, holders, undefined);
  warnOnce(
    `${file} has no handlers: everybody is let in, and messages go nowhere. A worker module exports handleOpen, handleTextMessage … by name or on its default export, ` +
      'or calls registerWorkerThread while it loads',
  );
  return register(file, {}, true);
}

/**
 * Test runners that give modules a context of `node:vm` may refuse `import()` there; what can be
 * required (CommonJS, and on newer runtimes ES modules) is loaded all the same.
 */
async function load(file: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    if (!isRefusedByVm(error)) throw error;
    const exported: unknown = require(file);
    return types.isModuleNamespaceObject(exported) ? exported : { default: exported };
  }
}

/** As Node says it, and jest where Node asks it. */
function isRefusedByVm(error: unknown): boolean {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  return (
    /^ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING/.test(String(code)) ||
    /ES Modules in the VM API/.test(String(message))
  );
}

/**
 * Handlers are exported by name or on the default export; what a CommonJS module exports is its
 * default. A name counts before a default.
 */
function exportedHandlers(module: unknown): object | undefined {
  const outer = defaultOf(module);
  // What TypeScript and Babel make of a default export in CommonJS.
  const inner = defaultOf(outer);
  const object = hasHandlers(outer) ? outer : hasHandlers(inner) ? inner : undefined;
  if (!hasHandlers(module)) return object;
  if (object === undefined) return module;
  const named = HANDLER_NAMES.filter(
    (name) => module[name] !== undefined && module[name] !== object[name],
  );
  // In the usual case, names of a CommonJS module that Node has found in it, the object itself is
  // `this` of its handlers. Defined, not assigned: what it inherits may be frozen, or a getter.
  return named.length === 0
    ? object
    : (Object.create(
        object,
        Object.fromEntries(named.map((name) => [name, { value: module[name] }])),
      ) as object);
}

function defaultOf(value: unknown): unknown {
  return value !== null && (typeof value === 'object' || typeof value === 'function')
    ? (value as { default?: unknown }).default
    : undefined;
}
