//! What all threads of a broker share, and how a connection comes into it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering, fence},
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    config::Config,
    dispatch::{Dispatch, WorkerEntry},
    front::{Endpoint, Front},
    memory::Memory,
    metrics::Metrics,
    registry::{Channels, Socket, Sockets},
    shard::{Command, ShardHandle},
    sync::AtomicUsize,
    watch::Watch,
};

/// What all threads of a broker share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) sockets: Sockets,
    pub(crate) channels: Channels,
    pub(crate) dispatch: Dispatch,
    pub(crate) memory: Memory,
    pub(crate) metrics: Metrics,
    pub(crate) front: Front,
    /// Nobody but its ticks takes it.
    pub(crate) watch: Mutex<Watch>,
    /// Bytes of payload from which on some listener compresses; `usize::MAX` while none does.
    pub(crate) compress_from: AtomicUsize,
    pub(super) shards: Box<[ShardHandle]>,
    pub(super) endpoints: AtomicU32,
    pub(super) realms: AtomicU32,
    pub(super) closing: AtomicBool,
}

impl Inner {
    pub(crate) fn shard(&self, index: usize) -> &ShardHandle {
        // Indices come from `admit`, which takes them modulo the number of shards.
        &self.shards[index % self.shards.len()]
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Admits nothing from now on, and gives out no id.
    pub(crate) fn stop_admitting(&self) {
        self.closing.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        self.front.close_all();
    }

    /// An id, a place in a shard and the worker of the endpoint's realm with the fewest connections. `None` when shutting down.
    pub(crate) fn admit(&self, endpoint: &Endpoint) -> Option<(Arc<Socket>, Option<Arc<WorkerEntry>>)> {
        let id = self.sockets.next_id();
        // Looked at behind the number: either we see that it closes, or whoever closes it sees our number as given out.
        fence(Ordering::SeqCst);
        if self.is_closing() {
            return None;
        }
        let index = (id.get() % self.shards.len() as u64) as usize;
        let slot = self.shard(index).take_slot();
        let socket = Socket::new(id, index as u16, slot, &endpoint.limits).in_realm(endpoint.realm.clone());
        let worker = self.dispatch.assign(socket.realm_id());
        let socket = Arc::new(socket);
        socket.set_worker(worker.as_ref().map_or(0, |worker| worker.id.get()));
        self.sockets.insert(&socket);
        endpoint.joined();
        Some((socket, worker))
    }

    pub(crate) fn set_token_of(&self, socket: &Socket, token: Bytes) {
        socket.set_token(token);
        if let Some(worker) = socket.worker().and_then(|id| self.dispatch.find(id)) {
            worker.sink.token_changed();
        }
    }

    pub(crate) fn push_all(&self, command: impl Fn() -> Command) {
        for shard in &self.shards {
            shard.push(command());
        }
    }
}
