//! What one helper hands to another through the core: in the order of each sender, and bounded at
//! the receiver.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes that may wait at one helper. Above it operations are refused, and their senders told.
const LIMIT: usize = 16 << 20;
/// Counted on top of each operation, so that empty ones are bounded too.
const OVERHEAD: usize = 128;
/// The same for each client that a publish leaves out.
const EXCLUDED: usize = 32;

/// The receivers of a publish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience<'a> {
    /// The members of a room, or the client with that id.
    Room(&'a [u8]),
    /// The clients of a user.
    User(&'a [u8]),
    /// Every client that is finished.
    Everybody,
}

/// An [`Audience`] that owns its name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Group {
    /// As [`Audience::Room`].
    Room(Arc<[u8]>),
    /// As [`Audience::User`].
    User(Arc<[u8]>),
    /// As [`Audience::Everybody`].
    Everybody,
}

impl Group {
    /// The room's or the user's; empty for everybody.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Room(name) | Self::User(name) => name,
            Self::Everybody => &[],
        }
    }
}

impl From<Audience<'_>> for Group {
    fn from(audience: Audience<'_>) -> Self {
        match audience {
            Audience::Room(name) => Self::Room(name.into()),
            Audience::User(name) => Self::User(name.into()),
            Audience::Everybody => Self::Everybody,
        }
    }
}

/// Something for a helper to do. Names, ids and frames are UTF-8.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OperationKind {
    /// A publish, for those of its clients in this audience that are held, but for the excluded
    /// ones.
    Publish {
        /// Its receivers.
        audience: Group,
        /// The text.
        frame: Arc<[u8]>,
        /// Ids of clients.
        exclude: Arc<[Box<[u8]>]>,
        /// When it was published: clients that have been held [since](crate::Helper::hold_client) a
        /// later epoch received it directly.
        epoch: u64,
    },
    /// A text for one of its clients.
    Send {
        /// Its id.
        client: Box<[u8]>,
        /// The text.
        frame: Arc<[u8]>,
    },
    /// Make one of its clients a member of a room.
    Join {
        /// Its id.
        client: Box<[u8]>,
        /// The room.
        room: Box<[u8]>,
    },
    /// Take one of its clients out of a room.
    Leave {
        /// Its id.
        client: Box<[u8]>,
        /// The room.
        room: Box<[u8]>,
    },
    /// Messages of other instances come in, or do not any more.
    InputState {
        /// They do.
        ready: bool,
    },
    /// Take messages of other instances from now on: the helper that did so has ended.
    TakeInput,
    /// A helper has ended without reporting its clients: they are to be
    /// [taken](crate::Helper::take_left_client).
    ClientsLeft,
    /// Messages to its clients were [dropped](crate::Helper::dropped).
    Dropped,
}

impl OperationKind {
    fn cost(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Publish { audience, frame, exclude, .. } => {
                    audience.name().len() + frame.len() + exclude.iter().map(|id| EXCLUDED + id.len()).sum::<usize>()
                }
                Self::Send { client, frame } => client.len() + frame.len(),
                Self::Join { client, room } | Self::Leave { client, room } => client.len() + room.len(),
                Self::InputState { .. } | Self::TakeInput | Self::ClientsLeft | Self::Dropped => 0,
            }
    }
}

/// An operation on its way. It counts as waiting at its helper until it is dropped.
#[derive(Debug)]
pub struct Operation {
    /// What it is.
    pub kind: OperationKind,
    _charge: Charge,
}

/// Bytes that wait at a helper.
#[derive(Debug, Default)]
pub(crate) struct WaitingBytes(Arc<AtomicUsize>);

/// An operation's part of them, for as long as it waits.
#[derive(Debug)]
struct Charge {
    waiting: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl WaitingBytes {
    /// Counts an operation as waiting. `None` when too much waits already; one that is larger than
    /// the limit finds no room at all.
    pub(crate) fn try_add(&self, kind: OperationKind) -> Option<Operation> {
        let bytes = kind.cost();
        let room = |waiting: usize| (waiting + bytes <= LIMIT).then_some(waiting + bytes);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        Some(Operation { kind, _charge: Charge { waiting: Arc::clone(&self.0), bytes } })
    }

    /// For the few operations that must always get through. They count as nothing.
    pub(crate) fn add_free(&self, kind: OperationKind) -> Operation {
        Operation { kind, _charge: Charge { waiting: Arc::clone(&self.0), bytes: 0 } }
    }
}
