import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { types } from 'node:util';
import { WSBrokerError } from '../errors.cjs';
import { within } from '../promises.cjs';
import { warnOnce } from '../report.cjs';
import { checkNames, classExported, HANDLER_NAMES, isClassOfHandlers } from './handler-names.cjs';
import { hasHandlers } from './handlers.cjs';
import { readableError } from './load-errors.cjs';
import { currentRegistration, register, type Registration, thread } from './register.cjs';

/**
 * What a module registered by itself when it was first imported. A second import does not run it
 * again.
 */
const registeredBy = new Map<string, unknown>();

/** The error of a module that did not load in time. */
export function loadTimeoutError(file: string, timeout: number): WSBrokerError {
  const what =
    `worker ${file} did not load within ${timeout} ms ("startTimeout"): a top-level await ` +
    'does not settle, or top-level code does not return';
  return new WSBrokerError('ERR_WSBROKER_WORKER_FAILED', what);
}

/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports,
 * unless the module has done so itself.
 *
 * @param timeout how long the import may take, in milliseconds; 0: no limit. Synchronous code
 * cannot be interrupted from here
 * @param loaded called when the module has been imported, before its `handleStart` is awaited
 * @throws what the module or its `handleStart` throws, or {@link loadTimeoutError}; then the thread
 * is not a worker
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
    if (timeout > 0 && !(await within(timeout, imported))) {
      throw giveUp(file, imported, loadTimeoutError(file, timeout));
    }
    const registration = importedWorker(file, await imported, before);
    loaded();
    await registration.ready;
    return registration;
  } catch (error) {
    const itself = currentRegistration();
    if (itself !== before) itself?.drop();
    throw readableError(error);
  } finally {
    thread.loading = false;
  }
}

/**
 * `start` has failed, but the import goes on. Until it settles, a registration by the module itself
 * is refused with this error.
 */
function giveUp(file: string, imported: Promise<unknown>, error: WSBrokerError): WSBrokerError {
  // The two ways in which a stack names the module: by `import` and by `require`.
  const real = realpathSync(file);
  const late = { names: [pathToFileURL(real).href, real], error };
  thread.late.add(late);
  const settled = (): void => void thread.late.delete(late);
  imported.then(settled, settled);
  return error;
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
    `${file} has no handlers: every connection is accepted, and messages are discarded. ` +
      'Export handleOpen, handleTextMessage and so on, by name or on the default export, ' +
      'or call registerWorkerThread while the module loads',
  );
  return register(file, {}, true);
}

/**
 * Test runners that run modules in a context of `node:vm` may refuse `import()` there. Modules that
 * can be required (CommonJS, and on newer runtimes ES modules) are loaded in that way.
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

/** The error of Node, or of jest. */
function isRefusedByVm(error: unknown): boolean {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  return (
    /^ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING/.test(String(code)) ||
    /ES Modules in the VM API/.test(String(message))
  );
}

/**
 * Handlers are exported by name or on the default export. `module.exports` of CommonJS is a default
 * export. A named export takes precedence.
 */
function exportedHandlers(module: unknown): object | undefined {
  const outer = defaultOf(module);
  // TypeScript and Babel compile a default export to this in CommonJS.
  const inner = defaultOf(outer);
  const object = hasHandlers(outer) ? outer : hasHandlers(inner) ? inner : undefined;
  if (!hasHandlers(module)) return object;
  if (object === undefined) return module;
  const named = HANDLER_NAMES.filter(
    (name) => module[name] !== undefined && module[name] !== object[name],
  );
  // Usually the names are those that Node has found in a CommonJS module: then the object itself is
  // `this` of its handlers. Otherwise properties are defined, not assigned: inherited ones may be
  // frozen, or getters.
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
