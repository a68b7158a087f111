import type { NativeAgreed, NativeListenOptions } from '../../native.cjs';
import { type ProcessOptions } from '../../options/start.cjs';
import type { CheckedTlsOptions } from '../../options/tls.cjs';
import type { TransportOptions } from './transport.cjs';
export declare const CALL = "WebSocketServerHelper";
/** Options of `start` that a helper does not have. */
export declare const NOT_FOR_HELPERS: readonly string[];
/** The options, checked, as the addon takes them. */
export interface CheckedNativeOptions {
    readonly identifier: string;
    readonly bind: string;
    readonly agreed: NativeAgreed[];
    readonly process: Partial<ProcessOptions>;
    readonly listener: Omit<NativeListenOptions, 'process' | 'tls' | 'beside' | 'http'>;
    readonly tls: CheckedTlsOptions | undefined;
}
/**
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT: an option is wrong; the message says
 * which, what was expected and what was given
 */
export declare function checkNativeOptions(options: TransportOptions): CheckedNativeOptions;
/**
 * Turns an error of the addon into one of a helper, which has not called `start`.
 */
export declare function helperError(error: unknown): unknown;
