import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { WSBrokerError } from '../errors.cjs';
import { LIB, ROOT } from '../package-folders.cjs';
import { warnOnce } from '../report.cjs';
import type { ShutdownReport } from '../types/server.cjs';

// Copies of this package in one process, brought in by two dependencies for example. Each has a
// broker of its own, unless both have found the same addon, so what is sent with one does not reach
// the clients of the other. They know of each other through an object that they share; other
// versions read it, too, so it may only grow.

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

/** What the copies on this thread share. */
interface Shared {
  copies: Copy[];
  /** The folder of the copy whose pool this thread belongs to. */
  pool?: string;
  warned?: boolean;
  /** Hands a warning to the thread that watches this one. */
  warn?: (text: string) => void;
}

const KEY = 'wsbroker.copies';
const FOLDER = realFolder();

export const shared: Shared = ((globalThis as { [key: symbol]: Shared | undefined })[
  Symbol.for(KEY)
] ??= { copies: [] });

/** This thread belongs to this copy's pool, which hears its warnings. */
export function joinPool(warn: (text: string) => void): void {
  shared.pool = FOLDER;
  shared.warn = warn;
}

/** Whether this thread belongs to the pool of some copy. */
export function isInPool(): boolean {
  return shared.pool !== undefined;
}

/**
 * Makes this copy known, as soon as its addon has been found.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the thread belongs to another copy's pool, and
 * another broker
 */
export function announce(addon: string): void {
  const other = shared.copies.find(({ folder }) => folder !== FOLDER) ?? parents();
  if (other !== undefined && other.folder !== FOLDER) {
    const apart = other.addon !== addon;
    if (shared.pool !== undefined && shared.pool !== FOLDER && apart) throw foreignPool();
    if (shared.warned !== true) {
      shared.warned = true;
      const harm = apart
        ? 'sockets and channels of one are unknown to the other, and what is sent to them is lost'
        : 'handlers and options of one are unknown to the other';
      (shared.warn ?? warnOnce)(
        `two copies of wsbroker are loaded, ${[other.folder, FOLDER].sort().join(' and ')}: ${harm}. Make everything depend on one version of it; "npm ls wsbroker" shows what depends on which`,
      );
    }
  }
  if (parents() === undefined && shared.pool === undefined)
    setEnvironmentData(KEY, { folder: FOLDER, addon });
  self = {
    folder: FOLDER,
    addon,
    isActive: () => life.isActive(),
    shutdown: (code, timeout) => life.shutdown(code, timeout),
  };
  // One in the same folder is this one before a reload under `bun --hot`, which has forgotten it,
  // but its server still listens.
  shared.copies = [...shared.copies.filter((one) => one.folder !== FOLDER || one.isActive()), self];
}

/** A worker module registers with another copy than its pool's. */
export function checkPool(): void {
  if (shared.pool !== undefined && shared.pool !== FOLDER) throw foreignPool();
}

function foreignPool(): WSBrokerError {
  return new WSBrokerError(
    'ERR_WSBROKER_CONFLICT',
    `this worker belongs to the wsbroker in ${shared.pool}, but its module imports another copy, in ${FOLDER}: handlers and messages would go nowhere. ` +
      'Make both use the same one; "npm ls wsbroker" shows what depends on which',
  );
}

/** The copy loaded by the thread that started this one. */
function parents(): Pick<Copy, 'folder' | 'addon'> | undefined {
  // A thread of a pool is told by its pool.
  return shared.pool === undefined
    ? (getEnvironmentData(KEY) as Pick<Copy, 'folder' | 'addon'> | undefined)
    : undefined;
}

let self: Copy | undefined;
/** Until `start` is there to be called, there is nothing to end. */
let life: Pick<Copy, 'isActive' | 'shutdown'> = {
  isActive: () => false,
  shutdown: async () => ({ closed: 0, terminated: 0 }),
};

/** How this copy ends. */
export function endBy(own: Pick<Copy, 'isActive' | 'shutdown'>): void {
  life = own;
}

/**
 * Other copies that have something to end on this thread: `shutdown` ends them, too, as if there
 * were only one.
 */
export function activeOthers(): readonly Pick<Copy, 'shutdown'>[] {
  return shared.copies.filter((one) => one !== self && one.isActive());
}

function realFolder(): string {
  try {
    return dirname(realpathSync(LIB));
  } catch {
    return ROOT;
  }
}
