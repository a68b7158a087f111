// Made from crates/wsbroker by scripts/native-types.mjs, which npm run build starts. Do not edit.

/**
 * Where the lists of a control block begin, in bytes, and how long they are. The six that describe
 * events have an entry for each of them.
 */
export const enum ControlLayout {
  /** How many words there are in front. */
  Words = 16,
  /** Events that one call brings at most. */
  MaxEvents = 32,
  /** Socket ids, 64-bit floats. */
  Ids = 64,
  /** What the events are, signed 32-bit integers, as are the next four lists. */
  Kinds = 320,
  /** The slots of the events. */
  Slots = 448,
  /** Versions of the sockets' tokens, unsigned. 0: the socket has no token. */
  TokenVersions = 576,
  /** Of shared bytes, where they begin in their `ArrayBuffer`. Of a close, its code. */
  Numbers = 704,
  /** Of shared bytes, how many there are. */
  Lengths = 832,
  /**
   * Slots whose events settled outside of a call. The states of all slots lie behind this list,
   * one byte each.
   */
  Settled = 1024,
}

/** The words in front, by index. Each has 32 bits. */
export const enum ControlWord {
  /** Changes whenever the token of one of this worker's sockets is set. */
  TokenEpoch = 0,
  /** How many entries the list of settled slots has. JavaScript counts up, Rust sets it to 0. */
  SettledCount = 1,
  /** How many slots there are. */
  SlotCount = 2,
  /** 1: the handlers of a socket run at the same time. Written when the worker joins a broker. */
  Concurrent = 4,
  /** The `handlerTimeout` in milliseconds, plus 1. 0: the worker has not joined a broker. */
  HandlerTimeout = 5,
  /** The `threadId` of the worker's thread, written by JavaScript. */
  ThreadId = 6,
  /** How many events the call that is being made has. 0: none is being made. */
  CallEvents = 7,
  /** How many calls have been made, for those who look whether the thread gets on. */
  Calls = 8,
}

/** How far JavaScript got with the event in a slot. */
export const enum EventState {
  /** Its handler has not been called. If the thread ends, another worker gets the event. */
  Waiting = 0,
  /** Its handler has been called. */
  Started = 1,
  /** Its handler has returned, and its promise, if it returned one, has settled. */
  Settled = 2,
}

/** What an event is, and the value that goes with it. */
export const enum EventKind {
  /** A client asks to connect: an object with its request. */
  Open = 1,
  /** A text message: a string. */
  Text = 2,
  /** A small binary message: an `ArrayBuffer` that the small messages of a call share. */
  SharedBytes = 3,
  /** A binary message: an `ArrayBuffer` of its own. */
  Bytes = 4,
  /** A connection has closed: the reason, a string. */
  Close = 5,
  /** A socket can take more to send: `undefined`. */
  Drain = 6,
  /** A helper has a new connection: the address of its client, a string. */
  Joined = 7,
  /**
   * A socket has lost messages of a channel with history: an object with the channel and the
   * position behind which the socket goes on.
   */
  Lost = 8,
  /**
   * No event by itself: a message that a helper has given to its `messageHandler`. For
   * `handlerRan`.
   */
  HelperMessage = 9,
}

/** What one helper asks another one of its instance to do. */
export const enum Operation {
  /**
   * Send a frame to those of its clients that Rust does not reach: audience, frame, exclude,
   * epoch.
   */
  Publish = 0,
  /** Send a frame to one of its clients. */
  Send = 1,
  /** Have one of its clients join a room. */
  Join = 2,
  /** Have one of its clients leave a room. */
  Leave = 3,
  /** Take note that the input from Redis is ready, or is not. */
  InputState = 4,
  /** Take over the input from Redis. */
  TakeInput = 5,
  /** Report clients whose helper has ended. */
  ClientsLeft = 6,
  /** Report messages that were dropped on their way to its clients. */
  Dropped = 7,
}

/** The audience of a publish. */
export const enum AudienceKind {
  /** The clients in a room. */
  Room = 0,
  /** The clients of a user. */
  User = 1,
  /** All clients. */
  Everybody = 2,
}
