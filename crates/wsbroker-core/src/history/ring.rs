//! The messages that one channel keeps: the newest, with offsets that follow each other. Knows no
//! lock and no clock.

mod following;

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use self::following::Following;
pub(crate) use self::following::{BusArrival, Keeping, Merged};
pub use self::following::{BusHistory, KeptMessage};
use super::{
    account::{ChannelAccount, HistoryTotals},
    entry::{HistoryEntry, Unnumbered},
    id_window::IdWindow,
    position::{HistoryEpoch, HistoryPosition, Since},
};
use crate::config::HistoryRule;

/// The part of `max_bytes` that ids get.
const FOR_IDS: usize = 4;

/// The messages of a channel, from the oldest that is kept to the head, and where the head is.
#[derive(Debug)]
pub(crate) struct HistoryRing {
    epoch: HistoryEpoch,
    /// The offset of the newest message, whether or not that is kept.
    head: u64,
    /// Without holes, up to the head.
    entries: VecDeque<Arc<HistoryEntry>>,
    ids: IdWindow,
    account: Arc<ChannelAccount>,
    /// Once a bus numbers the channel's messages.
    following: Option<Box<Following>>,
}

/// What became of a publish.
#[derive(Debug)]
pub(crate) enum Published {
    /// It is the newest message.
    New(Arc<HistoryEntry>),
    /// Its id was known: this offset has it.
    Duplicate(u64),
}

/// What a reader that is behind gets.
#[derive(Debug)]
pub(crate) enum HistoryRead {
    /// The next messages, and whether there is nothing behind them.
    Entries(Vec<Arc<HistoryEntry>>, bool),
    /// The next is gone. The reader goes on behind this position.
    Lost(HistoryPosition),
}

/// A part of a channel's history.
#[derive(Clone, Debug)]
pub(crate) struct HistoryPage {
    pub(crate) position: HistoryPosition,
    pub(crate) complete: bool,
    pub(crate) entries: Vec<Arc<HistoryEntry>>,
}

impl HistoryRing {
    pub(super) fn new(epoch: HistoryEpoch, account: Arc<ChannelAccount>) -> Self {
        Self { epoch, head: 0, entries: VecDeque::new(), ids: IdWindow::default(), account, following: None }
    }

    pub(crate) fn position(&self) -> HistoryPosition {
        HistoryPosition { offset: self.head, epoch: self.epoch }
    }

    /// The offset of the oldest message that is kept; one beyond the head if none is kept.
    pub(crate) fn first(&self) -> u64 {
        self.head + 1 - self.entries.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.ids.bytes() == 0
    }

    /// About how many bytes so many of its newest messages have.
    pub(crate) fn bytes_of(&self, newest: u64) -> u64 {
        let kept = self.entries.len().max(1) as u64;
        (self.account.bytes() as u64).saturating_mul(newest) / kept
    }

    /// Numbers a message and keeps it.
    pub(super) fn publish(
        &mut self,
        now: u64,
        rule: &HistoryRule,
        prefix: &[u8],
        id: Option<&[u8]>,
        message: Unnumbered<'_>,
    ) -> Published {
        self.expire(now, rule);
        if let Some(offset) = id.and_then(|id| self.ids.find(id)) {
            HistoryTotals::count(&self.account.totals.duplicates, 1);
            return Published::Duplicate(offset);
        }
        if let Some(id) = id {
            self.change_ids(|ids, head| {
                ids.add(now, id, head + 1);
                ids.shrink(rule.max_bytes / FOR_IDS)
            });
        }
        Published::New(self.append(now, rule, prefix, message))
    }

    /// Keeps the message that follows the head.
    fn append(&mut self, at: u64, rule: &HistoryRule, prefix: &[u8], message: Unnumbered<'_>) -> Arc<HistoryEntry> {
        self.head += 1;
        let entry = Arc::new(HistoryEntry::new(self.position(), at, prefix, message, &self.account));
        self.account.add(entry.size());
        self.account.totals.messages.fetch_add(1, Ordering::Relaxed);
        self.entries.push_back(Arc::clone(&entry));
        self.trim(rule);
        entry
    }

    fn trim(&mut self, rule: &HistoryRule) {
        while self.entries.len() > rule.size || (self.account.bytes() > rule.max_bytes && self.entries.len() > 1) {
            self.drop_oldest();
        }
    }

    /// Lets go of what is too old.
    pub(super) fn expire(&mut self, now: u64, rule: &HistoryRule) {
        let ttl = u64::try_from(rule.ttl.as_millis()).unwrap_or(u64::MAX);
        while self.entries.front().is_some_and(|entry| entry.at.saturating_add(ttl) <= now) {
            self.drop_oldest();
        }
        if self.ids.bytes() > 0 {
            self.change_ids(|ids, _| {
                ids.expire(now);
                0
            });
        }
    }

