import type { NativeTls } from '../native.cjs';
/** Where PEM comes from. `name` is that of the option, for messages. */
type PemLocation = {
    readonly name: string;
} & ({
    readonly pem: Buffer;
} | {
    readonly path: string;
});
/** The option `tls`, checked as far as is possible without reading files. */
export interface CheckedTlsOptions {
    readonly pairs: readonly {
        readonly cert: PemLocation;
        readonly key: PemLocation;
    }[];
    readonly ca: readonly PemLocation[];
    readonly requestCert: boolean;
    readonly rejectUnauthorized: boolean;
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}
/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given, but never shows PEM or a key
 */
export declare function checkTlsOptions(call: string, value: unknown): CheckedTlsOptions;
/**
 * @throws {WSBrokerError} ERR_WSBROKER_TLS: a file cannot be read; the message has its name and the
 * system's reason
 */
export declare function readTls(call: string, request: CheckedTlsOptions): Promise<NativeTls>;
export {};
