"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.DisconnectReporter = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
/** Clients of an ended helper that are dealt with before others get their turn. */
const PORTION = 64;
/**
 * Tells the application of clients that have gone: those of this helper, and those of a helper of
 * the instance whose worker has ended.
 */
class DisconnectReporter {
    #parts;
    #taking = false;
    constructor(parts) {
        this.#parts = parts;
    }
    tell(clientId, userId) {
        const { settings, log } = this.#parts;
        const { clientDisconnectedFn } = settings;
        if (clientDisconnectedFn === undefined)
            return;
        (0, callbacks_cjs_1.callApplication)(() => clientDisconnectedFn({ clientId, userId }), () => undefined, (error) => log.error(`clientDisconnectedFn failed for client ${clientId}`, error));
    }
    /**
     * A helper of the instance has ended without reporting its clients. The others take them one by
     * one, so that each client is reported once, whatever happens to this one.
     */
    takeLeft() {
        if (this.#taking)
            return;
        this.#taking = true;
        this.#take();
    }
    #take() {
        const { life, log } = this.#parts;
        for (let i = 0; i < PORTION; i++) {
            // One that is shutting down leaves them to the others.
            const left = life.ended ? undefined : this.#parts.instance()?.takeLeftClient();
            if (left === undefined) {
                this.#taking = false;
                return;
            }
            log.debug(`client ${left.clientId} was disconnected: its worker has ended`);
            this.tell(left.clientId, left.userId);
        }
        setImmediate(() => this.#take());
    }
}
exports.DisconnectReporter = DisconnectReporter;
