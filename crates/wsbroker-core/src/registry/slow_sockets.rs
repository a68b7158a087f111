//! The sockets whose kernel has refused bytes, until everything has been written. Few are in here,
//! so that a look at the slowest does not look at all connections.

use std::{sync::Arc, time::SystemTime};

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
#[derive(Debug, Default)]
pub(crate) struct SlowSockets(DashMap<SocketId, SlowEntry, FxBuildHasher>);

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

    /// The raw ones that have most waiting, the worst first, with how many bytes that is.
    pub(crate) fn worst(&self, count: usize) -> Vec<(SlowEntry, usize)> {
        let raw = self.0.iter().filter(|entry| entry.socket.namespace_id() == NamespaceId::RAW);
        // Read once: it changes meanwhile.
        let mut all: Vec<_> = raw.map(|entry| (entry.clone(), entry.socket.queued())).collect();
        all.sort_unstable_by_key(|(entry, queued)| (std::cmp::Reverse(*queued), entry.socket.id()));
        all.truncate(count);
        all
    }
}
