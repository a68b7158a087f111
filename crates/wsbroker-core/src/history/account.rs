//! How much memory histories take: each channel's, and all of them together.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// What all histories of a broker take, and what has happened to them.
#[derive(Debug, Default)]
pub(crate) struct HistoryTotals {
    /// Bytes of entries, compressed forms, ids and channels.
    pub(crate) bytes: AtomicUsize,
    /// The part of it that is channels without their messages.
    pub(crate) channel_bytes: AtomicUsize,
    pub(crate) messages: AtomicUsize,
    pub(crate) evictions: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) not_recovered: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) ids_dropped: AtomicU64,
}

impl HistoryTotals {
    pub(crate) fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// What one channel's messages take. Counted in the totals, too.
#[derive(Debug)]
pub(crate) struct ChannelAccount {
    bytes: AtomicUsize,
    pub(crate) totals: Arc<HistoryTotals>,
}

impl ChannelAccount {
    pub(crate) fn new(totals: &Arc<HistoryTotals>) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), totals: Arc::clone(totals) })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.totals.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.totals.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
