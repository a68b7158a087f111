//! Messages that channels keep: numbered, shared by all threads, bounded.
//!
//! Here is what is kept and where its bounds are. Who publishes is in [`cork`](crate::cork), who
//! subscribes in `broker/recovery.rs`, and how a connection that is behind is served in
//! `shard/catching_up.rs`. Nothing here knows a connection or a shard. docs/design/history.md has
//! the rules.
//!
//! Locks: a channel's ring comes after a socket's membership and before a channel's subscribers and
//! a shard's FIFO; the order of use comes last. A thread that locks several rings does so by their
//! numbers.

mod account;
mod channel_history;
mod channel_prefix;
mod entry;
mod id_window;
mod position;
mod replay_budget;
mod ring;
mod use_order;

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use dashmap::{DashMap, Entry};
use parking_lot::Mutex;

pub use self::position::{HistoryEpoch, HistoryPosition, Since};
pub use self::ring::{BusHistory, KeptMessage};
use self::{account::ChannelAccount, use_order::UseOrder};
pub(crate) use self::{
    account::HistoryTotals,
    channel_history::ChannelHistory,
    entry::{HistoryEntry, Unnumbered},
    replay_budget::{ReplayBudgets, ReplayOwner},
    ring::{BusArrival, HistoryPage, HistoryRead, HistoryRing, Keeping, Merged, Published},
};
use crate::config::HistoryRule;

/// The part of the memory that channels get of which only the position is known.
const FOR_POSITIONS: usize = 8;
/// The time at which a broker begins, in its own milliseconds.
const BEGINNING: u64 = 1 << 40;
/// Channels that are looked at each time.
const SWEPT: usize = 4096;

/// The histories of a broker.
#[derive(Debug)]
pub(crate) struct Histories {
    rules: Box<[Arc<HistoryRule>]>,
    map: DashMap<HistoryName, Arc<ChannelHistory>>,
    order: Mutex<UseOrder>,
    max_bytes: usize,
    pub(crate) totals: Arc<HistoryTotals>,
    last: AtomicU64,
    /// Makes epochs that no other process has.
    seed: u64,
    epochs: AtomicU64,
    begun: Instant,
    /// A bus's connection, counted: what a ring has of an earlier one may not be the newest.
    session: AtomicU64,
}

/// A name as the map's key; looked up by plain bytes.
#[derive(Debug, Eq)]
struct HistoryName(Arc<ChannelHistory>);

impl PartialEq for HistoryName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Hash for HistoryName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

impl std::borrow::Borrow<[u8]> for HistoryName {
    fn borrow(&self) -> &[u8] {
        self.0.name()
    }
}

/// What was asked for and granted at a call of [`Histories::publish`].
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) position: HistoryPosition,
    /// `None`: a duplicate, which nobody gets.
    pub(crate) entry: Option<Arc<HistoryEntry>>,
}

impl Histories {
    pub(crate) fn new(rules: &[HistoryRule], max_bytes: usize) -> Self {
        Self {
            rules: rules.iter().cloned().map(Arc::new).collect(),
            map: DashMap::new(),
            order: Mutex::default(),
            max_bytes,
            totals: Arc::default(),
            last: AtomicU64::new(0),
            seed: RandomState::new().build_hasher().finish(),
            epochs: AtomicU64::new(0),
            begun: Instant::now(),
            session: AtomicU64::new(1),
        }
    }

    /// The connection of the bus that rings follow.
    pub(crate) fn session(&self) -> u64 {
        self.session.load(Ordering::Acquire)
    }

    /// The bus is lost: no ring is known to be up to date.
    pub(crate) fn end_session(&self) {
        self.session.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether no channel has a history.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.rules.is_empty()
    }

    /// The history of the channel of that name, if it is to have one.
    pub(crate) fn of(&self, name: &[u8]) -> Option<Arc<ChannelHistory>> {
        if self.is_off() {
            return None;
        }
        if let Some(found) = self.map.get(name) {
            return Some(Arc::clone(found.value()));
        }
        let rule = self.rules.iter().find(|rule| rule.matches(name))?;
        let ring = HistoryRing::new(self.epoch(), ChannelAccount::new(&self.totals));
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let fresh = Arc::new(ChannelHistory::new(number, name, rule, ring));
        let history = match self.map.entry(HistoryName(Arc::clone(&fresh))) {
            Entry::Occupied(entry) => return Some(Arc::clone(entry.get())),
            Entry::Vacant(entry) => Arc::clone(entry.insert(fresh).value()),
        };
        self.totals.bytes.fetch_add(history.size(), Ordering::Relaxed);
        self.totals.channel_bytes.fetch_add(history.size(), Ordering::Relaxed);
        self.order.lock().touch(&history, false);
        self.make_room();
        Some(history)
    }

    /// Whether a channel of that name has a history whose frames say where they belong. Makes none:
    /// anybody may ask for any name.
    pub(crate) fn is_framed(&self, name: &[u8]) -> bool {
        self.rules.iter().find(|rule| rule.matches(name)).is_some_and(|rule| rule.framed)
    }

