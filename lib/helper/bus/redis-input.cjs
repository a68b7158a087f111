"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.RedisInput = void 0;
const errors_cjs_1 = require("../../errors.cjs");
const promises_cjs_1 = require("../../promises.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
/** How long after a failed take-over of the input the next try comes, in ms. */
const TAKE_AGAIN_AFTER = 1000;
/**
 * What comes from Redis: one helper subscribes for all of the instance, and another when that one
 * ends. With the publisher it is the state of the bus.
 */
class RedisInput {
    #parts;
    /** This helper subscribes to Redis, for itself or for its instance. */
    #leads = false;
    #takeAgain;
    /** Ends the wait for the helper that subscribes for the instance. */
    #isReady = () => undefined;
    constructor(parts) {
        this.#parts = parts;
    }
    /** Subscribes, or waits for the helper that does. */
    async open(instance) {
        const { bus } = this.#parts;
        this.#leads = instance === undefined || (!bus.instanceWide && instance.claimInput());
        if (this.#leads)
            await bus.subscribe();
        else if (instance !== undefined)
            await this.#others(instance);
    }
    /** What `open` has done does not hold: `configure()` was rejected. */
    undo() {
        clearTimeout(this.#takeAgain);
        this.#leads = false;
    }
    /** Nothing is waited for, or tried again. */
    end() {
        clearTimeout(this.#takeAgain);
        this.#isReady();
    }
    /**
     * The helper that subscribes for the instance may not have done so yet: configured means that
     * what is published from then on comes here, too.
     */
    async #others(instance) {
        if (instance.inputState === 'ready')
            return;
        const ready = new Promise((resolve) => (this.#isReady = resolve));
        if (await (0, promises_cjs_1.within)(protocol_cjs_1.LIMITS.redisReady, ready))
            return;
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BUS_LOST', `[${this.#parts.scope}] no helper of the instance has subscribed to Redis within ${protocol_cjs_1.LIMITS.redisReady}ms`);
    }
    received(text) {
        // A helper that does not subscribe (any more) hears nothing.
        if (this.#leads && !this.#parts.life.ended)
            this.#parts.relay.receive(text);
    }
    busChanged() {
        const instance = this.#parts.instance();
        const input = this.#parts.bus.subscriberReady ? 'ready' : 'lost';
        // That comes back as `inputState`.
        if (instance !== undefined && this.#leads && instance.inputState !== input)
            instance.setInputState(input);
        this.update();
    }
    /** The instance's input is in this state now. */
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
    /** The one that subscribed for the instance has ended. */
    take() {
        const { bus, life, log } = this.#parts;
        if (life.ended)
            return;
        this.#leads = true;
        bus.subscribe().catch((error) => {
            if (life.ended || !this.#leads)
                return;
            log.error(`subscribing to Redis failed; again in ${TAKE_AGAIN_AFTER} ms`, error);
            this.#takeAgain = setTimeout(() => this.take(), TAKE_AGAIN_AFTER);
            this.#takeAgain.unref?.();
        });
    }
}
exports.RedisInput = RedisInput;
