"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.NativeRegistration = void 0;
const node_crypto_1 = require("node:crypto");
const process_cjs_1 = require("../../options/process.cjs");
const load_cjs_1 = require("../../native/load.cjs");
const register_cjs_1 = require("../../worker/register.cjs");
const tls_cjs_1 = require("../../options/tls.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
const native_runner_cjs_1 = require("./native-runner.cjs");
const native_instance_cjs_1 = require("./native-instance.cjs");
const native_options_cjs_1 = require("./native-options.cjs");
// Importing this loads native code.
/** At the end: for outboxes to be written, and for clients to answer the close frame. In ms. */
const FLUSH_TIMEOUT = 5_000;
/** A helper's registration with its instance, until it leaves. */
class NativeRegistration {
    instance;
    #request;
    #helper;
    #runner;
    #path;
    #ofThread;
    #stopped = false;
    /**
     * Checks the options and registers.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT, ERR_WSBROKER_CONFLICT
     */
    constructor(options, host) {
        this.#request = (0, native_options_cjs_1.checkNativeOptions)(options);
        this.#path = options.path;
        const { identifier, agreed, process } = this.#request;
        let helper;
        try {
            const joined = load_cjs_1.native.joinInstance({
                identifier,
                serverId: (0, node_crypto_1.randomUUID)(),
                agreed,
                process: (0, process_cjs_1.toNativeProcessOptions)((0, process_cjs_1.processOptionsWith)(load_cjs_1.native, process, true)),
                beside: isBeside(),
                encrypts: options.encrypts,
            });
            helper = this.#helper = joined.helper;
            const instance = (this.instance = new native_instance_cjs_1.NativeInstance(load_cjs_1.native, helper, host, joined.serverId));
            const inputChanged = (state) => instance.inputChanged(state);
            this.#runner = new native_runner_cjs_1.NativeRunner(load_cjs_1.native, helper, host, inputChanged);
            this.#runner.attach();
            instance.begin();
        }
        catch (error) {
            if (helper !== undefined)
                void load_cjs_1.native.leaveInstance(helper);
            throw (0, native_options_cjs_1.helperError)(error);
        }
        this.#ofThread = {
            stopAccepting: () => this.stopAccepting(),
            leave: () => host.superseded(),
        };
        register_cjs_1.thread.helpers.add(this.#ofThread);
    }
    /**
     * Opens the address, or the path on an address that is open, unless another helper of the
     * instance has done so.
     */
    async open() {
        const { listener, process, tls } = this.#request;
        try {
            await load_cjs_1.native.openInstance(this.#helper, {
                ...listener,
                tls: tls === undefined ? undefined : await (0, tls_cjs_1.readTls)(native_options_cjs_1.CALL, tls),
                process: (0, process_cjs_1.toNativeProcessOptions)((0, process_cjs_1.processOptionsWith)(load_cjs_1.native, process, true)),
                beside: isBeside(),
            });
        }
        catch (error) {
            throw (0, native_options_cjs_1.helperError)(error);
        }
        if (this.#stopped)
            this.stopAccepting();
    }
    /** It gets no more connections. */
    stopAccepting() {
        this.#stopped = true;
        load_cjs_1.native.helperAccept(this.#helper, false);
    }
    /** Closes the connections that are open, and waits until what was sent has gone out. */
    async flush() {
        this.#runner.closeAll(...protocol_cjs_1.CLOSE.shutdown);
        load_cjs_1.native.flushSends();
        await load_cjs_1.native.helperEmptied(this.#helper, FLUSH_TIMEOUT);
    }
    async leave() {
        register_cjs_1.thread.helpers.delete(this.#ofThread);
        await load_cjs_1.native.leaveInstance(this.#helper);
    }
    address() {
        const address = load_cjs_1.native.instanceAddress(this.#helper) ?? undefined;
        if (address === undefined)
            return undefined;
        const { url } = address;
        // A colon separates the path of a Unix socket from the path of the request.
        return { ...address, endpoint: `${url}${/^wss?\+unix:/.test(url) ? ':' : ''}${this.#path}` };
    }
}
exports.NativeRegistration = NativeRegistration;
/** Whether a server has loaded this thread's module. Port 0 then means the port of that server. */
function isBeside() {
    return register_cjs_1.thread.inPool || register_cjs_1.thread.loading || (0, register_cjs_1.currentRegistration)() !== undefined;
}
