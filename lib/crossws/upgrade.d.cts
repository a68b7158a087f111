import type { Hooks } from 'crossws' with { 'resolution-mode': 'import' };
import type { OpenRequest, RejectVerdict } from '../types/worker-interface.cjs';
import type { CrosswsOptions } from './options.cjs';
/** What became of an upgrade request. */
export type Upgrade = {
    readonly kind: 'accepted';
    readonly context: Record<string, unknown>;
    readonly namespace: string;
    readonly protocol: string | undefined;
    readonly headers: readonly (readonly [string, string])[];
    readonly resolved: Partial<Hooks> | undefined;
} | {
    readonly kind: 'refused';
    readonly verdict: RejectVerdict;
};
/** A request with what servers of the same family add to it. */
export type UpgradeRequest = Request & {
    readonly context: Record<string, unknown>;
    /** The client's address. */
    readonly ip: string;
};
/** The request as the Fetch API has it; `undefined` if its Host header makes no URL. */
export declare function fetchRequest(open: OpenRequest): UpgradeRequest | undefined;
/**
 * Asks the hooks.
 *
 * @throws what they throw, unless it is a Response or has one
 */
export declare function upgrade(options: CrosswsOptions, request: UpgradeRequest): Promise<Upgrade>;
/** The subprotocols that the client offers. */
export declare function offeredProtocols(request: Request): string[];