    fn change_ids(&mut self, change: impl FnOnce(&mut IdWindow, u64) -> u64) {
        let before = self.ids.bytes();
        let dropped = change(&mut self.ids, self.head);
        let after = self.ids.bytes();
        self.account.add(after.saturating_sub(before));
        self.account.sub(before.saturating_sub(after));
        HistoryTotals::count(&self.account.totals.ids_dropped, dropped);
    }

    fn drop_oldest(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        self.account.sub(entry.size() + entry.let_go());
        self.account.totals.messages.fetch_sub(1, Ordering::Relaxed);
        if self.entries.is_empty() {
            // What many messages took.
            self.entries = VecDeque::new();
        }
    }

    /// Lets go of all messages and ids. What comes next follows in the same epoch.
    pub(super) fn clear(&mut self) {
        if let Some(following) = &mut self.following {
            following.complete = false;
        }
        while !self.entries.is_empty() {
            self.drop_oldest();
        }
        self.change_ids(|ids, _| ids.shrink(0));
    }

    /// Begins anew.
    pub(super) fn restart(&mut self, epoch: HistoryEpoch) {
        // They are not wanted any more, rather than dropped for lack of room.
        self.change_ids(|ids, _| {
            ids.shrink(0);
            0
        });
        self.clear();
        self.epoch = epoch;
        self.head = 0;
    }

    /// Lets go of the messages below this offset. True if there were messages, and none is left.
    pub(super) fn delete_before(&mut self, offset: u64) -> bool {
        let had = !self.entries.is_empty();
        while self.entries.front().is_some_and(|entry| entry.offset < offset) {
            self.drop_oldest();
        }
        had && self.entries.is_empty()
    }

    /// The offset of the first message for a reader that goes on from there, if nothing that it
    /// has to get is gone, and there are no more than `max` of it.
    pub(super) fn next_after(&self, since: Since, max: u64) -> Option<u64> {
        match since {
            Since::Now => Some(self.head + 1),
            Since::Latest => Some(self.head + u64::from(self.entries.is_empty() || max == 0)),
            Since::Position(since) => {
                let missing = self.head.checked_sub(since.offset).filter(|_| since.epoch == self.epoch)?;
                (missing <= max && missing <= self.entries.len() as u64).then_some(since.offset + 1)
            }
        }
    }

    /// The messages from `next` on, for a reader that is in this epoch: about so many bytes of
    /// them, at least one.
    pub(crate) fn read(&self, epoch: HistoryEpoch, next: u64, bytes: usize) -> HistoryRead {
        let at = next.checked_sub(self.first()).filter(|_| epoch == self.epoch);
        let Some(at) = at.and_then(|at| usize::try_from(at).ok()) else {
            return HistoryRead::Lost(self.after_loss(epoch));
        };
        let mut entries = Vec::new();
        let mut left = bytes;
        for entry in self.entries.range(at.min(self.entries.len())..) {
            let size = entry.frame.len();
            if !entries.is_empty() && size > left {
                return HistoryRead::Entries(entries, false);
            }
            left = left.saturating_sub(size);
            entries.push(Arc::clone(entry));
        }
        HistoryRead::Entries(entries, true)
    }

    /// Where a reader goes on that has lost messages of this epoch. What is here of another epoch
    /// is news to it, so it gets all of that, if all of it is kept.
    fn after_loss(&self, epoch: HistoryEpoch) -> HistoryPosition {
        let is_news = epoch != self.epoch && self.first() == 1;
        HistoryPosition { offset: if is_news { 0 } else { self.head }, epoch: self.epoch }
    }

    /// At most `limit` messages behind `since`, the oldest or (`reverse`) the newest first. Without
    /// `since`: of all that is kept, as seen from before the first.
    pub(super) fn page(&self, since: Option<HistoryPosition>, limit: usize, reverse: bool) -> HistoryPage {
        let known = match since {
            None => Some(0),
            Some(since) => (since.epoch == self.epoch && since.offset <= self.head).then_some(since.offset),
        };
        let from = (known.unwrap_or(0) + 1).saturating_sub(self.first());
        let kept = self.entries.range(usize::try_from(from).unwrap_or(usize::MAX).min(self.entries.len())..);
        let entries = if reverse {
            kept.rev().take(limit).map(Arc::clone).collect()
        } else {
            kept.take(limit).map(Arc::clone).collect()
        };
        let complete = known.is_some_and(|offset| offset + 1 >= self.first());
        HistoryPage { position: self.position(), complete, entries }
    }
}

#[cfg(test)]
mod tests;
