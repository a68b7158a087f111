"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.RedisLink = void 0;
const errors_cjs_1 = require("../../errors.cjs");
const promises_cjs_1 = require("../../promises.cjs");
const log_cjs_1 = require("../log.cjs");
/**
 * A Redis client of the application, and whether it is connected. Listeners are added but never
 * removed: not every client can remove them.
 */
class RedisLink {
    client;
    name;
    /** Whether it has been ready, and not lost since. */
    up = false;
    #logger;
    #changed = () => undefined;
    #waiters = new Set();
    #watched = false;
    constructor(client, name) {
        this.client = client;
        this.name = name;
    }
    /** Adds the listeners. */
    watch(logger, changed) {
        this.#logger = logger;
        this.#changed = changed;
        this.#listen();
    }
    /**
     * Connects a client that has not started to. Failures come as events; that it is ready may show
     * only in its status.
     */
    start() {
        if (this.client.status !== 'wait')
            return;
        try {
            const given = this.client.connect();
            if ((0, promises_cjs_1.isThenable)(given)) {
                Promise.resolve(given).then(() => this.#look(), () => undefined);
            }
        }
        catch {
            // Its events report the failure.
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
    /** Ends all waiting. */
    giveUp() {
        for (const { timer } of this.#waiters)
            clearTimeout(timer);
        this.#waiters.clear();
    }
    /**
     * Ignores its events from now on. The listeners stay, so that a late error does not end the
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
        // A client that keeps reconnecting keeps failing.
        const line = new log_cjs_1.RateLimitedLine((count) => this.#logger?.error(`Redis ${name}: ${count} error(s); the last:`, last));
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
