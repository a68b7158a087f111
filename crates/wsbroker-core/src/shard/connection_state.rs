//! The states of a connection.

use wsbroker_proto::CloseCode;

use crate::counters::CloseCause;

/// The phase of a connection's life. Only [`ending`](super::ending) moves it forward.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ConnectionPhase {
    /// Messages flow; before the 101 only outwards, into the outbox.
    Active,
    /// Our close frame is under way and the peer's is awaited.
    CloseSent,
    /// Handlers know its end; what remains is written, and input discarded until the peer is gone
    /// too.
    Lingering,
    /// Over: to be removed.
    Dead,
}

/// What its worker, or the lack of it, has left to do for when a connection gets its 101.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum WithThe101 {
    #[default]
    Nothing,
    /// It is a namespace's: its worker was not asked, and is to be told.
    TellWorker,
    /// A pinned worker has accepted it, and ended: nobody knows of it, so it is closed.
    Close,
}

/// Why a connection is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pause {
    No,
    /// Its own window is full.
    Window,
    /// Its worker's window is full, or there is no worker.
    Worker,
    /// It has sent more than its rate allows.
    Rate,
    /// Its worker has been superseded, and it has not moved yet.
    Moving,
    /// It has ended, and handlers of what came before are at work.
    Ending,
}

/// What there is to read of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ReadState {
    /// The last read has emptied the stream; a readable event will come.
    Drained,
    /// The kernel may have bytes for us, but the connection is paused, or has no stream yet.
    Readable,
    /// The same, and it is in the list of connections that are read next.
    Listed,
}

/// What can be written to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WriteState {
    Open,
    /// The kernel takes no more; a writable event will come.
    Blocked,
    /// We have ended our side.
    Ended,
    /// Nothing can be written any more, but what was received may still be read.
    Dead,
}

/// The end of a connection as the peer brought it about, by a close frame or by breaking the
/// protocol.
#[derive(Debug)]
pub(super) enum PeerEnd {
    Peer(Option<CloseCode>, Box<str>),
    Failure(CloseCause, CloseCode),
}

impl PeerEnd {
    pub(super) fn cause(&self) -> CloseCause {
        match self {
            Self::Peer(..) => CloseCause::Peer,
            Self::Failure(cause, _) => *cause,
        }
    }
}
