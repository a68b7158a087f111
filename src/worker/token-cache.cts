import type { Buffer } from '../ambient.cjs';

/** If a handler has transferred the bytes, their length is 0 and differs from `length`. */
export interface CachedToken {
  version: number;
  bytes: Buffer;
  length: number;
}

/**
 * So many sockets that have had an event lately keep their tokens, at least, and twice as many at
 * most. A `Buffer` takes half a kilobyte, more than anything else of an idle socket.
 */
export const RECENT_TOKENS = 1024;

/** The tokens of the sockets that had events lately. */
export class TokenCache {
  #recent = new Map<number, CachedToken>();
  /** Those that were recent before; what is asked for becomes recent again. */
  #older = new Map<number, CachedToken>();

  get(id: number): CachedToken | undefined {
    const recent = this.#recent.get(id);
    if (recent !== undefined || this.#older.size === 0) return recent;
    const older = this.#older.get(id);
    if (older !== undefined) {
      this.#older.delete(id);
      this.set(id, older);
    }
    return older;
  }

  set(id: number, token: CachedToken): void {
    if (this.#recent.size >= RECENT_TOKENS) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(id, token);
  }

  delete(id: number): void {
    this.#recent.delete(id);
    if (this.#older.size !== 0) this.#older.delete(id);
  }

  clear(): void {
    this.#recent.clear();
    this.#older.clear();
  }
}
