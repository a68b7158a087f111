import type { NativeAgreed, NativeListenOptions } from '../../native.cjs';
import { type ProcessOptions } from '../../options/start.cjs';
import type { CheckedTlsOptions } from '../../options/tls.cjs';
import type { TransportOptions } from './transport.cjs';
export declare const CALL = "WebSocketServerHelper";
/** What a helper opens and joins with. */
export interface CheckedNativeOptions {
    readonly identifier: string;
    readonly bind: string;
    readonly agreed: NativeAgreed[];
    readonly process: Partial<ProcessOptions>;
    readonly listener: Omit<NativeListenOptions, 'process' | 'tls' | 'beside'>;
    readonly tls: CheckedTlsOptions | undefined;
}
/**
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT naming the option, what was expected and
 * what came
 */
export declare function checkNativeOptions(options: TransportOptions): CheckedNativeOptions;
/**
 * As failures of a helper: a wrong option is one whatever is wrong with it, and the address was not
 * `start`'s.
 */
export declare function helperError(error: unknown): unknown;
