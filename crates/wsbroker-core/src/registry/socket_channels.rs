//! The channels of one socket. Most sockets are in one or a few, and there are as many sockets as
//! memory holds: a hash table for one channel takes 100 bytes of it.

use std::{collections::hash_map, sync::Arc, vec};

use rustc_hash::FxHashMap;

use super::channels::{Channel, ChannelId};

/// More channels than this go into a table, where a look-up does not pass all of them.
const FEW: usize = 8;

/// Channels by id.
#[derive(Debug)]
pub(crate) enum SocketChannels {
    /// Without memory of its own.
    One(ChannelId, Arc<Channel>),
    Few(Vec<(ChannelId, Arc<Channel>)>),
    Many(Box<FxHashMap<ChannelId, Arc<Channel>>>),
}

// Every socket has one.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<SocketChannels>() <= 24);

impl Default for SocketChannels {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl SocketChannels {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) fn contains(&self, id: ChannelId) -> bool {
        match self {
            Self::One(one, _) => *one == id,
            Self::Few(few) => few.iter().any(|(one, _)| *one == id),
            Self::Many(many) => many.contains_key(&id),
        }
    }

    /// Adds a channel. One that is there already stays as it is.
    pub(crate) fn insert(&mut self, channel: Arc<Channel>) {
        let id = channel.id();
        if self.contains(id) {
            return;
        }
        *self = match std::mem::take(self) {
            Self::One(first, one) => Self::Few(vec![(first, one), (id, channel)]),
            Self::Few(few) if few.is_empty() => Self::One(id, channel),
            Self::Few(mut few) if few.len() < FEW => {
                few.push((id, channel));
                Self::Few(few)
            }
            Self::Few(few) => Self::Many(Box::new(few.into_iter().chain([(id, channel)]).collect())),
            Self::Many(mut many) => {
                many.insert(id, channel);
                Self::Many(many)
            }
        };
    }

    /// Takes a channel out. False when it was not there.
    pub(crate) fn remove(&mut self, id: ChannelId) -> bool {
        match self {
            Self::One(one, _) if *one == id => *self = Self::default(),
            Self::One(..) => return false,
            Self::Few(few) => match few.iter().position(|(one, _)| *one == id) {
                Some(at) => drop(few.swap_remove(at)),
                None => return false,
            },
            Self::Many(many) => return many.remove(&id).is_some(),
        }
        true
    }

    /// In no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Channel>> {
        let (one, few, many) = match self {
            Self::One(_, one) => (Some(one), None, None),
            Self::Few(few) => (None, Some(few), None),
            Self::Many(many) => (None, None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|(_, channel)| channel);
        one.into_iter().chain(few).chain(many.into_iter().flat_map(|many| many.values()))
    }
}

/// Takes them out one by one, in no order: there may be too many to move them all at once.
#[derive(Debug)]
pub(crate) enum LeavingChannels {
    Few(vec::IntoIter<(ChannelId, Arc<Channel>)>),
    Many(hash_map::IntoIter<ChannelId, Arc<Channel>>),
}

impl IntoIterator for SocketChannels {
    type Item = (ChannelId, Arc<Channel>);
    type IntoIter = LeavingChannels;

    fn into_iter(self) -> LeavingChannels {
        match self {
            Self::One(id, one) => LeavingChannels::Few(vec![(id, one)].into_iter()),
            Self::Few(few) => LeavingChannels::Few(few.into_iter()),
            Self::Many(many) => LeavingChannels::Many(many.into_iter()),
        }
    }
}

impl Iterator for LeavingChannels {
    type Item = (ChannelId, Arc<Channel>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(few) => few.next(),
            Self::Many(many) => many.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{ids::SocketId, registry::Channels};

    proptest! {
        #[test]
        fn a_socket_is_in_the_channels_that_were_added_and_not_removed(
            steps in prop::collection::vec((any::<bool>(), 0..3 * FEW), 0..120),
        ) {
            let channels = Channels::new(1);
            let all: Vec<_> = (0..3 * FEW)
                .map(|name| channels.join(name.to_string().as_bytes(), SocketId::new(1).unwrap(), 0))
                .collect();
            let (mut own, mut expected) = (SocketChannels::default(), BTreeSet::new());
            for (adds, index) in steps {
                if adds {
                    own.insert(Arc::clone(&all[index]));
                    expected.insert(index);
                } else {
                    prop_assert_eq!(own.remove(all[index].id()), expected.remove(&index));
                }
                prop_assert_eq!(own.len(), expected.len());
                for (index, channel) in all.iter().enumerate() {
                    prop_assert_eq!(own.contains(channel.id()), expected.contains(&index));
                }
            }
            let names = |list: Vec<&Arc<Channel>>| {
                list.iter().map(|one| String::from_utf8_lossy(one.name()).parse().unwrap()).collect::<BTreeSet<usize>>()
            };
            prop_assert_eq!(&names(own.iter().collect()), &expected);
            let count = own.len();
            let left: Vec<_> = own.into_iter().collect();
            prop_assert!(left.iter().all(|(id, channel)| *id == channel.id()));
            prop_assert_eq!(left.len(), count);
            prop_assert_eq!(names(left.iter().map(|(_, channel)| channel).collect()), expected);
        }
    }
}
