import { NativeInstance } from './native-instance.cjs';
import type { TransportHost, TransportOptions } from './transport.cjs';
/** A helper's place in its instance, until it leaves. */
export declare class NativeRegistration {
    #private;
    readonly instance: NativeInstance;
    /**
     * Checks the options and takes the place.
     *
     * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT, ERR_WSBROKER_CONFLICT
     */
    constructor(options: TransportOptions, host: TransportHost);
    /** Opens the address, or the path on one that is there, unless another helper of the instance has done so. */
    open(): Promise<void>;
    /** It gets no connections any more. */
    stopAccepting(): void;
    /** Closes what is open yet, and lets what was sent go out. */
    flush(): Promise<void>;
    leave(): Promise<void>;
    address(): {
        address: string;
        port: number;
        url: string;
        endpoint: string;
    } | undefined;
}
