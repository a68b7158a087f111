//! The connections of this shard that a publish reaches: a dense list for each channel, changed
//! only by commands, in their order.

use rustc_hash::FxHashMap;

use crate::registry::ChannelId;

/// Up to this many subscribers a scan beats an index.
const SCAN: usize = 32;

/// The lists are in this many tables. A table that grows is filled anew, and one socket alone may
/// bring millions of channels.
const TABLES: u64 = 256;

/// The subscriber lists of a shard.
#[derive(Debug)]
pub(super) struct Subscriptions {
    tables: Box<[FxHashMap<ChannelId, List>]>,
}

#[derive(Debug, Default)]
struct List {
    slots: Vec<u32>,
    /// The index of each slot in `slots`; empty for short lists.
    index: FxHashMap<u32, u32>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        let tables = (0..TABLES).map(|_| FxHashMap::default()).collect();
        Self { tables }
    }
}

impl Subscriptions {
    #[inline]
    fn table(channel: ChannelId) -> usize {
        (channel.number() % TABLES) as usize
    }

    #[inline]
    pub(super) fn of(&self, channel: ChannelId) -> &[u32] {
        self.tables[Self::table(channel)].get(&channel).map_or(&[], |list| &list.slots)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.tables.iter().all(FxHashMap::is_empty)
    }

    pub(super) fn add(&mut self, channel: ChannelId, slot: u32) {
        let list = self.tables[Self::table(channel)].entry(channel).or_default();
        if list.position(slot).is_some() {
            return;
        }
        list.slots.push(slot);
        let last = list.slots.len() as u32 - 1;
        if !list.index.is_empty() {
            list.index.insert(slot, last);
        } else if list.slots.len() > SCAN {
            list.index = list.slots.iter().zip(0..).map(|(slot, at)| (*slot, at)).collect();
        }
    }

    pub(super) fn remove(&mut self, channel: ChannelId, slot: u32) {
        let lists = &mut self.tables[Self::table(channel)];
        let Some(list) = lists.get_mut(&channel) else { return };
        let Some(at) = list.position(slot) else { return };
        list.slots.swap_remove(at);
        if !list.index.is_empty() {
            list.index.remove(&slot);
            if let Some(moved) = list.slots.get(at) {
                list.index.insert(*moved, at as u32);
            }
        }
        if list.slots.is_empty() {
            lists.remove(&channel);
        } else if list.slots.len() <= SCAN / 2 && !list.index.is_empty() {
            list.index = FxHashMap::default();
            list.slots.shrink_to(SCAN);
        }
    }
}

impl List {
    fn position(&self, slot: u32) -> Option<usize> {
        if self.index.is_empty() {
            self.slots.iter().position(|other| *other == slot)
        } else {
            self.index.get(&slot).map(|at| *at as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::registry::Channels;

    proptest! {
        #[test]
        fn lists_hold_what_a_set_would(steps in prop::collection::vec((any::<bool>(), 0u32..100), 0..400)) {
            let channels = Channels::new(1);
            let channel = channels.join(b"a", crate::SocketId::new(1).unwrap(), 0).id();
            let (mut lists, mut model) = (Subscriptions::default(), std::collections::BTreeSet::new());
            for (add, slot) in steps {
                if add {
                    lists.add(channel, slot);
                    model.insert(slot);
                } else {
                    lists.remove(channel, slot);
                    model.remove(&slot);
                }
                let mut found = lists.of(channel).to_vec();
                found.sort_unstable();
                prop_assert_eq!(&found, &model.iter().copied().collect::<Vec<_>>());
            }
            prop_assert_eq!(lists.is_empty(), model.is_empty());
        }
    }
}
