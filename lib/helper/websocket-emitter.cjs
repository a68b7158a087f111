"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.WebSocketEmitter = void 0;
const bus_state_reporter_cjs_1 = require("./bus/bus-state-reporter.cjs");
const envelope_cjs_1 = require("./bus/envelope.cjs");
const redis_connection_cjs_1 = require("./bus/redis-connection.cjs");
const helper_base_cjs_1 = require("./helper-base.cjs");
const helper_lifecycle_cjs_1 = require("./helper-lifecycle.cjs");
const helper_options_cjs_1 = require("./helper-options.cjs");
const log_cjs_1 = require("./log.cjs");
const protocol_cjs_1 = require("./protocol.cjs");
const SCOPE = 'WebSocketEmitter';
/**
 * Sends to the clients of all server helpers on the same Redis, from a process without sockets of
 * its own, such as a job or an API.
 *
 * @example
 * ```js
 * import { WebSocketEmitter } from 'wsbroker/server-helper';
 *
 * const emitter = new WebSocketEmitter({ redisConnection: 'redis://127.0.0.1' });
 * await emitter.configure();
 * await emitter.toUser({ userId: '7', event: 'invoice', data: { paid: true } });
 * await emitter.shutdown();
 * ```
 */
class WebSocketEmitter extends helper_base_cjs_1.HelperBase {
    #lifecycle = new helper_lifecycle_cjs_1.HelperLifecycle(SCOPE);
    #bus;
    #states;
    /**
     * Does not connect yet.
     *
     * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are not an object
     * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message
     * names the most similar one
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS: `redisConnection` is missing, or cannot be
     * used
     */
    constructor(opts) {
        super(SCOPE, (0, helper_options_cjs_1.knownOptions)(SCOPE, opts, helper_options_cjs_1.EMITTER_OPTIONS).identifier ?? SCOPE, opts.logger);
        const log = (0, log_cjs_1.safeLogger)(this.logger);
        this.#states = new bus_state_reporter_cjs_1.BusStateReporter(opts.busStateFn ?? undefined, log);
        this.#bus = (0, redis_connection_cjs_1.createBus)(SCOPE, opts.redisConnection, 'emitter');
    }
    /**
     * Connects, and resolves when Redis answers. A second call returns the promise of the first;
     * after a rejection, a later call tries again.
     *
     * @throws the first error of the connection
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis was not ready within 30 s.
     * ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called
     */
    configure() {
        return this.#lifecycle.configure(async () => {
            await this.#bus.connect({
                scope: SCOPE,
                logger: (0, log_cjs_1.safeLogger)(this.logger),
                received: () => undefined,
                changed: () => this.#update(),
            }, undefined);
            this.#lifecycle.check();
            this.#states.begin();
            this.#update();
        }, () => Promise.resolve());
    }
    /** Ends the connection within 5 s. Further calls return the same promise. */
    shutdown() {
        return this.#lifecycle.shutdown(async () => {
            this.#states.end();
            await this.#bus.close();
        });
    }
    /**
     * Sends to one client of any instance. Like the next three methods it resolves when Redis has the
     * message; whether the message reaches a client is not known.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis is lost. ERR_WSBROKER_SHUT_DOWN:
     * {@link shutdown} was called
     * @throws {TypeError} the data cannot be serialized
     */
    async toClient(opts) {
        const { clientId, event, data } = opts;
        await this.#send(protocol_cjs_1.WebSocketChannels.forClient({ clientId }), protocol_cjs_1.WebSocketMessageTypes.CLIENT, {
            target: clientId,
            event,
            data,
        });
    }
    /** Sends to every client of a user. @throws as {@link toClient} */
    async toUser(opts) {
        const { userId, event, data } = opts;
        await this.#send(protocol_cjs_1.WebSocketChannels.forUser({ userId }), protocol_cjs_1.WebSocketMessageTypes.USER, {
            target: userId,
            event,
            data,
        });
    }
    /** Sends to every client in a room, except those in `exclude`. @throws as {@link toClient} */
    async toRoom(opts) {
        const { room, event, data, exclude } = opts;
        await this.#send(protocol_cjs_1.WebSocketChannels.forRoom({ room }), protocol_cjs_1.WebSocketMessageTypes.ROOM, {
            target: room,
            event,
            data,
            exclude,
        });
    }
    /** Sends to every authenticated client. @throws as {@link toClient} */
    async broadcast(opts) {
        const { event, data } = opts;
        await this.#send(protocol_cjs_1.WebSocketChannels.BROADCAST, protocol_cjs_1.WebSocketMessageTypes.BROADCAST, { event, data });
    }
    async #send(channel, type, message) {
        this.#lifecycle.check();
        await this.#bus.request(channel, (0, envelope_cjs_1.makeEnvelope)(protocol_cjs_1.EMITTER_ID, type, message));
    }
    #update() {
        this.#states.update(this.#bus.publisherReady ? 'ready' : 'lost');
    }
}
exports.WebSocketEmitter = WebSocketEmitter;
