//! Which worker gets which connection, and the ordering promise.
//!
//! A connection belongs to one worker: the least loaded one when the connection came, of those that
//! are not stuck (see [`stuck`]). Only the connection's shard hands its events over, so they arrive
//! in order. Only the shard moves a connection to another worker, and gives that worker first what
//! the old one had not begun.

mod stuck;

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Notify;

pub(crate) use self::stuck::StuckWorkers;
use crate::{
    ids::{NamespaceId, WorkerId},
    operation::{OperationKind, WaitingBytes},
    registry::NamespaceState,
    sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering},
    worker::{Handlers, Worker},
};

/// A worker and what is under way to it.
pub(crate) struct WorkerEntry {
    pub(crate) id: WorkerId,
    /// Its index in a shard's table of batches; used again after its end.
    pub(crate) index: usize,
    pub(crate) handlers: Handlers,
    /// The namespace whose connections it gets; `None` for a raw worker.
    pub(crate) namespace: Option<Arc<NamespaceState>>,
    /// Its connections do not outlive it: they are closed (1012) when it ends.
    pub(crate) pinned: bool,
    /// Whether it gets new ones. Those without a namespace always do.
    accepts: AtomicBool,
    /// Operations of other workers that it has not dealt with yet.
    operations: WaitingBytes,
    /// Of a namespace: messages to its connections that were dropped on their way, and whether it
    /// has been told that there are some.
    dropped: AtomicU64,
    drops_reported: AtomicBool,
    pub(crate) sink: Arc<dyn Worker>,
    connections: AtomicUsize,
    /// Bytes of messages that were handed over and whose handlers have not settled.
    in_flight: AtomicUsize,
    /// Events that were handed over, and those of them that have settled.
    delivered: AtomicU64,
    handled: AtomicU64,
    /// A shard has stopped reading for want of room here.
    starving: AtomicBool,
    /// Whether its cork holds what handlers have sent that have settled ([`HELD`]), whether a shard
    /// waits for that ([`AWAITED`]), and the number of its next flush in the bits above.
    held: AtomicU32,
    gone: AtomicBool,
    /// Others take its place: it gets no connection any more, and those it has move to others.
    superseded: AtomicBool,
    /// Something has waited for it for too long.
    stuck: AtomicBool,
    /// Shards that no longer know it.
    let_go: AtomicUsize,
    /// Of a pinned one: connections that were closed because others take its place, or it has
    /// ended.
    closed: AtomicUsize,
}

/// Its replies are not in the shards' queues yet, and a connection that ends must not overtake
/// them.
const HELD: u32 = 1;
const AWAITED: u32 = 2;

/// One flush of a worker's cork, told apart from the others: what an earlier one brought says
/// nothing of what was sent since.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Flush(u32);

/// Too much waits at a worker already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct OperationsFull;

impl fmt::Debug for WorkerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerEntry").field("id", &self.id).field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

impl WorkerEntry {
    /// The namespace of its connections.
    pub(crate) fn namespace_id(&self) -> NamespaceId {
        self.namespace.as_ref().map_or(NamespaceId::RAW, |namespace| namespace.id)
    }

    /// Whether it gets new connections from now on.
    pub(crate) fn set_accepts(&self, accepts: bool) {
        self.accepts.store(accepts, Ordering::Release);
    }

    fn is_for(&self, namespace: NamespaceId) -> bool {
        self.namespace_id() == namespace && self.accepts.load(Ordering::Acquire) && !self.is_superseded()
    }

    /// Its connections move to others, each between two of its events. False when it was before.
    pub(crate) fn supersede(&self) -> bool {
        !self.superseded.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }

    /// Whether it has no connection, and all its events have settled.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections.load(Ordering::Acquire) == 0 && self.delivered() == self.handled()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Whether a message of this cost may be under way, too, with what the shard has gathered and
    /// not handed over. If not, the shards are told as soon as there is room again.
    pub(crate) fn has_room(&self, cost: usize, gathered: usize, limit: usize) -> bool {
        if fits(self.in_flight() + gathered, cost, limit) {
            return true;
        }
        self.starving.store(true, Ordering::SeqCst);
        // SeqCst on both sides: with less than half under way there may be no handler left that
        // would notice a waiting shard.
        self.in_flight() + gathered <= limit / 2
    }

