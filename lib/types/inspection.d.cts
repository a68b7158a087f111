/** A socket that does not take what it is sent, as {@link slowSockets} lists it. */
export interface SlowSocket {
    /** Its id. */
    readonly socketId: number;
    /** The client's address as `handleOpen` got it; '' for a Unix socket. */
    readonly ip: string;
    /** How many bytes wait for it. */
    readonly bufferedBytes: number;
    /** Since when something has waited, in milliseconds since 1970. */
    readonly since: number;
    /** How many messages were dropped since then: it was over its limit, or send memory was full. */
    readonly dropped: number;
}
/** What {@link info} knows of a socket. */
export interface SocketInfo {
    /** The client's address as `handleOpen` got it; '' for a Unix socket. */
    readonly ip: string;
    /** The path of the request, without the query; at most 256 bytes of it. */
    readonly path: string;
    /** The subprotocol that was agreed on; '' without one. */
    readonly protocol: string;
    /** When it was let in, in milliseconds since 1970, to a tenth of a second. */
    readonly opened: number;
    /** Messages that came from it. */
    readonly messagesIn: number;
    /** Bytes of their payloads, decompressed. */
    readonly bytesIn: number;
    /** Messages that were queued for it. */
    readonly messagesOut: number;
    /** Bytes of their payloads, as they are sent: compressed where they are. */
    readonly bytesOut: number;
    /** As {@link roundTrip}. */
    readonly roundTrip: number | undefined;
    /** The `threadId` of the worker that runs its handlers; `undefined` while it waits for one. */
    readonly workerId: number | undefined;
}
