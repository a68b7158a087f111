export declare const enum EventKind {
    Open = 1,
    Text = 2,
    /** Bytes in an `ArrayBuffer` that holds those of other events, too. */
    SharedBytes = 3,
    /** Bytes in an `ArrayBuffer` of their own. */
    Bytes = 4,
    Close = 5,
    Drain = 6,
    /** Only for server helpers: a socket has been opened. */
    Joined = 7
}
/** 0 is an event that has not started. */
export declare const enum EventState {
    Started = 1,
    /** Its handler has returned and, if that returned a promise, the promise has settled. */
    Settled = 2
}
/** Indexes of the first 16 words, 32 bits each. */
export declare const enum ControlWord {
    /** Changes whenever a token of one of this worker's sockets is set. */
    TokenEpoch = 0,
    /** How many entries `settled` has. The addon resets it to 0. */
    SettledCount = 1,
    /** How many slots there are. */
    SlotCount = 2,
    /** 1: `handlers: 'concurrent'`. Written, like the next one, when the worker joins a broker. */
    Concurrent = 4,
    /** `handlerTimeout` + 1. 0: there is no broker yet. */
    HandlerTimeout = 5,
    /** The `threadId`, written by the worker for `stats`. */
    ThreadId = 6
}
/** The sizes of its arrays, and their offsets in bytes. */
export declare const enum ControlBlock {
    Words = 16,
    /** Events that one call brings at most. The next six arrays have one entry for each of them. */
    MaxEvents = 32,
    Ids = 64,
    Kinds = 320,
    Slots = 448,
    TokenVersions = 576,
    /** A close code, or where shared bytes begin. */
    Numbers = 704,
    /** How many shared bytes there are. */
    Lengths = 832,
    /** Slots whose events settled outside of a call. The states follow, one byte for each slot. */
    Settled = 1024
}
