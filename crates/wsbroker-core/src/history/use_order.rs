//! The channels of a broker in the order in which they were used.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use super::channel_history::ChannelHistory;

/// Channels by when they were last used. Those that keep something are apart from those of which
/// only the position is known.
#[derive(Debug, Default)]
pub(super) struct UseOrder {
    last: u64,
    keeping: BTreeMap<u64, Arc<ChannelHistory>>,
    empty: BTreeMap<u64, Arc<ChannelHistory>>,
}

impl UseOrder {
    /// It is used now.
    pub(super) fn touch(&mut self, history: &Arc<ChannelHistory>, keeps: bool) {
        // Changed only here and in `take`, with the order locked.
        let before = history.place.load(Ordering::Relaxed);
        if before == self.last && before != 0 && self.of(keeps).contains_key(&before) {
            return;
        }
        self.remove(before);
        self.last += 1;
        history.place.store(self.last, Ordering::Relaxed);
        let place = self.last;
        self.of(keeps).insert(place, Arc::clone(history));
    }

    fn of(&mut self, keeps: bool) -> &mut BTreeMap<u64, Arc<ChannelHistory>> {
        if keeps { &mut self.keeping } else { &mut self.empty }
    }

    fn remove(&mut self, place: u64) {
        if place != 0 && self.keeping.remove(&place).is_none() {
            self.empty.remove(&place);
        }
    }

    /// Takes the one that has not been used for the longest time out.
    pub(super) fn take(&mut self, keeps: bool) -> Option<Arc<ChannelHistory>> {
        let (_, history) = self.of(keeps).pop_first()?;
        history.place.store(0, Ordering::Relaxed);
        Some(history)
    }

    /// How many keep nothing.
    pub(super) fn count_of_empty(&self) -> usize {
        self.empty.len()
    }

    /// Some of those that keep something, from this place on, and the place to go on from. Begins
    /// again when there are no more.
    pub(super) fn some(&self, from: u64, count: usize) -> (Vec<Arc<ChannelHistory>>, u64) {
        let mut next = 0;
        let mut some = Vec::new();
        for (place, history) in self.keeping.range(from..) {
            if some.len() == count {
                next = *place;
                break;
            }
            some.push(Arc::clone(history));
        }
        (some, next)
    }
}
