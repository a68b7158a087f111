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
/** What the copies on this thread share. Its properties are read by other versions. */
interface CopyRegistry {
    copies: Copy[];
    /** The folder of the copy whose pool this thread belongs to. */
    pool?: string;
    warned?: boolean;
    /** Passes a warning on to the thread that started this one. */
    warn?: (text: string) => void;
}
export declare const registry: CopyRegistry;
/** This thread belongs to the pool of this copy, which gets its warnings. */
export declare function enterPool(warn: (text: string) => void): void;
/** Whether this thread belongs to the pool of some copy. */
export declare function isInPool(): boolean;
/**
 * Makes this copy known to the others. Called as soon as its addon has been found.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the thread belongs to the pool of another copy
 * with another broker
 */
export declare function registerCopy(addon: string): void;
/** @throws if the worker module imports another copy than that of its pool */
export declare function checkSameCopy(): void;
/** Sets how this copy is shut down. */
export declare function setCopyLifecycle(own: Pick<Copy, 'isActive' | 'shutdown'>): void;
/**
 * Other copies that have something to shut down on this thread. `shutdown` ends them, too, as if
 * there were only one copy.
 */
export declare function otherActiveCopies(): readonly Pick<Copy, 'shutdown'>[];
export {};