    /// Bytes that may be under way besides, as [`has_room`](Self::has_room) counts.
    pub(crate) fn room(&self, gathered: usize, limit: usize) -> usize {
        limit.saturating_sub(self.in_flight() + gathered)
    }

    /// Events are handed over, with messages of this many bytes. Counted before they are, so that
    /// they are never handled more often.
    pub(crate) fn hand_over(&self, events: usize, bytes: usize) {
        self.delivered.fetch_add(events as u64, Ordering::Relaxed);
        self.in_flight.fetch_add(bytes, Ordering::SeqCst);
    }

    /// They were refused: the worker has ended.
    pub(crate) fn take_back(&self, events: usize, bytes: usize) {
        self.delivered.fetch_sub(events as u64, Ordering::Relaxed);
        self.in_flight.fetch_sub(bytes, Ordering::SeqCst);
    }

    pub(crate) fn settled(&self, events: usize) {
        self.handled.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Messages to its connections were dropped. A worker of a namespace is told, once until it
    /// asks to be told again.
    pub(crate) fn drop_frames(&self, count: u64) {
        if self.namespace.is_none() {
            return;
        }
        self.dropped.fetch_add(count, Ordering::SeqCst);
        if !self.drops_reported.swap(true, Ordering::SeqCst) {
            self.tell(OperationKind::Dropped);
        }
    }

    /// Hands an operation over, if there is room.
    ///
    /// # Errors
    /// [`OperationsFull`].
    pub(crate) fn offer(&self, kind: OperationKind) -> Result<(), OperationsFull> {
        self.sink.deliver_operation(self.operations.try_add(kind).ok_or(OperationsFull)?);
        Ok(())
    }

    /// The same, for the few operations that must always get through.
    pub(crate) fn tell(&self, kind: OperationKind) {
        self.sink.deliver_operation(self.operations.add_free(kind));
    }

    /// How many those are. With `again` it is told of the next one.
    pub(crate) fn dropped(&self, again: bool) -> u64 {
        // Before the look: what comes behind it is told.
        if again {
            self.drops_reported.store(false, Ordering::SeqCst);
        }
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// True when shards wait for room and there is enough again: half the window, so that they do
    /// not wait again at once.
    pub(crate) fn sub_in_flight(&self, bytes: usize, limit: usize) -> bool {
        let left = self.in_flight.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        left <= limit / 2 && self.starving.load(Ordering::SeqCst) && self.starving.swap(false, Ordering::SeqCst)
    }

    /// Handlers are about to count as settled while the cork holds something. Only the worker's own
    /// thread calls this and the next function.
    pub(crate) fn cork_holds(&self) {
        self.held.fetch_or(HELD, Ordering::SeqCst);
    }

    /// The cork has been flushed. The number of this flush when shards wait for it.
    pub(crate) fn cork_flushed(&self) -> Option<Flush> {
        let next = |held: u32| Some((held | HELD | AWAITED).wrapping_add(1));
        let held = self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).ok()?;
        (held & AWAITED != 0).then_some(Flush(held & !(HELD | AWAITED)))
    }

    /// The flush that will bring replies of settled handlers which are still in the cork:
    /// [`Command::WorkerFlushed`](crate::shard::Command::WorkerFlushed) will come behind them.
    /// `None` when all of them are in the shards' queues.
    pub(crate) fn await_flush(&self) -> Option<Flush> {
        let await_it = |held: u32| (held & HELD != 0).then_some(held | AWAITED);
        let held = self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, await_it).ok()?;
        Some(Flush(held & !(HELD | AWAITED)))
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Tells it, if that is new. `for_how_long` is `None` if it is not stuck.
    pub(crate) fn set_stuck(&self, for_how_long: Option<Duration>) {
        let stuck = for_how_long.is_some();
        if self.stuck.swap(stuck, Ordering::Relaxed) != stuck {
            self.sink.set_stuck(for_how_long);
        }
    }

    /// What new connections look at: its connections, and the events that wait for it.
    fn load(&self) -> usize {
        self.connections.load(Ordering::Acquire) + self.sink.backlog().waiting
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// A shard has forgotten it. True for the last of so many shards: then its index is free for
    /// another worker.
    pub(crate) fn let_go(&self, shards: usize) -> bool {
        self.let_go.fetch_add(1, Ordering::AcqRel) + 1 == shards
    }

    /// Whether so many shards have forgotten it, which are all.
    pub(crate) fn is_let_go(&self, shards: usize) -> bool {
        self.let_go.load(Ordering::Acquire) >= shards
    }

    /// A connection of a pinned worker is closed for want of a successor.
    pub(crate) fn count_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn release(&self) {
        if self.connections.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(namespace) = &self.namespace
        {
            // Only now: a waiter that is woken earlier still counts the connection, and sleeps on.
            namespace.emptied.notify_waiters();
        }
    }
}

/// Whether a message of this cost may join what is held. One that is larger than the limit joins
/// nothing.
pub(crate) fn fits(held: usize, cost: usize, limit: usize) -> bool {
    held == 0 || held + cost <= limit
}

const UNASSIGNED: u64 = 1 << 32;

/// The workers of a broker.
#[derive(Debug, Default)]
pub(crate) struct Dispatch {
    workers: Mutex<Workers>,
    last: AtomicU32,
    /// Events handed over whose handlers have not settled, and in units of [`UNASSIGNED`] events
    /// that wait in the shards because there is no worker. One number, so that no event is missed
    /// while it moves from one to the other.
    unsettled: AtomicU64,
    /// Whether a worker that has ended is followed by another.
    replaced: AtomicBool,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Workers {
    live: Vec<Arc<WorkerEntry>>,
    free: Vec<usize>,
    indices: usize,
}

impl Dispatch {
    pub(crate) fn add(&self, sink: Arc<dyn Worker>, handlers: Handlers) -> Arc<WorkerEntry> {
        self.enter(sink, handlers, None, false)
    }

    /// A raw worker whose connections are closed (1012) when it ends.
    pub(crate) fn add_pinned(&self, sink: Arc<dyn Worker>, handlers: Handlers) -> Arc<WorkerEntry> {
        self.enter(sink, handlers, None, true)
    }

    /// A worker of a namespace. It gets no connections before [`WorkerEntry::set_accepts`].
    pub(crate) fn add_to(&self, namespace: &Arc<NamespaceState>, sink: Arc<dyn Worker>) -> Arc<WorkerEntry> {
        self.enter(sink, Handlers::WITHOUT_OPEN, Some(Arc::clone(namespace)), true)
    }

    fn enter(
        &self,
        sink: Arc<dyn Worker>,
        handlers: Handlers,
        namespace: Option<Arc<NamespaceState>>,
        pinned: bool,
    ) -> Arc<WorkerEntry> {
        let mut workers = self.workers.lock();
        let index = workers.free.pop().unwrap_or_else(|| {
            workers.indices += 1;
            workers.indices - 1
        });
        let entry = Arc::new(WorkerEntry {
            id: WorkerId(self.last.fetch_add(1, Ordering::Relaxed) + 1),
            index,
            handlers,
            accepts: AtomicBool::new(namespace.is_none()),
            namespace,
            pinned,
            operations: WaitingBytes::default(),
            dropped: AtomicU64::new(0),
            drops_reported: AtomicBool::new(false),
            sink,
            connections: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            starving: AtomicBool::new(false),
            held: AtomicU32::new(0),
            gone: AtomicBool::new(false),
            superseded: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            let_go: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        });
        workers.live.push(Arc::clone(&entry));
        entry
    }

    /// From now on it gets no connection. False when it was removed before.
    pub(crate) fn remove(&self, worker: &Arc<WorkerEntry>) -> bool {
        let mut workers = self.workers.lock();
        let before = workers.live.len();
        workers.live.retain(|entry| !Arc::ptr_eq(entry, worker));
        worker.gone.store(true, Ordering::Release);
        before != workers.live.len()
    }

    /// Frees its index in the shards' tables for another worker. Only after every shard has
    /// forgotten it.
    pub(crate) fn free_index(&self, index: usize) {
        self.workers.lock().free.push(index);
    }

    /// The worker of this namespace with the fewest connections among those that are not stuck, and
    /// one more for it. What waits for a worker counts like connections. If all are stuck, the
    /// fewest counts.
    pub(crate) fn assign(&self, namespace: NamespaceId) -> Option<Arc<WorkerEntry>> {
        let workers = self.workers.lock();
        let of_namespace = workers.live.iter().filter(|entry| entry.is_for(namespace));
        let entry = of_namespace.min_by_key(|entry| (entry.is_stuck(), entry.load()))?;
        entry.connections.fetch_add(1, Ordering::AcqRel);
        Some(Arc::clone(entry))
    }

    pub(crate) fn find(&self, id: WorkerId) -> Option<Arc<WorkerEntry>> {
        self.workers.lock().live.iter().find(|entry| entry.id == id).cloned()
    }

    /// The workers there are.
    pub(crate) fn workers(&self) -> Vec<Arc<WorkerEntry>> {
        self.workers.lock().live.clone()
    }

    /// Whether no worker takes connections of this namespace.
    pub(crate) fn is_empty(&self, namespace: NamespaceId) -> bool {
        !self.workers.lock().live.iter().any(|entry| entry.is_for(namespace))
    }

    /// Whether there is a worker that is not stuck: of this namespace, or of any.
    pub(crate) fn has_free(&self, namespace: Option<NamespaceId>) -> bool {
        let serves = |entry: &WorkerEntry| namespace.is_none_or(|namespace| entry.is_for(namespace));
        self.workers.lock().live.iter().any(|entry| serves(entry) && !entry.is_stuck())
    }

    /// Whether no handler would hear of a raw connection: there are raw workers, and none of them
    /// has a handler.
    pub(crate) fn has_no_raw_handler(&self) -> bool {
        let workers = self.workers.lock();
        let mut raw = workers.live.iter().filter(|entry| entry.is_for(NamespaceId::RAW)).peekable();
        raw.peek().is_some() && raw.all(|entry| entry.handlers == Handlers::default())
    }

    pub(crate) fn handed_over(&self, events: usize) {
        self.unsettled.fetch_add(events as u64, Ordering::AcqRel);
    }

    pub(crate) fn settled(&self, events: usize) {
        self.fewer(events as u64);
    }

    /// An event waits for a worker.
    pub(crate) fn kept(&self) {
        self.unsettled.fetch_add(UNASSIGNED, Ordering::AcqRel);
    }

    /// Such events have been handed over, and counted there.
    pub(crate) fn assigned(&self, events: usize) {
        self.fewer(events as u64 * UNASSIGNED);
    }

    fn fewer(&self, events: u64) {
        let left = self.unsettled.fetch_sub(events, Ordering::AcqRel).wrapping_sub(events);
        if left.is_multiple_of(UNASSIGNED) {
            self.settled.notify_waiters();
        }
    }

    /// Says whether [`Dispatch::idle`] is to wait for the next worker where there is none.
    pub(crate) fn set_replaced(&self, replaced: bool) {
        self.replaced.store(replaced, Ordering::Release);
    }

    /// Resolves when no handler is at work and none is waiting for its turn.
    pub(crate) async fn idle(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            let unsettled = self.unsettled.load(Ordering::Acquire);
            if unsettled == 0 || (unsettled.is_multiple_of(UNASSIGNED) && !self.replaced.load(Ordering::Acquire)) {
                return;
            }
            settled.await;
        }
    }
}

#[cfg(test)]
mod tests;
