"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.RedisLink = void 0;
const errors_cjs_1 = require("../../errors.cjs");
const promises_cjs_1 = require("../../promises.cjs");
const log_cjs_1 = require("../log.cjs");
/**
 * One client of Redis, and whether it is there. Its handlers can be put on and never be taken off,
 * since a client need not be able to.
 */
class RedisLink {
    client;
    name;
    /** Ready, and not lost since. */
    up = false;
    #logger;
    #changed = () => undefined;
    #waiters = new Set();
    #watched = false;
    constructor(client, name) {
        this.client = client;
        this.name = name;
    }
    /** Puts the handlers on. */
    watch(logger, changed) {
        this.#logger = logger;
        this.#changed = changed;
        this.#listen();
    }
    /**
     * Connects a client that waits to be told; how it fails, its events say. That it is ready, its
     * status may be the only one to say.
     */
    start() {
        if (this.client.status !== 'wait')
            return;
        try {
            const given = this.client.connect();
            if ((0, promises_cjs_1.isThenable)(given))
                Promise.resolve(given).then(() => this.#look(), () => undefined);
        }
        catch {
            // As above.
        }
        this.#look();
    }
    /** Resolves with the first `ready`, rejects with the first `error` before it. */
    ready(limit) {
        if (this.client.status === 'ready') {
            this.#set(true);
            return Promise.resolve();
        }
        return new Promise((resolve, reject) => {
            const waiter = {
                resolve,
                reject,
                timer: setTimeout(() => {
                    this.#waiters.delete(waiter);
                    reject(new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `Redis client did not become ready within ${limit}ms (status: ${this.client.status})`));
                }, limit),
            };
            this.#waiters.add(waiter);
        });
    }
    /** Nobody waits any more. */
    giveUp() {
        for (const { timer } of this.#waiters)
            clearTimeout(timer);
        this.#waiters.clear();
    }
    /**
     * From now on its events mean nothing; that it has handlers keeps a late error from ending the
     * process.
     */
    close() {
        this.giveUp();
        this.#changed = () => undefined;
        this.#listen();
    }
    #listen() {
        if (this.#watched)
            return;
        this.#watched = true;
        const { client, name } = this;
        let last;
        // A client that connects again and again fails as often.
        const line = new log_cjs_1.RateLimitedLine((count) => this.#logger?.error(`Redis ${name}: ${count} error(s), the last`, last));
        client.on('error', (error) => {
            last = error;
            line.add();
            this.#settle((waiter) => waiter.reject(error));
        });
        client.on('ready', () => this.#ready());
        for (const event of ['close', 'end', 'reconnecting'])
            client.on(event, () => this.#set(false));
    }
    #look() {
        if (this.#waiters.size > 0 && this.client.status === 'ready')
            this.#ready();
    }
    #ready() {
        this.#set(true);
        this.#settle((waiter) => waiter.resolve());
    }
    #settle(how) {
        const waiters = [...this.#waiters];
        this.giveUp();
        waiters.forEach(how);
    }
    #set(up) {
        if (this.up === up)
            return;
        this.up = up;
        this.#changed(up);
    }
}
exports.RedisLink = RedisLink;
