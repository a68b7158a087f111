//! The ids of what was published lately, so that a publish that is repeated is found out.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// How long an id is known, in milliseconds.
const WINDOW: u64 = 5 * 60 * 1000;
/// What an id takes besides its bytes: its entries in both collections, and its counts.
const OVERHEAD: usize = 112;

/// The ids of a channel, with the offset that each of them got.
#[derive(Debug, Default)]
pub(super) struct IdWindow {
    /// With a secret of its own: ids come from clients.
    offsets: HashMap<Arc<[u8]>, u64>,
    /// In the order in which they came, with when they do.
    order: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
}

impl IdWindow {
    /// The offset of what was published with this id.
    pub(super) fn find(&self, id: &[u8]) -> Option<u64> {
        self.offsets.get(id).copied()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Remembers an id that is not known.
    pub(super) fn add(&mut self, now: u64, id: &[u8], offset: u64) {
        let id: Arc<[u8]> = id.into();
        self.bytes += cost(&id);
        self.offsets.insert(Arc::clone(&id), offset);
        self.order.push_back((now, id));
    }

    /// Forgets the ids that are too old.
    pub(super) fn expire(&mut self, now: u64) {
        while self.order.front().is_some_and(|(at, _)| at + WINDOW <= now) {
            self.forget_oldest();
        }
    }

    /// Forgets the oldest until they take no more than so many bytes. Returns how many were
    /// forgotten.
    pub(super) fn shrink(&mut self, max: usize) -> u64 {
        let mut forgotten = 0;
        while self.bytes > max && !self.order.is_empty() {
            self.forget_oldest();
            forgotten += 1;
        }
        forgotten
    }

    fn forget_oldest(&mut self) {
        let Some((_, id)) = self.order.pop_front() else { return };
        self.bytes -= cost(&id);
        self.offsets.remove(&id);
        if self.order.is_empty() {
            // What many ids took.
            *self = Self::default();
        }
    }
}

fn cost(id: &[u8]) -> usize {
    OVERHEAD + id.len()
}
