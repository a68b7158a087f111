import type { NativeAgreed, NativeOpenOptions } from '../../native.cjs';
import { type ProcessOptions } from '../../options/start.cjs';
import type { TlsRequest } from '../../options/tls.cjs';
import type { TransportOptions } from './transport.cjs';
export declare const CALL = "WebSocketServerHelper";
/** What a helper opens and joins with. */
export interface NativeRequest {
    readonly identifier: string;
    readonly bind: string;
    readonly agreed: NativeAgreed[];
    readonly process: Partial<ProcessOptions>;
    readonly listener: Omit<NativeOpenOptions, 'process' | 'tls' | 'beside'>;
    readonly tls: TlsRequest | undefined;
}
/**
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT naming the option, what was expected and
 * what came
 */
export declare function nativeRequest(options: TransportOptions): NativeRequest;
/**
 * As failures of a helper: a wrong option is one whatever is wrong with it, and the address was not
 * `start`'s.
 */
export declare function helperError(error: unknown): unknown;
