import type { ShutdownReport } from '../types/server.cjs';
/** One copy, on this thread. */
interface Copy {
    /** The package's folder. */
    readonly folder: string;
    /** The addon's file: copies with the same one share a broker. */
    readonly addon: string;
    /** Whether there is something to shut down. */
    isActive(): boolean;
    shutdown(code: number, timeout: number): Promise<ShutdownReport>;
}
/** What the copies on this thread share. */
interface Shared {
    copies: Copy[];
    /** The folder of the copy whose pool this thread belongs to. */
    pool?: string;
    warned?: boolean;
    /** Hands a warning to the thread that watches this one. */
    warn?: (text: string) => void;
}
export declare const shared: Shared;
/** This thread belongs to this copy's pool, which hears its warnings. */
export declare function joinPool(warn: (text: string) => void): void;
/** Whether this thread belongs to the pool of some copy. */
export declare function isInPool(): boolean;
/**
 * Makes this copy known, as soon as its addon has been found.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the thread belongs to another copy's pool, and
 * another broker
 */
export declare function announce(addon: string): void;
/** A worker module registers with another copy than its pool's. */
export declare function checkPool(): void;
/** How this copy ends. */
export declare function endBy(own: Pick<Copy, 'isActive' | 'shutdown'>): void;
/**
 * Other copies that have something to end on this thread: `shutdown` ends them, too, as if there
 * were only one.
 */
export declare function activeOthers(): readonly Pick<Copy, 'shutdown'>[];
export {};
