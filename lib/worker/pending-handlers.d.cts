import type { EventKind } from '../native/shared-numbers.cjs';
/** An event that waits for the previous one of its socket. */
export declare class WaitingEvent {
    readonly kind: EventKind;
    readonly slot: number;
    readonly data: unknown;
    /**
     * The close code of a close event; the length of bytes, from which it shows if a handler has
     * transferred them.
     */
    readonly number: number;
    /**
     * The version of its socket's token when it came, and the token epoch in which that is valid.
     */
    readonly token: number;
    readonly epoch: number;
    next: WaitingEvent | undefined;
    constructor(kind: EventKind, slot: number, data: unknown, 
    /**
     * The close code of a close event; the length of bytes, from which it shows if a handler has
     * transferred them.
     */
    number: number, 
    /**
     * The version of its socket's token when it came, and the token epoch in which that is valid.
     */
    token: number, epoch: number);
}
/**
 * A handler whose promise is pending. In serial mode the next events of its socket wait here.
 */
export declare class PendingHandler {
    #private;
    id: number;
    kind: EventKind;
    slot: number;
    /** Only for an open event: the subprotocols that the client offers. */
    offered: readonly string[];
    /** When its handler was called, if that is measured, in milliseconds; otherwise 0. */
    begun: number;
    /** When it became pending, in ticks of the timer. */
    since: number;
    /** Whether it is in the table: always in serial mode, otherwise only for open events. */
    serial: boolean;
    /** `handlerTimeout` has passed: another one has its slot and its waiting events. */
    expired: boolean;
    /** The next one in its bucket of the table. */
    nextInBucket: PendingHandler | undefined;
    readonly resolved: (value: unknown) => void;
    readonly rejected: (error: unknown) => void;
    constructor(done: (handler: PendingHandler, failed: boolean, value: unknown) => void);
    push(event: WaitingEvent): void;
    shift(): WaitingEvent | undefined;
    /** Moves the waiting events. */
    moveTo(successor: PendingHandler): void;
    clear(): void;
}
/**
 * Pending handlers by socket. With async handlers every event adds one and removes it again. With a
 * `Map`, in which removed entries pile up until it is copied, that takes almost half of the time of
 * an event (65 of 140 ns). Ids count upwards, so their low bits are a sufficient hash.
 */
export declare class PendingHandlers {
    #private;
    size: number;
    find(id: number): PendingHandler | undefined;
    add(handler: PendingHandler): void;
    remove(handler: PendingHandler): void;
    all(): PendingHandler[];
    clear(): void;
}
