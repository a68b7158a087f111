"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.DisconnectReporter = void 0;
const callbacks_cjs_1 = require("../callbacks.cjs");
/** How many clients of an ended helper are reported before the event loop continues. */
const MAX_PER_TURN = 64;
/**
 * Calls `clientDisconnectedFn` for clients that have gone: those of this helper, and those of
 * another helper of the instance whose worker has ended.
 */
class DisconnectReporter {
    #parts;
    #taking = false;
    constructor(parts) {
        this.#parts = parts;
    }
    report(clientId, userId) {
        const { settings, log } = this.#parts;
        const { clientDisconnectedFn } = settings;
        if (clientDisconnectedFn === undefined)
            return;
        (0, callbacks_cjs_1.callApplication)(() => clientDisconnectedFn({ clientId, userId }), () => undefined, (error) => log.error(`clientDisconnectedFn failed for client ${clientId}`, error));
    }
    /**
     * Another helper of the instance has ended without reporting its clients. The remaining helpers
     * take them one by one, so that each client is reported once even if this helper ends, too.
     */
    takeLeft() {
        if (this.#taking)
            return;
        this.#taking = true;
        this.#take();
    }
    #take() {
        const { lifecycle, log } = this.#parts;
        for (let i = 0; i < MAX_PER_TURN; i++) {
            // A helper that is shutting down leaves them to the others.
            const left = lifecycle.ended ? undefined : this.#parts.instance()?.takeLeftClient();
            if (left === undefined) {
                this.#taking = false;
                return;
            }
            log.debug(`client ${left.clientId} was disconnected: its worker has ended`);
            this.report(left.clientId, left.userId);
        }
        setImmediate(() => this.#take());
    }
}
exports.DisconnectReporter = DisconnectReporter;
