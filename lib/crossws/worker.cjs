"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.crosswsWorker = crosswsWorker;
const errors_cjs_1 = require("../errors.cjs");
const load_cjs_1 = require("../native/load.cjs");
const promises_cjs_1 = require("../promises.cjs");
const report_cjs_1 = require("../report.cjs");
const handlers_cjs_1 = require("../worker/handlers.cjs");
const pinned_sockets_cjs_1 = require("../worker/pinned-sockets.cjs");
const message_cjs_1 = require("./message.cjs");
const options_cjs_1 = require("./options.cjs");
const payload_cjs_1 = require("./payload.cjs");
const peer_cjs_1 = require("./peer.cjs");
const topics_cjs_1 = require("./topics.cjs");
const upgrade_cjs_1 = require("./upgrade.cjs");
const HANDLERS = {
    open: 'handleOpen',
    message: 'handleTextMessage',
    close: 'handleClose',
    drain: 'handleDrain',
};
/** Close codes that say that the connection failed, with what the `error` hook is told. */
const FAILURES = {
    1002: 'the client has violated the protocol',
    1007: 'the client has sent a text that is not UTF-8',
    1009: 'the client has sent a message that is too big',
};
/** What an `error` hook gets. The error of a hook is its `cause`. */
class WSError extends Error {
    name = 'WSError';
}
/**
 * Runs hooks of crossws on wsbroker: the handlers of a worker module. Peers, topics and messages
 * are as crossws documents them; topics are channels, which reach all threads of the process and,
 * with the option `cluster` of `start`, all instances.
 *
 * - `peers` has the peers of the same thread, and no others.
 * - Hooks of one connection do not wait for each other's promises, whatever the option `handlers`
 *   of `start` says.
 * - `send` returns what wsbroker's `send` returns: 1, -1 above the limit, 0 if nothing was sent.
 * - The `error` hook gets what other hooks throw or reject with, and protocol errors of clients.
 * - The hooks `ping` and `pong` are not called.
 * - Connections belong to the thread that has accepted them. If it ends, they are closed with 1012.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: an option or a hook has the wrong type, or
 * there are no hooks
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; some options of
 * crossws are options of `start` here, which the message names
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: `resolve` and `fetch` are both given
 *
 * @example
 * ```js
 * import { crosswsWorker } from 'wsbroker/crossws';
 *
 * export default crosswsWorker({
 *   hooks: {
 *     open(peer) {
 *       peer.subscribe('everyone');
 *     },
 *     message(peer, message) {
 *       peer.publish('everyone', message.text());
 *     },
 *   },
 * });
 * ```
 */
