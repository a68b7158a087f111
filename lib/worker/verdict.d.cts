import type { NativeAccept, NativeReject } from '../native.cjs';
/** What the addon gets. */
export type CheckedVerdict = {
    readonly accepted: true;
    readonly detail: NativeAccept | undefined;
} | {
    readonly accepted: false;
    readonly detail: NativeReject;
};
export declare const ACCEPTED: CheckedVerdict;
/** `handleOpen` refused, or failed. */
export declare const FORBIDDEN: CheckedVerdict;
/** `handleOpen` returned something that is not a verdict. */
export declare const INVALID: CheckedVerdict;
/** `handleOpen` took too long. */
export declare const TIMED_OUT: CheckedVerdict;
/**
 * Checks a verdict. `offered` are the client's subprotocols.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT: it is not a verdict, and must not count as
 * an acceptance
 */
export declare function checkVerdict(verdict: unknown, offered: readonly string[]): CheckedVerdict;
