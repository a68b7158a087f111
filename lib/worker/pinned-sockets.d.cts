/**
 * What a thread knows of its connections, for handlers that keep it to themselves: see
 * {@link PINNED}. Each is opened once, when its verdict is on its way and before its first event.
 */
export declare class PinnedSockets<T> {
    #private;
    /** @param open called once for each connection */
    constructor(open: (socket: T) => void);
    /** `handleOpen` is about to accept. */
    accept(socketId: number, socket: T): void;
    /** The connection of an event, opened. */
    find(socketId: number): T | undefined;
    /**
     * The same, for a message. An unknown connection is closed: it was accepted by a worker that has
     * ended, just before its 101.
     */
    ofMessage(socketId: number): T | undefined;
    /**
     * The connection has ended. `undefined` if it was lost before it was opened, or belonged to a
     * worker that has ended.
     */
    end(socketId: number): T | undefined;
    /** All that have not ended. */
    all(): T[];
}
