import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { WSBrokerError } from '../errors.cjs';
import { LIB, ROOT } from '../package-folders.cjs';
import { warnOnce } from '../report.cjs';
import type { ShutdownReport } from '../types/server.cjs';
import packages = require('./packages.cjs');

// A process may load several copies of this package, for example because two dependencies bring
// their own. Each copy has its own broker, unless they have found the same addon: what is sent with
// one does not reach the clients of the other. The copies know of each other through an object that
// they share. Other versions read it, too, so properties may only be added.

/** One copy, on this thread. */
interface Copy {
  /** The package's folder. */
  readonly folder: string;
  /** The addon's file: copies with the same one share a broker. */
  readonly addon: string;
  /** Whether there is something to shut down. */
  isActive(): boolean;
  shutdown(code: number, timeout: number): Promise<ShutdownReport>;
}

/** What the copies on this thread share. Its properties are read by other versions. */
interface CopyRegistry {
  copies: Copy[];
  /** The folder of the copy whose pool this thread belongs to. */
  pool?: string;
  warned?: boolean;
  /** Passes a warning on to the thread that started this one. */
  warn?: (text: string) => void;
}

const KEY = 'wsbroker.copies';
const FOLDER = realFolder();

export const registry: CopyRegistry = ((globalThis as { [key: symbol]: CopyRegistry | undefined })[
  Symbol.for(KEY)
] ??= { copies: [] });

/** This thread belongs to the pool of this copy, which gets its warnings. */
export function enterPool(warn: (text: string) => void): void {
  registry.pool = FOLDER;
  registry.warn = warn;
}

/** Whether this thread belongs to the pool of some copy. */
export function isInPool(): boolean {
  return registry.pool !== undefined;
}

/**
 * Makes this copy known to the others. Called as soon as its addon has been found.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the thread belongs to the pool of another copy
 * with another broker
 */
export function registerCopy(addon: string): void {
  const other = registry.copies.find(({ folder }) => folder !== FOLDER) ?? copyOfParentThread();
  if (other !== undefined && other.folder !== FOLDER) {
    const apart = other.addon !== addon;
    if (registry.pool !== undefined && registry.pool !== FOLDER && apart) throw otherCopyError();
    if (registry.warned !== true) {
      registry.warned = true;
      const harm = apart
        ? 'sockets and channels of one are unknown to the other, and what is sent to them is lost'
        : 'handlers and options of one are unknown to the other';
      (registry.warn ?? warnOnce)(
        `two copies of wsbroker are loaded, ${[other.folder, FOLDER].sort().join(' and ')}: ` +
          `${harm}. Make all packages depend on the same version; "npm ls ${packages.name}" ` +
          'shows which package depends on which copy',
      );
    }
  }
  if (copyOfParentThread() === undefined && registry.pool === undefined) {
    setEnvironmentData(KEY, { folder: FOLDER, addon });
  }
  self = {
    folder: FOLDER,
    addon,
    isActive: () => lifecycle.isActive(),
    shutdown: (code, timeout) => lifecycle.shutdown(code, timeout),
  };
  // A copy in the same folder is this one before a reload under `bun --hot`: its state is gone, but
  // its server still listens.
  registry.copies = [
    ...registry.copies.filter((one) => one.folder !== FOLDER || one.isActive()),
    self,
  ];
}

/** @throws if the worker module imports another copy than that of its pool */
export function checkSameCopy(): void {
  if (registry.pool !== undefined && registry.pool !== FOLDER) throw otherCopyError();
}

function otherCopyError(): WSBrokerError {
  return new WSBrokerError(
    'ERR_WSBROKER_CONFLICT',
    `this worker belongs to the wsbroker in ${registry.pool}, but its module imports another ` +
      `copy, in ${FOLDER}: its handlers would never be called. ` +
      `Make both use the same copy; "npm ls ${packages.name}" shows which package depends on ` +
      'which copy',
  );
}

/** The copy that was loaded by the thread that started this one. */
function copyOfParentThread(): Pick<Copy, 'folder' | 'addon'> | undefined {
  // Threads of a pool know it from their pool.
  return registry.pool === undefined
    ? (getEnvironmentData(KEY) as Pick<Copy, 'folder' | 'addon'> | undefined)
    : undefined;
}

let self: Copy | undefined;
/** Until the lifecycle is loaded, there is nothing to shut down. */
let lifecycle: Pick<Copy, 'isActive' | 'shutdown'> = {
  isActive: () => false,
  shutdown: async () => ({ closed: 0, terminated: 0 }),
};

/** Sets how this copy is shut down. */
export function setCopyLifecycle(own: Pick<Copy, 'isActive' | 'shutdown'>): void {
  lifecycle = own;
}

/**
 * Other copies that have something to shut down on this thread. `shutdown` ends them, too, as if
 * there were only one copy.
 */
export function otherActiveCopies(): readonly Pick<Copy, 'shutdown'>[] {
  return registry.copies.filter((one) => one !== self && one.isActive());
}

function realFolder(): string {
  try {
    return dirname(realpathSync(LIB));
  } catch {
    return ROOT;
  }
}
