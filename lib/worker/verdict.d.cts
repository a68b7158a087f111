import type { NativeAccept, NativeReject } from '../native.cjs';
/** Told to the addon. */
export type CheckedVerdict = {
    readonly accepted: true;
    readonly detail: NativeAccept | undefined;
} | {
    readonly accepted: false;
    readonly detail: NativeReject;
};
export declare const ACCEPTED: CheckedVerdict;
/** `handleOpen` said no, or failed. */
export declare const FORBIDDEN: CheckedVerdict;
/** `handleOpen` said something that means nothing. */
export declare const INVALID: CheckedVerdict;
/** `handleOpen` took too long. */
export declare const TIMED_OUT: CheckedVerdict;
/**
 * What the verdict means. `offered` are the client's subprotocols.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT if it means nothing; it never counts as an
 * acceptance
 */
export declare function checkVerdict(verdict: unknown, offered: readonly string[]): CheckedVerdict;
