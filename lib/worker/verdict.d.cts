import type { NativeAccept, NativeReject } from '../native.cjs';
/** Told to the addon. */
export type Judgement = {
    readonly accepted: true;
    readonly detail: NativeAccept | undefined;
} | {
    readonly accepted: false;
    readonly detail: NativeReject;
};
export declare const ACCEPTED: Judgement;
/** `handleOpen` said no, or failed. */
export declare const FORBIDDEN: Judgement;
/** `handleOpen` said something that means nothing. */
export declare const BROKEN: Judgement;
/** `handleOpen` took too long. */
export declare const LATE: Judgement;
/**
 * What the verdict means. `offered` are the client's subprotocols.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT if it means nothing; it never counts as an
 * acceptance
 */
export declare function judge(verdict: unknown, offered: readonly string[]): Judgement;
