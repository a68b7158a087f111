import { NativeInstance } from './native-instance.cjs';
import type { TransportHost, TransportOptions } from './transport.cjs';
/** A helper's registration with its instance, until it leaves. */
export declare class NativeRegistration {
    #private;
    readonly instance: NativeInstance;
    /**
     * Checks the options and registers.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT, ERR_WSBROKER_CONFLICT
     */
    constructor(options: TransportOptions, host: TransportHost);
    /**
     * Opens the address, or the path on an address that is open, unless another helper of the
     * instance has done so.
     */
    open(): Promise<void>;
    /** It gets no more connections. */
    stopAccepting(): void;
    /** Closes the connections that are open, and waits until what was sent has gone out. */
    flush(): Promise<void>;
    leave(): Promise<void>;
    address(): {
        address: string;
        port: number;
        url: string;
        endpoint: string;
    } | undefined;
}
