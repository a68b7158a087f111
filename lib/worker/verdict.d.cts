import type { NativeAccept, NativeReject } from '../native.cjs';
/** What the addon gets. */
export type CheckedVerdict = {
    readonly accepted: true;
    readonly detail: NativeAccept | undefined;
    /** See {@link WHEN_ACCEPTED}. */
    readonly whenAccepted?: (() => void) | undefined;
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
 * A property of verdicts that accept: a function. It is called just before the addon gets the
 * verdict, so that what it sends and subscribes takes effect with the 101, and only if nothing but
 * the client can prevent that any more: each call is followed by one `handleClose`. If it throws,
 * the connection is refused with 500.
 */
export declare const WHEN_ACCEPTED: unique symbol;
/**
 * Checks a verdict. `offered` are the client's subprotocols.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT: it is not a verdict, and must not count as
 * an acceptance
 */
export declare function checkVerdict(verdict: unknown, offered: readonly string[]): CheckedVerdict;
