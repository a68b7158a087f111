import type { NativeTls } from '../native.cjs';
/** Where PEM comes from. `name` is the argument's, for messages. */
type Source = {
    readonly name: string;
} & ({
    readonly pem: Buffer;
} | {
    readonly path: string;
});
/** The `tls` of a call, checked as far as it can be without reading. */
export interface TlsRequest {
    readonly pairs: readonly {
        readonly cert: Source;
        readonly key: Source;
    }[];
    readonly ca: readonly Source[];
    readonly requestCert: boolean;
    readonly rejectUnauthorized: boolean;
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}
/**
 * @throws {TypeError | RangeError | WSBrokerError} naming the option, what was expected and what
 * came; never what PEM or a key holds
 */
export declare function tlsRequest(call: string, value: unknown): TlsRequest;
/** @throws {WSBrokerError} ERR_WSBROKER_TLS naming the file and the system's reason */
export declare function readTls(call: string, request: TlsRequest): Promise<NativeTls>;
export {};
