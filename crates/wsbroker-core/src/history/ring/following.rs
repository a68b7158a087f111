//! A ring whose messages a bus numbers. It is a copy of what the bus keeps: what arrives there is
//! merged by offset, and what has not arrived is read again.
//!
//! What two connections bring may overtake each other, so a ring decides by itself what is new:
//! offsets below its head are known, a gap is put aside until the rest is there, and an epoch that
//! it has left does not come back by a late message, but only by reading what the bus keeps now.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use tokio::sync::oneshot;
use wsbroker_proto::MessageKind;

use super::HistoryRing;
use crate::{
    config::HistoryRule,
    history::{
        entry::{HistoryEntry, Unnumbered},
        position::{HistoryEpoch, HistoryPosition},
    },
    ids::SocketId,
    shard::Compress,
};

/// Epochs that a ring has left and still recognizes.
const RETIRED: usize = 4;
/// Bytes of messages that wait for those before them. What does not fit is read again.
const MAX_ASIDE: usize = 1 << 20;

/// A message of a channel with history, as the bus brings it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptMessage {
    /// Text or binary.
    pub kind: MessageKind,
    /// Whether sockets get it compressed.
    pub compress: Compress,
    /// The payload as it was published.
    pub payload: Bytes,
    /// Sockets of this instance that do not get it, in order.
    pub exclude: Box<[SocketId]>,
    /// How long ago it was numbered, in milliseconds.
    pub age: u64,
}

/// What a bus keeps of a channel: the messages up to the head, or the newest of them.
#[derive(Clone, Debug)]
pub struct BusHistory {
    /// The head.
    pub position: HistoryPosition,
    /// The offset of the first of the messages.
    pub first: u64,
    /// Without holes, up to the head.
    pub messages: Vec<KeptMessage>,
    /// Whether the bus keeps no others.
    pub whole: bool,
}

/// What became of a message that has arrived.
#[derive(Debug)]
pub(crate) enum BusArrival {
    /// These follow what every subscriber has.
    Next(Vec<Arc<HistoryEntry>>),
    /// Subscribers go on from this position: what they find in the ring may not follow it.
    Behind(HistoryPosition),
    /// It was there.
    Known,
    /// It does not follow. What the bus keeps has to be read.
    Unclear,
}

/// What became of what was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Merged {
    /// Nothing is new to subscribers.
    Known,
    /// Subscribers go on from this position.
    Behind(HistoryPosition),
    /// The epoch has changed meanwhile: it may be older than what the ring has.
    Outdated,
}

/// How a ring stands to its bus.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// The connection of the bus over which it is up to date. 0: nobody here has followed it yet,
    /// or since the last subscriber has left.
    session: u64,
    /// It has everything that the bus keeps.
    pub(super) complete: bool,
    /// Where the bus was known to be.
    known: Option<HistoryPosition>,
    /// Epochs that it has left, the newest last.
    retired: VecDeque<HistoryEpoch>,
    /// How often the epoch has changed.
    changes: u64,
    /// What has arrived beyond the head, of the same epoch.
    aside: BTreeMap<u64, KeptMessage>,
    aside_bytes: usize,
    /// Those who wait until the ring has a position.
    waiting: Vec<(HistoryPosition, oneshot::Sender<()>)>,
}

impl KeptMessage {
    fn unnumbered(&self, may_compress: &dyn Fn(&Self) -> bool) -> Unnumbered<'_> {
        Unnumbered {
            kind: self.kind,
            payload: &self.payload,
            compress: self.compress,
            may_compress: may_compress(self),
            exclude: self.exclude.clone(),
        }
    }
}

/// What a ring needs to keep messages.
#[derive(Clone, Copy)]
pub(crate) struct Keeping<'a> {
    pub(crate) now: u64,
    pub(crate) session: u64,
    pub(crate) rule: &'a HistoryRule,
    pub(crate) prefix: &'a [u8],
    pub(crate) may_compress: &'a dyn Fn(&KeptMessage) -> bool,
}

impl HistoryRing {
    fn following(&mut self) -> &mut Following {
        self.following.get_or_insert_default()
    }

    /// Whether it has everything up to the bus's head, as far as that has arrived.
    pub(crate) fn is_live(&self, session: u64) -> bool {
        self.following.as_ref().is_some_and(|following| following.session == session)
    }

    /// Whether nobody here has followed the channel.
    pub(crate) fn is_cold(&self) -> bool {
        self.following.as_ref().is_none_or(|following| following.session == 0)
    }

