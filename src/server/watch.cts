import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Pool } from '../pool/pool.cjs';
import { reportError } from '../report.cjs';
import { reload } from './reload.cjs';
import { currentPool } from './workers.cjs';

// The option `worker.watch`: the workers are reloaded when a file changes that they have loaded.

/** Editors write in several steps, and tools several files. In milliseconds. */
const QUIET = 100;
/** For handlers of the old code, while somebody waits for the new one. In milliseconds. */
const RELOAD_TIMEOUT = 5_000;

let watched: Pool | undefined;

/** Watches the modules of the pool there is, if it is to be watched and is not yet. */
export function watchModules(): void {
  const pool = currentPool();
  const imports = pool?.imports;
  if (pool === undefined || imports === undefined || watched === pool) return;
  watched = pool;
  const files = new WatchedFiles((changed) => reloadFor(changed));
  files.add(pool.file);
  for (const file of imports.files) files.add(file);
  imports.onFile = (file) => files.add(file);
  pool.onStopped = () => {
    files.close();
    imports.close();
  };
}

async function reloadFor(changed: readonly string[]): Promise<void> {
  const names = changed.map((file) => basename(file)).join(', ');
  try {
    const { started } = await reload({
      workerPath: undefined,
      threads: undefined,
      timeout: RELOAD_TIMEOUT,
    });
    const workers = started === 1 ? '1 worker has' : `${started} workers have`;
    process.stderr.write(`wsbroker: ${names} changed; ${workers} the new code\n`);
  } catch (error) {
    reportError(`${names} changed, but the new code does not load; the old workers keep running`, error);
  }
}

/** Files that are watched through their folders, because editors replace files. */
class WatchedFiles {
  readonly #stamps = new Map<string, string>();
  readonly #folders = new Map<string, FSWatcher>();
  readonly #onChange: (changed: readonly string[]) => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  /** @param onChange not called again before its promise has resolved */
  constructor(onChange: (changed: readonly string[]) => Promise<void>) {
    this.#onChange = onChange;
  }

  add(file: string): void {
    if (this.#stamps.has(file)) return;
    this.#stamps.set(file, stamp(file));
    const folder = dirname(file);
    if (this.#folders.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#look());
      watcher.on('error', (error) => reportError(`${folder} can no longer be watched`, error));
      this.#folders.set(folder, watcher);
    } catch (error) {
      reportError(`${folder} cannot be watched`, error);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #look(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#changed(), QUIET);
    this.#timer.unref?.();
  }

  async #changed(): Promise<void> {
    if (this.#busy) return this.#look();
    const changed = [...this.#stamps].filter(([file, before]) => {
      const now = stamp(file);
      // One that is gone is being replaced, and comes back.
      if (now === before || now === '') return false;
      this.#stamps.set(file, now);
      return true;
    });
    if (changed.length === 0) return;
    this.#busy = true;
    await this.#onChange(changed.map(([file]) => file));
    this.#busy = false;
  }
}

/** Changes with the content. '' if there is no such file. */
function stamp(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats === undefined ? '' : `${stats.mtimeMs} ${stats.size} ${stats.ino}`;
}
