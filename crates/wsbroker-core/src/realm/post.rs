//! What one helper hands to another, by way of the core: in order per sender, and bounded at the receiver.

use std::sync::{Arc, atomic::Ordering};

use super::directory::Group;
use crate::dispatch::WorkerEntry;

/// Bytes that may wait at one helper. Beyond, what others post is refused, and they are told so.
const LIMIT: usize = 16 << 20;
/// Counted on top of each post, so that empty ones are bounded too.
const OVERHEAD: usize = 128;
/// The same for each client that a publish leaves out.
const EXCLUDED: usize = 32;

/// Something for a helper to do. Names, ids and frames are UTF-8.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// A publish, for those of its clients in this audience that are held, but for the excluded ones.
    Publish {
        /// Whom it is for.
        audience: Group,
        /// The text.
        frame: Arc<[u8]>,
        /// Ids of clients.
        exclude: Arc<[Box<[u8]>]>,
        /// When it was published: clients that have been held [since](super::Helper::hold_client) a later epoch received it directly.
        epoch: u64,
    },
    /// A text for one of its clients.
    Send {
        /// Its id.
        client: Box<[u8]>,
        /// The text.
        frame: Arc<[u8]>,
    },
    /// One of its clients shall be a member of a room.
    Join {
        /// Its id.
        client: Box<[u8]>,
        /// The room.
        room: Box<[u8]>,
    },
    /// One of its clients shall not be one any more.
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
    /// It shall take messages of other instances from now on: whoever did has ended.
    TakeInput,
    /// A helper has ended without reporting its clients: they are to be [taken](super::Helper::take_left_client).
    ClientsLeft,
    /// Messages to its clients were [dropped](super::Helper::dropped).
    Dropped,
}

impl Operation {
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
pub struct Post {
    /// What it is.
    pub operation: Operation,
    _charge: Charge,
}

/// Bytes that wait at a helper.
#[derive(Debug)]
struct Charge {
    helper: Arc<WorkerEntry>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.helper.posted.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Too much waits there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full;

/// Hands an operation to a helper, if there is room. One that is larger than the limit finds none.
pub(super) fn post(helper: &Arc<WorkerEntry>, operation: Operation) -> Result<(), Full> {
    let bytes = operation.cost();
    let room = |posted: usize| (posted + bytes <= LIMIT).then_some(posted + bytes);
    helper.posted.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).map_err(|_| Full)?;
    let charge = Charge { helper: Arc::clone(helper), bytes };
    helper.sink.post(Post { operation, _charge: charge });
    Ok(())
}

/// The same, for the few that nothing may keep back.
pub(crate) fn tell(helper: &Arc<WorkerEntry>, operation: Operation) {
    let charge = Charge { helper: Arc::clone(helper), bytes: 0 };
    helper.sink.post(Post { operation, _charge: charge });
}
