//! The sockets whose kernel has refused bytes, until everything has been written. Few are in here,
//! so that a look at the slowest does not look at all connections.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::SystemTime};

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;

use super::sockets::Socket;
use crate::ids::{NamespaceId, SocketId};

/// A socket that does not take what it is sent.
#[derive(Clone, Debug)]
pub(crate) struct SlowEntry {
    pub(crate) socket: Arc<Socket>,
    pub(crate) since: SystemTime,
    /// Messages that it did not get because of that.
    pub(crate) dropped: u64,
}

/// Those there are.
#[derive(Debug)]
pub(crate) struct SlowSockets(DashMap<SocketId, SlowEntry, FxBuildHasher>);

/// The slow sockets that were looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slowest {
    /// How many there are.
    pub(crate) count: usize,
    /// Those with most bytes waiting, the worst first, with how many bytes that is.
    pub(crate) worst: Vec<(SlowEntry, usize)>,
}

/// A look at all holds one part after the other, and an I/O thread that wants the same part waits
/// so long. With 100,000 slow sockets this is a few hundred entries.
const PARTS: usize = 256;

impl Default for SlowSockets {
    fn default() -> Self {
        Self(DashMap::with_hasher_and_shard_amount(FxBuildHasher, PARTS))
    }
}

impl SlowSockets {
    pub(crate) fn insert(&self, socket: &Arc<Socket>) {
        let entry = SlowEntry { socket: Arc::clone(socket), since: SystemTime::now(), dropped: 0 };
        self.0.insert(socket.id(), entry);
    }

    pub(crate) fn remove(&self, id: SocketId) {
        self.0.remove(&id);
    }

    pub(crate) fn count_drops(&self, id: SocketId, count: u64) {
        if let Some(mut entry) = self.0.get_mut(&id) {
            entry.dropped += count;
        }
    }

    /// Counts those of a namespace, or of all, and takes the `limit` worst out.
    pub(crate) fn slowest(&self, namespace: Option<NamespaceId>, limit: usize) -> Slowest {
        let mut count = 0;
        // The least of the worst on top. Of two that have as much, the older comes first.
        let mut worst = BinaryHeap::new();
        for entry in &self.0 {
            if namespace.is_some_and(|namespace| entry.socket.namespace_id() != namespace) {
                continue;
            }
            count += 1;
            worst.push(Reverse((entry.socket.queued(), Reverse(*entry.key()))));
            if worst.len() > limit {
                worst.pop();
            }
        }
        let sorted = worst.into_sorted_vec().into_iter();
        // Those that have caught up or gone meanwhile are no longer slow.
        let entry = |Reverse((queued, Reverse(id)))| Some((self.0.get(&id)?.clone(), queued));
        Slowest { count, worst: sorted.filter_map(entry).collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::SocketLimits;

    proptest! {
        #[test]
        fn the_worst_are_those_that_a_sort_of_all_finds(queued in prop::collection::vec(0_usize..50, 0..60), limit in 0_usize..70) {
            let slow = SlowSockets::default();
            let mut all = Vec::new();
            for (id, queued) in (1..).zip(queued) {
                let socket = Arc::new(Socket::new(SocketId::new(id).unwrap(), 0, 0, &SocketLimits::default()));
                socket.add_queued(queued);
                slow.insert(&socket);
                all.push((Reverse(queued), id));
            }
            all.sort_unstable();
            let expected: Vec<_> = all.iter().take(limit).map(|&(Reverse(queued), id)| (id, queued)).collect();
            let Slowest { count, worst } = slow.slowest(None, limit);
            let found: Vec<_> = worst.iter().map(|(entry, queued)| (entry.socket.id().get(), *queued)).collect();
            prop_assert_eq!((count, found), (all.len(), expected));
        }
    }
}