    /// An epoch that was never given out.
    fn epoch(&self) -> HistoryEpoch {
        // A bijection of a count, so that no two are alike (splitmix64).
        let mut mixed =
            self.seed.wrapping_add(self.epochs.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        HistoryEpoch::new(mixed ^ (mixed >> 31))
    }

    /// Milliseconds of the broker. It does not begin at 0: a bus may bring what is older.
    pub(crate) fn now(&self) -> u64 {
        BEGINNING.saturating_add(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Numbers a message of a channel whose ring the caller holds.
    pub(crate) fn publish(
        &self,
        history: &Arc<ChannelHistory>,
        ring: &mut HistoryRing,
        now: u64,
        id: Option<&[u8]>,
        message: Unnumbered<'_>,
    ) -> Numbered {
        let published = ring.publish(now, &history.rule, &history.prefix, id, message);
        self.touch(history, ring);
        match published {
            Published::New(entry) => Numbered { position: ring.position(), entry: Some(entry) },
            Published::Duplicate(offset) => {
                Numbered { position: HistoryPosition { offset, ..ring.position() }, entry: None }
            }
        }
    }

    /// A channel whose ring the caller holds is used.
    pub(crate) fn touch(&self, history: &Arc<ChannelHistory>, ring: &HistoryRing) {
        self.order.lock().touch(history, !ring.is_empty());
    }

    /// Where the head of a channel is.
    pub(crate) fn position(&self, history: &Arc<ChannelHistory>) -> HistoryPosition {
        let ring = history.lock();
        self.touch(history, &ring);
        ring.position()
    }

    /// A part of what a channel keeps.
    pub(crate) fn page(
        &self,
        history: &Arc<ChannelHistory>,
        since: Option<HistoryPosition>,
        limit: usize,
        reverse: bool,
    ) -> HistoryPage {
        let mut ring = history.lock();
        ring.expire(self.now(), &history.rule);
        self.touch(history, &ring);
        ring.page(since, limit, reverse)
    }

    /// The same, of what a bus keeps and nobody here follows.
    pub(crate) fn page_of(
        &self,
        history: &ChannelHistory,
        read: BusHistory,
        since: Option<HistoryPosition>,
        limit: usize,
        reverse: bool,
    ) -> HistoryPage {
        let mut ring = HistoryRing::new(HistoryEpoch::UNKNOWN, ChannelAccount::new(&Arc::default()));
        let keeping = Keeping {
            now: self.now(),
            session: 1,
            rule: &history.rule,
            prefix: &history.prefix,
            may_compress: &|_| false,
        };
        ring.merge(keeping, 0, read);
        ring.page(since, limit, reverse)
    }

    /// The offset of the first message for a socket that recovers, as [`HistoryRing::next_after`]
    /// says. The caller holds the ring.
    pub(crate) fn next_after(
        &self,
        history: &Arc<ChannelHistory>,
        ring: &mut HistoryRing,
        since: Since,
        max_replay: u64,
    ) -> Option<u64> {
        ring.expire(self.now(), &history.rule);
        self.touch(history, ring);
        ring.next_after(since, history.rule.max_replay.min(max_replay))
    }

    /// Lets go of the messages before this offset, or of all. True if a new epoch has begun. The
    /// caller holds the ring.
    pub(crate) fn delete(&self, history: &Arc<ChannelHistory>, ring: &mut HistoryRing, before: Option<u64>) -> bool {
        let all = before.is_none_or(|offset| ring.delete_before(offset));
        if all {
            ring.restart(self.epoch());
        }
        self.touch(history, ring);
        all
    }

    /// Lets go of channels that were not used for the longest time, until memory is within its
    /// bounds. The caller holds no ring.
    pub(crate) fn make_room(&self) {
        if self.is_over() {
            self.evict();
        }
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.totals.bytes.load(Ordering::Relaxed) > self.max_bytes
            || self.totals.channel_bytes.load(Ordering::Relaxed) > self.max_bytes / FOR_POSITIONS
    }

    #[cold]
    fn evict(&self) {
        while self.totals.bytes.load(Ordering::Relaxed) > self.max_bytes {
            let Some(history) = self.order.lock().take(true) else { break };
            let mut ring = history.lock();
            ring.clear();
            HistoryTotals::count(&self.totals.evictions, 1);
            self.touch(&history, &ring);
        }
        // Each of them once: those that are in use stay.
        let empty = self.order.lock().count_of_empty();
        for _ in 0..empty {
            if self.totals.channel_bytes.load(Ordering::Relaxed) <= self.max_bytes / FOR_POSITIONS {
                break;
            }
            let Some(history) = self.order.lock().take(false) else { break };
            self.forget(&history);
        }
    }

    /// Forgets where a channel was, unless somebody has it.
    fn forget(&self, history: &Arc<ChannelHistory>) {
        // The map has it twice, and we once. While the map's table is locked, nobody gets it, so
        // that nobody can have locked its ring.
        let unused = |_: &HistoryName, found: &Arc<ChannelHistory>| {
            Arc::ptr_eq(found, history) && Arc::strong_count(found) == 3 && history.lock().is_empty()
        };
        if self.map.remove_if(history.name(), unused).is_some() {
            self.totals.bytes.fetch_sub(history.size(), Ordering::Relaxed);
            self.totals.channel_bytes.fetch_sub(history.size(), Ordering::Relaxed);
            HistoryTotals::count(&self.totals.evictions, 1);
        } else {
            let ring = history.lock();
            self.touch(history, &ring);
        }
    }

    /// Lets go of messages that are too old, in some of the channels. Returns the place to go on
    /// from.
    pub(crate) fn sweep_some(&self, from: u64) -> u64 {
        let (some, next) = self.order.lock().some(from, SWEPT);
        let now = self.now();
        for history in some {
            let mut ring = history.lock();
            ring.expire(now, &history.rule);
            if ring.is_empty() {
                self.touch(&history, &ring);
            }
        }
        next
    }

    /// How many channels have a history.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

#[cfg(test)]
mod tests;
