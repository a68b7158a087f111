"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.RateLimitedErrors = exports.RateLimitedLine = void 0;
exports.defaultLogger = defaultLogger;
exports.safeLogger = safeLogger;
exports.shown = shown;
// The log. Lines say what happened to whom, never what was in a message, a token or a key.
/**
 * Warnings and errors to the console; the rest to stderr, too, where NODE_DEBUG names `wsbroker`.
 */
function defaultLogger(scope) {
    const chatty = /(^|[\s,])wsbroker($|[\s,])/i.test(process.env['NODE_DEBUG'] ?? '');
    const line = (write) => (text, ...more) => write(`[${scope}] ${text}`, ...more);
    const quiet = () => undefined;
    return {
        for: (inner) => defaultLogger(`${scope}:${inner}`),
        debug: chatty ? line(console.error) : quiet,
        info: chatty ? line(console.error) : quiet,
        warn: line(console.warn),
        error: line(console.error),
    };
}
/**
 * A logger of the application is a function of the application: what it throws, or rejects with,
 * goes no further.
 */
function safeLogger(logger) {
    const line = (level) => (text, ...more) => {
        try {
            const given = logger[level](text, ...more);
            if (given instanceof Promise)
                given.catch(() => undefined);
        }
        catch {
            // Nobody is there to be told.
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
 * A line for something that can happen a thousand times a second: the first at once, then at most
 * one a second, with how often it was.
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
    /** Says what has not been said yet. */
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
/** How many failures are said one by one before it becomes too much. */
const FAILURES_AT_ONCE = 10;
/**
 * Lines for failures that a client can bring about as often as it likes. Each is a line with its
 * error, as long as they are few: ten at once, and one more for each second that has passed. Of the
 * rest the next line says how many they were.
 */
class RateLimitedErrors {
    #log;
    #left = FAILURES_AT_ONCE;
    #since = Date.now();
    #unsaid = 0;
    constructor(log) {
        this.#log = log;
    }
    add(text, error) {
        const earned = Math.floor((Date.now() - this.#since) / 1000);
        // Below 0 the clock was set back.
        if (earned !== 0) {
            this.#left = Math.min(FAILURES_AT_ONCE, this.#left + Math.max(earned, 1));
            this.#since = Date.now();
        }
        if (this.#left === 0) {
            this.#unsaid++;
            return;
        }
        this.#left--;
        const unsaid = this.#unsaid;
        this.#unsaid = 0;
        this.#log.error(unsaid === 0 ? text : `${text}; ${unsaid} failure(s) before it were not logged`, error);
    }
}
exports.RateLimitedErrors = RateLimitedErrors;
/** A name from outside, for a line: quoted, and not long. */
function shown(name) {
    const text = typeof name === 'string' ? name : typeof name;
    return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