    /// Whether it has everything that the bus keeps up to its head.
    pub(crate) fn is_complete(&self) -> bool {
        self.following.as_ref().is_some_and(|following| following.complete)
    }

    /// Whether no message of that epoch can come any more.
    pub(crate) fn is_over(&self, epoch: HistoryEpoch) -> bool {
        let is_left = || self.following.as_ref().is_some_and(|following| following.retired.contains(&epoch));
        epoch == HistoryEpoch::UNKNOWN || is_left()
    }

    /// How often the epoch has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.following.as_ref().map_or(0, |following| following.changes)
    }

    /// The newest position of the bus that is known here.
    pub(crate) fn known(&self) -> Option<HistoryPosition> {
        let own = (!self.is_cold()).then(|| self.position());
        let told = self.following.as_ref().and_then(|following| following.known);
        match (own, told) {
            (Some(own), Some(told)) if told.epoch == own.epoch && told.offset > own.offset => Some(told),
            (own, told) => own.or(told),
        }
    }

    /// The bus has said where it is.
    pub(crate) fn note(&mut self, position: HistoryPosition) {
        let known = &mut self.following().known;
        match known {
            Some(known) if known.epoch == position.epoch && known.offset > position.offset => {}
            known => *known = Some(position),
        }
    }

    /// Nobody here follows the channel any more. What it keeps is no longer brought up to date.
    pub(crate) fn unfollow(&mut self, has_subscribers: bool) {
        let following = self.following();
        following.complete = false;
        following.set_aside_nothing();
        if has_subscribers {
            // They must not miss what comes meanwhile: not of any connection, and not cold.
            following.session = if following.session == 0 { 0 } else { u64::MAX };
        } else {
            following.session = 0;
        }
    }

    /// Gets a message when the ring has this position, or another epoch. `None`: it has.
    pub(crate) fn reach(&mut self, position: HistoryPosition) -> Option<oneshot::Receiver<()>> {
        if self.epoch == position.epoch && self.head >= position.offset {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let waiting = &mut self.following().waiting;
        waiting.retain(|(_, waiter)| !waiter.is_closed());
        waiting.push((position, sender));
        Some(receiver)
    }

    /// As [`reach`](Self::reach), if messages up to this position come by themselves: the ring is
    /// live, and nothing is known to be missing.
    pub(crate) fn on_its_way(&mut self, session: u64, position: HistoryPosition) -> Option<oneshot::Receiver<()>> {
        let following = self.following.as_ref()?;
        let comes = following.session == session && following.aside.is_empty();
        if comes && self.epoch == position.epoch { self.reach(position) } else { None }
    }

    fn tell_waiting(&mut self) {
        let (head, epoch) = (self.head, self.epoch);
        let Some(following) = &mut self.following else { return };
        if following.waiting.is_empty() {
            return;
        }
        let there = |(position, _): &mut (HistoryPosition, _)| position.epoch == epoch && position.offset <= head;
        for (_, waiter) in following.waiting.extract_if(.., there) {
            // The waiter may have given up.
            let _ = waiter.send(());
        }
    }

    /// Goes on behind this position, with nothing of what was before.
    fn jump(&mut self, position: HistoryPosition) {
        self.clear();
        if position.epoch != self.epoch {
            let left = self.epoch;
            let following = self.following();
            following.changes += 1;
            following.retired.retain(|epoch| *epoch != position.epoch);
            following.retired.push_back(left);
            if following.retired.len() > RETIRED {
                following.retired.pop_front();
            }
        }
        self.following().set_aside_nothing();
        self.epoch = position.epoch;
        self.head = position.offset;
    }

    /// Takes a message that the bus has numbered.
    pub(crate) fn arrived(
        &mut self,
        keeping: Keeping<'_>,
        position: HistoryPosition,
        message: KeptMessage,
    ) -> BusArrival {
        let HistoryPosition { offset, epoch } = position;
        let before = HistoryPosition { offset: offset.saturating_sub(1), epoch };
        self.expire(keeping.now, keeping.rule);
        if self.is_cold() {
            if epoch != self.epoch || self.head != before.offset {
                self.jump(before);
            }
        } else if epoch != self.epoch {
            if self.following().retired.contains(&epoch) {
                return BusArrival::Unclear;
            }
            let left = self.position();
            self.jump(before);
            self.add(keeping, &message);
            self.following().session = keeping.session;
            self.tell_waiting();
            return BusArrival::Behind(left);
        } else if offset <= self.head {
            return BusArrival::Known;
        } else if offset != self.head + 1 {
            self.following().put_aside(offset, message);
            return BusArrival::Unclear;
        }
        let mut next = vec![self.add(keeping, &message)];
        next.extend(self.add_aside(keeping));
        self.following().session = keeping.session;
        self.tell_waiting();
        BusArrival::Next(next)
    }

    /// Takes what was read of the bus. `changes`: how often the epoch had changed when the bus was
    /// asked.
    pub(crate) fn merge(&mut self, keeping: Keeping<'_>, changes: u64, read: BusHistory) -> Merged {
        let BusHistory { position, first, messages, whole } = read;
        if self.changes() != changes {
            return Merged::Outdated;
        }
        let (left, cold) = (self.position(), self.is_cold());
        let before = HistoryPosition { offset: first.saturating_sub(1).min(position.offset), epoch: position.epoch };
        let mut complete = whole;
        if position.epoch != self.epoch || cold {
            self.jump(before);
            for message in &messages {
                self.add(keeping, message);
            }
        } else {
            let own = self.first();
            let mut older = Vec::new();
            for (offset, message) in (first..).zip(&messages) {
                if offset < own {
                    older.push((offset, message));
                } else if offset > self.head {
                    if offset != self.head + 1 {
                        // What is between them is gone.
                        self.jump(HistoryPosition { offset: offset - 1, ..position });
                        older.clear();
                    }
                    self.add(keeping, message);
                }
            }
            if self.head < position.offset {
                self.jump(position);
                older.clear();
            }
            let meets = older.last().is_none_or(|(offset, _)| offset + 1 == self.first());
            if meets {
                for (offset, message) in older.into_iter().rev() {
                    self.prepend(keeping, offset, message);
                }
                self.trim(keeping.rule);
            } else {
                complete = false;
            }
        }
        let head = self.head;
        let following = self.following();
        following.session = keeping.session;
        // What only the newest was read of may have been complete before.
        following.complete |= complete;
        following.known = None;
        following.aside.retain(|offset, _| *offset > head);
        following.aside_bytes = following.aside.values().map(|message| message.payload.len()).sum();
        self.add_aside(keeping);
        self.expire(keeping.now, keeping.rule);
        self.tell_waiting();
        if cold || self.position() == left { Merged::Known } else { Merged::Behind(left) }
    }

    /// The bus has deleted the messages before this offset or, with a new epoch, all. `None`:
    /// nothing is new to subscribers.
    pub(crate) fn deleted(&mut self, position: HistoryPosition, before: u64) -> BusArrival {
        if self.is_cold() {
            return BusArrival::Known;
        }
        if position.epoch == self.epoch {
            self.delete_before(before);
            return BusArrival::Known;
        }
        if self.following().retired.contains(&position.epoch) {
            return BusArrival::Unclear;
        }
        let left = self.position();
        self.jump(position);
        // Of a new epoch everything is here.
        self.following().complete = position.offset == 0;
        self.tell_waiting();
        BusArrival::Behind(left)
    }

    fn add(&mut self, keeping: Keeping<'_>, message: &KeptMessage) -> Arc<HistoryEntry> {
        let at = keeping.now.saturating_sub(message.age);
        self.append(at, keeping.rule, keeping.prefix, message.unnumbered(keeping.may_compress))
    }

    fn add_aside(&mut self, keeping: Keeping<'_>) -> Vec<Arc<HistoryEntry>> {
        let mut added = Vec::new();
        loop {
            let next = self.head + 1;
            let Some(following) = &mut self.following else { return added };
            let Some(message) = following.aside.remove(&next) else { break };
            following.aside_bytes -= message.payload.len();
            added.push(self.add(keeping, &message));
        }
        added
    }

    fn prepend(&mut self, keeping: Keeping<'_>, offset: u64, message: &KeptMessage) {
        let position = HistoryPosition { offset, epoch: self.epoch };
        let at = keeping.now.saturating_sub(message.age);
        let message = message.unnumbered(keeping.may_compress);
        let entry = Arc::new(HistoryEntry::new(position, at, keeping.prefix, message, &self.account));
        self.account.add(entry.size());
        self.account.totals.messages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.entries.push_front(entry);
    }
}

impl Following {
    fn set_aside_nothing(&mut self) {
        self.aside.clear();
        self.aside_bytes = 0;
    }

    fn put_aside(&mut self, offset: u64, message: KeptMessage) {
        let bytes = message.payload.len();
        if self.aside_bytes + bytes <= MAX_ASIDE
            && self.aside.len() < MAX_ASIDE / 64
            && !self.aside.contains_key(&offset)
        {
            self.aside_bytes += bytes;
            self.aside.insert(offset, message);
        }
    }
}

#[cfg(test)]
mod tests;
