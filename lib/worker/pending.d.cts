import type { EventKind } from '../native/shared-numbers.cjs';
/** An event that waits for the one before it. */
export declare class Waiting {
    readonly kind: EventKind;
    readonly slot: number;
    readonly data: unknown;
    /**
     * Of a close event: the close code. Of bytes: how many they are, unless a handler transfers
     * them away.
     */
    readonly number: number;
    /** The version of its socket's token when it came, and the epoch in which that is true. */
    readonly token: number;
    readonly epoch: number;
    next: Waiting | undefined;
    constructor(kind: EventKind, slot: number, data: unknown, 
    /**
     * Of a close event: the close code. Of bytes: how many they are, unless a handler transfers
     * them away.
     */
    number: number, 
    /** The version of its socket's token when it came, and the epoch in which that is true. */
    token: number, epoch: number);
}
/**
 * A handler's promise that is pending, and behind it, in serial mode, the events of its socket that
 * wait for it.
 */
export declare class Line {
    #private;
    id: number;
    kind: EventKind;
    slot: number;
    /** Only of an open event: the subprotocols that may be answered. */
    offered: readonly string[];
    /** When it became pending, in looks of the timer. */
    since: number;
    /** Whether it stands in the table: always in serial mode, else only while its socket opens. */
    serial: boolean;
    /** `handlerTimeout` has passed: its slot and its waiting events are no longer its own. */
    expired: boolean;
    /** The next one in its bucket of the table. */
    neighbour: Line | undefined;
    readonly resolved: (value: unknown) => void;
    readonly rejected: (error: unknown) => void;
    constructor(done: (line: Line, failed: boolean, value: unknown) => void);
    push(event: Waiting): void;
    shift(): Waiting | undefined;
    /** Hands over what waits. */
    moveTo(heir: Line): void;
    clear(): void;
}
/**
 * Lines by socket. With async handlers every event adds one and removes it again, for which a `Map`
 * takes about as long as all the rest of the event (65 of 140 ns): its removed entries pile up
 * until it is copied. Ids count upwards, so their low bits are hash enough.
 */
export declare class LineTable {
    #private;
    size: number;
    find(id: number): Line | undefined;
    add(line: Line): void;
    remove(line: Line): void;
    all(): Line[];
    clear(): void;
}
