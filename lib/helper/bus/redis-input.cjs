"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.RedisInput = void 0;
const errors_cjs_1 = require("../../errors.cjs");
const promises_cjs_1 = require("../../promises.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
/** How many milliseconds after a failed attempt to take over the input the next one follows. */
const RETRY_AFTER = 1000;
/**
 * Messages from Redis. One helper subscribes for the whole instance, and another one when that
 * helper ends. Also derives the state of the bus, from the input and the publisher.
 */
class RedisInput {
    #parts;
    /** This helper subscribes to Redis, for itself or for its instance. */
    #subscribes = false;
    #retry;
    /** Ends waiting for the helper that subscribes for the instance. */
    #isReady = () => undefined;
    constructor(parts) {
        this.#parts = parts;
    }
    /** Subscribes, or waits for the helper that does. */
    async open(instance) {
        const { bus } = this.#parts;
        this.#subscribes = instance === undefined || (!bus.instanceWide && instance.claimInput());
        if (this.#subscribes)
            await bus.subscribe();
        else if (instance !== undefined)
            await this.#waitForOther(instance);
    }
    /** Undoes `open`: `configure()` has failed. */
    undo() {
        clearTimeout(this.#retry);
        this.#subscribes = false;
    }
    /** Stops waiting and trying again. */
    end() {
        clearTimeout(this.#retry);
        this.#isReady();
    }
    /**
     * Waits for the helper that subscribes for the instance, if it has not done so yet: a configured
     * helper receives everything that is published from then on.
     */
    async #waitForOther(instance) {
        if (instance.inputState === 'ready')
            return;
        const ready = new Promise((resolve) => (this.#isReady = resolve));
        if (await (0, promises_cjs_1.within)(protocol_cjs_1.LIMITS.redisReady, ready))
            return;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `[${this.#parts.scope}] no helper of the instance subscribed to Redis within ` +
            `${protocol_cjs_1.LIMITS.redisReady} ms`);
    }
    received(text) {
        // A helper that does not subscribe (any more) receives nothing.
        if (this.#subscribes && !this.#parts.lifecycle.ended)
            this.#parts.relay.receive(text);
    }
    busChanged() {
        const instance = this.#parts.instance();
        const input = this.#parts.bus.subscriberReady ? 'ready' : 'lost';
        // It comes back as `inputState`.
        if (instance !== undefined && this.#subscribes && instance.inputState !== input) {
            instance.setInputState(input);
        }
        this.update();
    }
    /** The state of the instance's input has changed. */
    changed(state) {
        if (state === 'ready')
            this.#isReady();
        this.update();
    }
    update() {
        const { bus, relay, states } = this.#parts;
        states.update(this.#busState());
        if (bus.publisherReady)
            relay.settle();
    }
    #busState() {
        const { bus } = this.#parts;
        const input = this.#parts.instance()?.inputState ?? (bus.subscriberReady ? 'ready' : 'lost');
        return bus.publisherReady && input === 'ready' ? 'ready' : 'lost';
    }
    /** The helper that subscribed for the instance has ended: this one takes over. */
    take() {
        const { bus, lifecycle, log } = this.#parts;
        if (lifecycle.ended)
            return;
        this.#subscribes = true;
        bus.subscribe().catch((error) => {
            if (lifecycle.ended || !this.#subscribes)
                return;
            log.error(`subscribing to Redis failed; trying again in ${RETRY_AFTER} ms`, error);
            this.#retry = setTimeout(() => this.take(), RETRY_AFTER);
            this.#retry.unref?.();
        });
    }
}
exports.RedisInput = RedisInput;
