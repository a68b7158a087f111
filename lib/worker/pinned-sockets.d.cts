import type { AcceptVerdict } from '../types/worker-interface.cjs';
/**
 * What a thread knows of its connections, for handlers that keep it to themselves: see
 * {@link PINNED}.
 */
export declare class PinnedSockets<T> {
    #private;
    /**
     * @param opened called once for each connection, when its verdict is certain and not yet given:
     * what it subscribes and sends takes effect with the 101
     */
    constructor(opened: (socket: T) => void);
    /**
     * The verdict of `handleOpen` for a connection that is to be kept.
     *
     * @param make makes what is kept. If it throws, the connection is refused with 500
     */
    accept(socketId: number, verdict: AcceptVerdict, make: () => T): AcceptVerdict;
    /** The connection of an event. */
    find(socketId: number): T | undefined;
    /**
     * The same, for a message. An unknown connection is closed: it was accepted by a worker that has
     * ended and was not pinned.
     */
    ofMessage(socketId: number): T | undefined;
    /** The connection has ended. `undefined` if it belonged to a worker that has ended. */
    end(socketId: number): T | undefined;
    /** All that have not ended. */
    all(): T[];
}
