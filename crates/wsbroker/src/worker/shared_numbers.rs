//! The numbers that Rust and JavaScript share: where things lie in a control block, and what the
//! codes in it, and in calls, mean.
//!
//! This is the only place where they are written down. `npm run build` turns this file into
//! `src/native/shared-numbers.cts` (`scripts/native-types.mjs`), which reads nothing but modules of
//! integer constants with their comments: everything else belongs to `control_block`.
//!
//! A control block is little-endian and has, in this order:
//!
//! 1. Words of 32 bits, each with a meaning of its own.
//! 2. Six lists that describe the events of the call that is being made.
//! 3. The slots whose promises have settled since Rust last looked: 32 bits for each slot.
//! 4. The state of the event in each slot: one byte for each slot.

/// Where the lists of a control block begin, in bytes, and how long they are. The six that describe
/// events have an entry for each of them.
pub(crate) mod control_layout {
    /// How many words there are in front.
    pub(crate) const WORDS: usize = 16;
    /// Events that one call brings at most.
    pub(crate) const MAX_EVENTS: usize = 32;
    /// Socket ids, 64-bit floats.
    pub(crate) const IDS: usize = 64;
    /// What the events are, signed 32-bit integers, as are the next four lists.
    pub(crate) const KINDS: usize = 320;
    /// The slots of the events.
    pub(crate) const SLOTS: usize = 448;
    /// Versions of the sockets' tokens, unsigned. 0: the socket has no token.
    pub(crate) const TOKEN_VERSIONS: usize = 576;
    /// Of shared bytes, where they begin in their `ArrayBuffer`. Of a close, its code.
    pub(crate) const NUMBERS: usize = 704;
    /// Of shared bytes, how many there are.
    pub(crate) const LENGTHS: usize = 832;
    /// Slots whose events settled outside of a call. The states of all slots lie behind this list,
    /// one byte each.
    pub(crate) const SETTLED: usize = 1024;
}

/// The words in front, by index. Each has 32 bits.
pub(crate) mod control_word {
    /// Changes whenever the token of one of this worker's sockets is set.
    pub(crate) const TOKEN_EPOCH: usize = 0;
    /// How many entries the list of settled slots has. JavaScript counts up, Rust sets it to 0.
    pub(crate) const SETTLED_COUNT: usize = 1;
    /// How many slots there are.
    pub(crate) const SLOT_COUNT: usize = 2;
    /// 1: the handlers of a socket run at the same time. Written when the worker joins a broker.
    pub(crate) const CONCURRENT: usize = 4;
    /// The `handlerTimeout` in milliseconds, plus 1. 0: the worker has not joined a broker.
    pub(crate) const HANDLER_TIMEOUT: usize = 5;
    /// The `threadId` of the worker's thread, written by JavaScript.
    pub(crate) const THREAD_ID: usize = 6;
    /// How many events the call that is being made has. 0: none is being made.
    pub(crate) const CALL_EVENTS: usize = 7;
    /// How many calls have been made, for those who look whether the thread gets on.
    pub(crate) const CALLS: usize = 8;
}

/// How far JavaScript got with the event in a slot.
pub(crate) mod event_state {
    /// Its handler has not been called. If the thread ends, another worker gets the event.
    pub(crate) const WAITING: u8 = 0;
    /// Its handler has been called.
    pub(crate) const STARTED: u8 = 1;
    /// Its handler has returned, and its promise, if it returned one, has settled.
    pub(crate) const SETTLED: u8 = 2;
}

/// What an event is, and the value that goes with it.
pub(crate) mod event_kind {
    /// A client asks to connect: an object with its request.
    pub(crate) const OPEN: i32 = 1;
    /// A text message: a string.
    pub(crate) const TEXT: i32 = 2;
    /// A small binary message: an `ArrayBuffer` that the small messages of a call share.
    pub(crate) const SHARED_BYTES: i32 = 3;
    /// A binary message: an `ArrayBuffer` of its own.
    pub(crate) const BYTES: i32 = 4;
    /// A connection has closed: the reason, a string.
    pub(crate) const CLOSE: i32 = 5;
    /// A socket can take more to send: `undefined`.
    pub(crate) const DRAIN: i32 = 6;
    /// A helper has a new connection: the address of its client, a string.
    pub(crate) const JOINED: i32 = 7;
    /// A socket has lost messages of a channel with history: an object with the channel and the
    /// position behind which the socket goes on.
    pub(crate) const LOST: i32 = 8;
    /// No event by itself: a message that a helper has given to its `messageHandler`. For
    /// `handlerRan`.
    pub(crate) const HELPER_MESSAGE: i32 = 9;
}

/// What one helper asks another one of its instance to do.
pub(crate) mod operation {
    /// Send a frame to those of its clients that Rust does not reach: audience, frame, exclude,
    /// epoch.
    pub(crate) const PUBLISH: i32 = 0;
    /// Send a frame to one of its clients.
    pub(crate) const SEND: i32 = 1;
    /// Have one of its clients join a room.
    pub(crate) const JOIN: i32 = 2;
    /// Have one of its clients leave a room.
    pub(crate) const LEAVE: i32 = 3;
    /// Take note that the input from Redis is ready, or is not.
    pub(crate) const INPUT_STATE: i32 = 4;
    /// Take over the input from Redis.
    pub(crate) const TAKE_INPUT: i32 = 5;
    /// Report clients whose helper has ended.
    pub(crate) const CLIENTS_LEFT: i32 = 6;
    /// Report messages that were dropped on their way to its clients.
    pub(crate) const DROPPED: i32 = 7;
}

/// The audience of a publish.
pub(crate) mod audience_kind {
    /// The clients in a room.
    pub(crate) const ROOM: i32 = 0;
    /// The clients of a user.
    pub(crate) const USER: i32 = 1;
    /// All clients.
    pub(crate) const EVERYBODY: i32 = 2;
}