function crosswsWorker(options) {
    return new CrosswsAdapter((0, options_cjs_1.checkCrosswsOptions)(options)).worker();
}
/** The connections of one worker. */
class CrosswsAdapter {
    #options;
    #peers = new pinned_sockets_cjs_1.PinnedSockets((peer) => this.#opened(peer));
    #namespaces = new Map();
    constructor(options) {
        this.#options = options;
    }
    worker() {
        const { hooks, resolve, fetch } = this.#options;
        const hasDrain = hooks?.drain !== undefined || resolve !== undefined || fetch !== undefined;
        return {
            ...{ [handlers_cjs_1.PINNED]: true },
            handleOpen: (id, _ip, _headers, request) => this.#open(id, request),
            handleTextMessage: (text, id) => this.#message(id, text),
            handleBinaryMessage: (bytes, id) => this.#message(id, bytes),
            handleClose: (id, _token, code, reason) => this.#close(id, code, reason),
            ...(hasDrain ? { handleDrain: (id) => this.#drain(id) } : {}),
            peers: this.#namespaces,
            publish: (topic, data, { namespace, compress } = {}) => {
                const channel = (0, topics_cjs_1.topicChannel)(topic, namespace);
                load_cjs_1.native.sendToChannel(channel, (0, payload_cjs_1.payloadOf)(data), compress === undefined ? {} : { compress });
            },
            close: (code, reason) => {
                for (const peer of this.#peers.all())
                    peer.close(code, reason);
                return Promise.resolve();
            },
        };
    }
    async #open(socketId, open) {
        const request = (0, upgrade_cjs_1.fetchRequest)(open);
        if (request === undefined)
            return { status: 400 };
        let decision;
        try {
            decision = await (0, upgrade_cjs_1.upgrade)(this.#options, request);
            if (decision.kind === 'refused')
                return decision.verdict;
            checkProtocol(decision.protocol, request);
        }
        catch (error) {
            // 500, as crossws answers. A throw would be 403.
            this.#report(error, 'handleOpen', socketId);
            return { status: 500 };
        }
        const { context, namespace, protocol, headers, resolved } = decision;
        const parts = { socketId, remoteAddress: open.ip, request, context, namespace, resolved };
        return this.#peers.accept(socketId, { protocol, headers }, () => new peer_cjs_1.CrosswsPeer({ ...parts, protocol: protocol ?? '' }));
    }
    #opened(peer) {
        peer.peers = this.#namespaces.get(peer.namespace) ?? new Set();
        peer.peers.add(peer);
        this.#namespaces.set(peer.namespace, peer.peers);
        void this.#run('open', peer, (hooks) => hooks.open?.(asPeer(peer)));
    }
    #message(socketId, data) {
        const peer = this.#peers.ofMessage(socketId);
        if (peer === undefined)
            return;
        const message = new message_cjs_1.CrosswsMessage(data, peer);
        void this.#run('message', peer, (hooks) => hooks.message?.(asPeer(peer), message));
    }
    /** The promise of the hook is returned, so that a shutdown waits for it. */
    #close(socketId, code, reason) {
        const peer = this.#peers.end(socketId);
        if (peer === undefined)
            return undefined;
        peer.websocket.ended();
        peer.peers.delete(peer);
        if (peer.peers.size === 0)
            this.#namespaces.delete(peer.namespace);
        const failure = FAILURES[code];
        if (failure !== undefined) {
            this.#callErrorHook(peer, new WSError(`${failure}: closed with ${code}`), 'handleClose');
        }
        return this.#run('close', peer, (hooks) => hooks.close?.(asPeer(peer), { code, reason }));
    }
    #drain(socketId) {
        const peer = this.#peers.find(socketId);
        if (peer === undefined)
            return;
        void this.#run('drain', peer, (hooks) => hooks.drain?.(asPeer(peer)));
    }
    /** Calls a hook of the worker and then that of the connection. Never throws or rejects. */
    #run(name, peer, call) {
        const failed = (error) => this.#failed(peer, error, HANDLERS[name]);
        let pending;
        for (const hooks of [this.#options.hooks, peer.resolved]) {
            if (hooks === undefined)
                continue;
            try {
                const result = call(hooks);
                if (!(0, promises_cjs_1.isThenable)(result))
                    continue;
                const settled = Promise.resolve(result).then(undefined, failed);
                pending = pending === undefined ? settled : Promise.all([pending, settled]);
            }
            catch (error) {
                failed(error);
            }
        }
        return pending;
    }
    #failed(peer, error, handler) {
        const message = error instanceof Error ? error.message : String(error);
        const told = this.#callErrorHook(peer, new WSError(message, { cause: error }), handler);
        if (!told)
            this.#report(error, handler, peer.socketId);
    }
    /** Whether there is an `error` hook. */
    #callErrorHook(peer, error, handler) {
        const failed = (reason) => this.#report(reason, handler, peer.socketId);
        let told = false;
        for (const hooks of [this.#options.hooks, peer.resolved]) {
            if (hooks?.error === undefined)
                continue;
            told = true;
            try {
                const result = hooks.error(asPeer(peer), error);
                if ((0, promises_cjs_1.isThenable)(result))
                    Promise.resolve(result).then(undefined, failed);
            }
            catch (reason) {
                failed(reason);
            }
        }
        return told;
    }
    #report(error, handler, socketId) {
        const context = { handler, socketId };
        const { onError } = this.#options;
        if (onError === undefined)
            return (0, report_cjs_1.reportHandlerError)(error, context);
        const failed = (reason) => {
            (0, report_cjs_1.reportHandlerError)(error, context);
            (0, report_cjs_1.reportHandlerError)(reason, context);
        };
        try {
            const result = onError(error, context);
            if ((0, promises_cjs_1.isThenable)(result))
                Promise.resolve(result).then(undefined, failed);
        }
        catch (reason) {
            failed(reason);
        }
    }
}
/** Classes of crossws cannot be extended from outside, so ours have the same members. */
function asPeer(peer) {
    return peer;
}
/** @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT: a client would refuse it */
function checkProtocol(protocol, request) {
    if (protocol === undefined || (0, upgrade_cjs_1.offeredProtocols)(request).includes(protocol))
        return;
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_VERDICT', 'crosswsWorker: the subprotocol must be one of those that the client offered');
}
