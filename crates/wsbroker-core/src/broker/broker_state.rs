//! What all threads of a broker share, and how a connection comes into it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering, fence},
    },
    time::{Duration, Instant, SystemTime},
};

use mio::Poll;
use parking_lot::Mutex;

use super::drain_state::DrainState;
use crate::{
    admission::Endpoint,
    config::Config,
    counters::Metrics,
    dispatch::{Dispatch, StuckWorkers, WorkerEntry},
    front::Front,
    history::{Histories, ReplayBudgets},
    ids::NamespaceId,
    memory::Memory,
    registry::{Channels, RequestLines, SlowSockets, Socket, Sockets},
    shard::{Command, ShardHandle},
    sync::AtomicUsize,
};

/// What all threads of a broker share.
#[derive(Debug)]
pub(crate) struct BrokerState {
    pub(crate) config: Config,
    pub(crate) sockets: Sockets,
    /// Sockets that do not take what they are sent.
    pub(crate) slow: SlowSockets,
    pub(crate) request_lines: RequestLines,
    pub(crate) channels: Channels,
    pub(crate) histories: Arc<Histories>,
    pub(crate) replay_budgets: ReplayBudgets,
    pub(crate) dispatch: Dispatch,
    pub(crate) memory: Memory,
    pub(crate) metrics: Metrics,
    pub(crate) front: Front,
    /// Locked by the tick alone.
    pub(crate) stuck_workers: Mutex<StuckWorkers>,
    /// Whether workers for which nothing waits are watched as well.
    pub(crate) watches_idle: AtomicBool,
    /// Bytes of payload from which on some listener compresses; `usize::MAX` while none does.
    pub(crate) compress_from: AtomicUsize,
    pub(super) shards: Box<[ShardHandle]>,
    pub(super) endpoints: AtomicU32,
    pub(super) namespaces: AtomicU32,
    pub(super) closing: AtomicBool,
    pub(super) drain: DrainState,
    /// Whether the application says that it is ready.
    pub(super) ready: AtomicBool,
    pub(super) began: (SystemTime, Instant),
    /// Whether workers end again and again soon after their start.
    pub(super) workers_fail: AtomicBool,
}

impl BrokerState {
    /// With the polls that its shards are to wait for.
    pub(crate) fn new(config: Config) -> io::Result<(Arc<Self>, Vec<Poll>)> {
        let count = config.io_threads.clamp(1, usize::from(u16::MAX));
        let mut polls = Vec::with_capacity(count);
        let mut shards = Vec::with_capacity(count);
        for _ in 0..count {
            let (poll, handle) = ShardHandle::new()?;
            polls.push(poll);
            shards.push(handle);
        }
        let histories = Arc::new(Histories::new(&config.history, config.max_history_memory));
        let inner = Arc::new(Self {
            sockets: Sockets::default(),
            slow: SlowSockets::default(),
            request_lines: RequestLines::default(),
            channels: Channels::new(count).with_histories(Arc::clone(&histories)),
            histories,
            replay_budgets: ReplayBudgets::default(),
            dispatch: Dispatch::default(),
            memory: Memory::new(config.max_send_memory, config.max_receive_memory),
            metrics: Metrics::default(),
            front: Front::new(&config),
            stuck_workers: Mutex::new(StuckWorkers::new(config.stuck_after)),
            watches_idle: AtomicBool::new(false),
            compress_from: AtomicUsize::new(usize::MAX),
            shards: shards.into_boxed_slice(),
            endpoints: AtomicU32::new(0),
            namespaces: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            drain: DrainState::default(),
            ready: AtomicBool::new(true),
            began: (SystemTime::now(), Instant::now()),
            workers_fail: AtomicBool::new(false),
            config,
        });
        Ok((inner, polls))
    }

    pub(crate) fn shard(&self, index: usize) -> &ShardHandle {
        // Indices come from `admit`, which takes them modulo the number of shards.
        &self.shards[index % self.shards.len()]
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// A number for another endpoint.
    pub(crate) fn next_endpoint(&self) -> u32 {
        self.endpoints.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Tenths of a second since it began.
    pub(crate) fn age(&self) -> u32 {
        u32::try_from(self.began.1.elapsed().as_millis() / 100).unwrap_or(u32::MAX)
    }

    /// The time at which it had this [age](Self::age).
    pub(crate) fn time_at(&self, age: u32) -> SystemTime {
        self.began.0 + Duration::from_millis(100) * age
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Why no socket should be opened at this endpoint at the moment: `starting`, `noWorker`,
    /// `workersFail`, `shuttingDown`, `draining`, `setReady` and `bus`. Empty when all is well.
    pub(crate) fn unready_reasons(&self, endpoint: &Endpoint) -> Vec<&'static str> {
        // One without paths speaks for all that is served beside it.
        let namespace = (!endpoint.is_without_paths)
            .then(|| endpoint.namespace.as_ref().map_or(NamespaceId::RAW, |namespace| namespace.id));
        let bus_is_lost = || self.channels.bus().is_some_and(|bus| bus.is_required() && !bus.is_ready());
        let reasons = [
            ("starting", endpoint.is_reserved()),
            ("noWorker", !endpoint.is_reserved() && !self.dispatch.has_free(namespace)),
            ("workersFail", self.workers_fail.load(Ordering::Acquire)),
            ("shuttingDown", self.is_closing() || endpoint.is_closed()),
            ("draining", self.drain.is_asked()),
            ("setReady", !self.ready.load(Ordering::Acquire)),
            ("bus", bus_is_lost()),
        ];
        reasons.into_iter().filter_map(|(reason, holds)| holds.then_some(reason)).collect()
    }

    /// How many whole seconds who is refused is asked to wait, while the broker is drained.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.drain.retry_after()
    }

    /// Admits nothing from now on, and gives out no id.
    pub(crate) fn stop_admitting(&self) {
        self.closing.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        self.front.close_all();
    }

    /// An id, a slot in a shard, and the least loaded worker of the endpoint's namespace. `None`
    /// when shutting down.
    pub(crate) fn admit(&self, endpoint: &Endpoint) -> Option<(Arc<Socket>, Option<Arc<WorkerEntry>>)> {
        let id = self.sockets.next_id();
        // Looked at after the id is taken: either we see that the broker closes, or the thread that
        // closes it sees our id as given out.
        fence(Ordering::SeqCst);
        if self.is_closing() {
            return None;
        }
        let index = (id.get() % self.shards.len() as u64) as usize;
        let slot = self.shard(index).take_slot();
        let socket = Socket::new(id, index as u16, slot, &endpoint.limits).in_namespace(endpoint.namespace.clone());
        let worker = self.dispatch.assign(socket.namespace_id());
        let socket = Arc::new(socket);
        socket.set_worker(worker.as_ref().map_or(0, |worker| worker.id.get()));
        self.sockets.insert(&socket);
        endpoint.joined();
        Some((socket, worker))
    }

    pub(crate) fn set_token_of(&self, socket: &Socket, token: &[u8]) {
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
