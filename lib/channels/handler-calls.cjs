"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.HandlerCalls = void 0;
// Not the global functions: test environments that imitate a browser do not have all of them.
const node_timers_1 = require("node:timers");
const errors_cjs_1 = require("../errors.cjs");
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
const options_cjs_1 = require("./options.cjs");
const request_error_cjs_1 = require("./request-error.cjs");
/** Characters of a {@link RequestError} that the client is told. */
const MAX_ERROR = 1_000;
/** Calls of the application's functions: in time, and with their errors reported. */
class HandlerCalls {
    #handlers;
    #timeout;
    constructor({ handlers, timeout }) {
        this.#handlers = handlers;
        this.#timeout = timeout;
    }
    /**
     * Whether a client may, with the token that it had when it asked; `undefined`: it may not. Never
     * rejects.
     */
    async ask(client, token, channel, action, since, isOver = () => client.ended) {
        const entered = client.gate.enter();
        if (entered !== undefined)
            await entered;
        try {
            if (isOver())
                return undefined;
            return (0, options_cjs_1.checkGrant)(await this.inTime('authorize', (handlers) => handlers.authorize(client.id, channel, { token, action, since })));
        }
        catch (error) {
            this.report(error, 'authorize', client.id);
            return undefined;
        }
        finally {
            client.gate.leave();
        }
    }
    /** What a handler returns, or an error if it takes too long. */
    async inTime(name, call) {
        const result = call(this.#handlers);
        if (!(0, promises_cjs_1.isThenable)(result))
            return result;
        let timer;
        const late = new Promise((_, reject) => {
            const error = () => new errors_cjs_1.WSBrokerError('ERR_WSBROKER_HANDLER_TIMEOUT', `${name} did not settle within ${this.#timeout} ms ("timeout" of ${options_cjs_1.CALL})`);
            timer = (0, node_timers_1.setTimeout)(() => reject(error()), this.#timeout);
        });
        try {
            return (await Promise.race([result, late]));
        }
        finally {
            (0, node_timers_1.clearTimeout)(timer);
        }
    }
    /** A handler has failed: the client learns no more of it than it may. */
    failed(error, handler, socketId, failed) {
        if (error instanceof request_error_cjs_1.RequestError)
            return failed('error', error.message.slice(0, MAX_ERROR));
        this.report(error, handler, socketId);
        failed('error');
    }
    report(error, handler, socketId) {
        const context = { handler, socketId };
        const failed = (reason) => {
            (0, report_cjs_1.reportHandlerError)(error, context);
            (0, report_cjs_1.reportHandlerError)(reason, { handler: 'onError', socketId });
        };
        if (this.#handlers.onError === undefined)
            return (0, report_cjs_1.reportHandlerError)(error, context);
        try {
            const result = this.#handlers.onError(error, context);
            if ((0, promises_cjs_1.isThenable)(result))
                Promise.resolve(result).then(undefined, failed);
        }
        catch (reason) {
            failed(reason);
        }
    }
}
exports.HandlerCalls = HandlerCalls;
