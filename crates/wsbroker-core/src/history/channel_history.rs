//! The history of one channel, as all threads share it.

use std::sync::{Arc, atomic::AtomicU64};

use parking_lot::{Mutex, MutexGuard};

use super::{channel_prefix::channel_prefix, ring::HistoryRing};
use crate::config::HistoryRule;

/// The history of a channel. It may outlive the channel's subscribers.
#[derive(Debug)]
pub(crate) struct ChannelHistory {
    /// Tells histories apart. Those that a thread locks together it locks in this order.
    number: u64,
    name: Box<[u8]>,
    pub(crate) rule: Arc<HistoryRule>,
    /// What comes behind the offset in each frame; empty if frames are sent bare.
    pub(crate) prefix: Box<[u8]>,
    ring: Mutex<HistoryRing>,
    /// Where it is in the order of use; 0 while it is not.
    pub(super) place: AtomicU64,
}

impl ChannelHistory {
    pub(super) fn new(number: u64, name: &[u8], rule: &Arc<HistoryRule>, ring: HistoryRing) -> Self {
        let prefix = if rule.framed { channel_prefix(name) } else { Box::default() };
        Self {
            number,
            name: name.into(),
            rule: Arc::clone(rule),
            prefix,
            ring: Mutex::new(ring),
            place: AtomicU64::new(0),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether its frames say where they belong.
    pub(crate) fn is_framed(&self) -> bool {
        self.rule.framed
    }

    /// A thread that publishes holds this from the number that a message gets until every shard has
    /// it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, HistoryRing> {
        self.ring.lock()
    }

    /// Bytes that it takes without messages.
    pub(super) fn size(&self) -> usize {
        // Itself, its places in the map and in the order of use, and its account.
        size_of::<Self>() + 160 + self.name.len() + self.prefix.len()
    }
}

impl PartialEq for ChannelHistory {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for ChannelHistory {}
