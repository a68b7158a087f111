"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.TokenCache = exports.RECENT_TOKENS = void 0;
/**
 * So many sockets that have had an event lately keep their tokens, at least, and twice as many at
 * most. A `Buffer` takes half a kilobyte, more than anything else of an idle socket.
 */
exports.RECENT_TOKENS = 1024;
/** The tokens of the sockets that had events lately. */
class TokenCache {
    #recent = new Map();
    /** Those that were recent before; what is asked for becomes recent again. */
    #older = new Map();
    get(id) {
        const recent = this.#recent.get(id);
        if (recent !== undefined || this.#older.size === 0)
            return recent;
        const older = this.#older.get(id);
        if (older !== undefined) {
            this.#older.delete(id);
            this.set(id, older);
        }
        return older;
    }
    set(id, token) {
        if (this.#recent.size >= exports.RECENT_TOKENS) {
            this.#older = this.#recent;
            this.#recent = new Map();
        }
        this.#recent.set(id, token);
    }
    delete(id) {
        this.#recent.delete(id);
        if (this.#older.size !== 0)
            this.#older.delete(id);
    }
    clear() {
        this.#recent.clear();
        this.#older.clear();
    }
}
exports.TokenCache = TokenCache;
