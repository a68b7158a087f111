"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.HelperLifecycle = void 0;
const errors_cjs_1 = require("../errors.cjs");
const report_cjs_1 = require("../report.cjs");
/**
 * `configure()` and `shutdown()`: each runs once, `configure()` can be tried again after it has
 * failed, and `shutdown()` ends a `configure()` that is under way.
 */
class HelperLifecycle {
    #scope;
    #configuring;
    #ending;
    /** Ends a `configure()` that is under way. */
    #abort;
    constructor(scope) {
        this.#scope = scope;
    }
    get ended() {
        return this.#ending !== undefined;
    }
    shutDownError() {
        return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_SHUT_DOWN', `[${this.#scope}] has been shut down`);
    }
    /** @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN */
    check() {
        if (this.ended)
            throw this.shutDownError();
    }
    /**
     * `steps` start before this returns. After a rejection and its `undo` it can be called again.
     * After `shutdown` there is nothing left to undo.
     */
    configure(steps, undo) {
        if (this.ended)
            return Promise.reject(this.shutDownError());
        return (this.#configuring ??= this.#try(steps, undo));
    }
    async #try(steps, undo) {
        const aborted = new Promise((_, reject) => {
            this.#abort = () => reject(this.shutDownError());
        });
        try {
            await Promise.race([aborted, steps()]);
        }
        catch (error) {
            if (!this.ended)
                await undo();
            this.#configuring = undefined;
            throw error;
        }
        finally {
            this.#abort = undefined;
        }
    }
    /**
     * Returns the same promise each time, which does not reject. `end` starts before this returns,
     * and may call it again.
     */
    shutdown(end) {
        if (this.#ending !== undefined)
            return this.#ending;
        let done;
        const ending = (this.#ending = new Promise((resolve) => (done = resolve)));
        this.#abort?.();
        end()
            .catch((error) => (0, report_cjs_1.reportError)(`the shutdown of ${this.#scope} failed`, error))
            .finally(() => done?.());
        return ending;
    }
}
exports.HelperLifecycle = HelperLifecycle;
