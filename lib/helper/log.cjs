"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.RateLimitedErrors = exports.RateLimitedLine = void 0;
exports.defaultLogger = defaultLogger;
exports.safeLogger = safeLogger;
exports.quoted = quoted;
// The log. Lines say what happened to which client, never what was in a message, a token or a key.
/**
 * Warnings and errors go to the console. If NODE_DEBUG contains `wsbroker`, everything else goes to
 * stderr, too.
 */
function defaultLogger(scope) {
    const verbose = /(^|[\s,])wsbroker($|[\s,])/i.test(process.env['NODE_DEBUG'] ?? '');
    const line = (write) => (text, ...more) => write(`[${scope}] ${text}`, ...more);
    const quiet = () => undefined;
    return {
        for: (inner) => defaultLogger(`${scope}:${inner}`),
        debug: verbose ? line(console.error) : quiet,
        info: verbose ? line(console.error) : quiet,
        warn: line(console.warn),
        error: line(console.error),
    };
}
/**
 * The application's logger, without its errors: what it throws or rejects with goes no further.
 */
function safeLogger(logger) {
    const line = (level) => (text, ...more) => {
        try {
            const given = logger[level](text, ...more);
            if (given instanceof Promise)
                given.catch(() => undefined);
        }
        catch {
            // An error of the logger cannot be logged.
        }
    };
    return {
        for(scope) {
            try {
                return safeLogger(logger.for(scope));
            }
            catch {
                return this;
            }
        },
        debug: line('debug'),
        info: line('info'),
        warn: line('warn'),
        error: line('error'),
    };
}
/**
 * A line for something that can happen thousands of times a second. The first is written at once,
 * then at most one a second, each with the number of times.
 */
class RateLimitedLine {
    #write;
    #count = 0;
    #last = -Infinity;
    constructor(write) {
        this.#write = write;
    }
    add(count = 1) {
        this.#count += count;
        if (Date.now() - this.#last >= 1000)
            this.flush();
    }
    /** Writes what has not been written yet. */
    flush() {
        if (this.#count === 0)
            return;
        const count = this.#count;
        this.#count = 0;
        this.#last = Date.now();
        this.#write(count);
    }
}
exports.RateLimitedLine = RateLimitedLine;
/** How many failures are written one by one before they are limited. */
const FAILURES_AT_ONCE = 10;
/**
 * Lines for failures that a client can cause as often as it likes. Ten are written at once, each
 * with its error, and one more for each second that has passed. The next line says how many were
 * not written.
 */
class RateLimitedErrors {
    #log;
    #left = FAILURES_AT_ONCE;
    #since = Date.now();
    #unwritten = 0;
    constructor(log) {
        this.#log = log;
    }
    add(text, error) {
        const earned = Math.floor((Date.now() - this.#since) / 1000);
        // Below 0: the clock was set back.
        if (earned !== 0) {
            this.#left = Math.min(FAILURES_AT_ONCE, this.#left + Math.max(earned, 1));
            this.#since = Date.now();
        }
        if (this.#left === 0) {
            this.#unwritten++;
            return;
        }
        this.#left--;
        const unwritten = this.#unwritten;
        this.#unwritten = 0;
        this.#log.error(unwritten === 0 ? text : `${text}; ${unwritten} failure(s) before it were not logged`, error);
    }
}
exports.RateLimitedErrors = RateLimitedErrors;
/** A name from outside, quoted and shortened for a line. */
function quoted(name) {
    const text = typeof name === 'string' ? name : typeof name;
    return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
