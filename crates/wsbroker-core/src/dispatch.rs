//! Which worker gets which connection, and the ordering promise.
//!
//! A connection belongs to one worker, the one that had the fewest. Only the connection's shard hands events over, so they arrive in
//! order; only the shard moves a connection to another worker, after giving that worker what the old one had not begun.

use std::{fmt, sync::Arc};

use tokio::sync::Notify;

use crate::{
    broker::Inner,
    ids::WorkerId,
    realm::{self, Operation, Realm, RealmId},
    sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering},
    worker::{Handlers, Worker},
};

/// A worker and what is under way to it.
pub(crate) struct WorkerEntry {
    pub(crate) id: WorkerId,
    /// Its place in a shard's table of batches; used again after its end.
    pub(crate) index: usize,
    pub(crate) handlers: Handlers,
    /// Whose connections it gets; `None` are the raw ones.
    pub(crate) realm: Option<Arc<Realm>>,
    /// Whether it gets new ones. Those without a realm always do.
    accepts: AtomicBool,
    /// Bytes that other workers of its realm have handed over and that it has not fetched.
    pub(crate) posted: std::sync::atomic::AtomicUsize,
    /// Of a realm: messages to its connections that were dropped on their way, and whether it has been told that there are some.
    dropped: AtomicU64,
    told_dropped: AtomicBool,
    pub(crate) sink: Arc<dyn Worker>,
    connections: AtomicUsize,
    /// Bytes of messages that were handed over and whose handlers have not settled.
    in_flight: AtomicUsize,
    /// Events that were handed over, and those of them that have settled.
    delivered: AtomicU64,
    handled: AtomicU64,
    /// A shard has stopped reading for want of room here.
    starving: AtomicBool,
    /// Whether its cork holds what handlers have sent that have settled ([`HELD`]), whether a shard waits for that ([`AWAITED`]), and the
    /// number of its next flush in the bits above.
    held: AtomicU32,
    gone: AtomicBool,
    /// Shards that no longer know it.
    let_go: AtomicUsize,
}

/// Its replies are not in the shards' queues yet, and a connection that ends must not overtake them.
const HELD: u32 = 1;
const AWAITED: u32 = 2;

/// One flush of a worker's cork, told from the others: what an earlier one brought says nothing of what was sent since.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Flush(u32);

impl fmt::Debug for WorkerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerEntry").field("id", &self.id).field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

impl WorkerEntry {
    /// What its connections belong to.
    pub(crate) fn realm_id(&self) -> RealmId {
        self.realm.as_ref().map_or(RealmId::RAW, |realm| realm.id())
    }

    /// Whether it gets new connections from now on.
    pub(crate) fn set_accepts(&self, accepts: bool) {
        self.accepts.store(accepts, Ordering::Release);
    }

    fn is_for(&self, realm: RealmId) -> bool {
        self.realm_id() == realm && self.accepts.load(Ordering::Acquire)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Whether a message of this cost may be under way, too, with what the shard has gathered and not handed over. If not, the shards are
    /// told as soon as there is room again.
    pub(crate) fn has_room(&self, cost: usize, gathered: usize, limit: usize) -> bool {
        if fits(self.in_flight() + gathered, cost, limit) {
            return true;
        }
        self.starving.store(true, Ordering::SeqCst);
        // SeqCst on both sides: with less than half under way there may be nobody left to see that somebody waits.
        self.in_flight() + gathered <= limit / 2
    }

    /// Events are handed over, with messages of this many bytes. Counted before they are, so that they are never handled more often.
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

    /// Messages to its connections were dropped. A worker of a realm is told, once until it asks to be told again.
    pub(crate) fn drop_frames(self: &Arc<Self>, count: u64) {
        if self.realm.is_none() {
            return;
        }
        self.dropped.fetch_add(count, Ordering::SeqCst);
        if !self.told_dropped.swap(true, Ordering::SeqCst) {
            realm::tell(self, Operation::Dropped);
        }
    }

    /// How many those are. With `again` it is told of the next one.
    pub(crate) fn dropped(&self, again: bool) -> u64 {
        // Before the look: what comes behind it is told.
        if again {
            self.told_dropped.store(false, Ordering::SeqCst);
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

    /// True when shards wait for room and there is enough again: half the window, so that they do not wait again at once.
    pub(crate) fn sub_in_flight(&self, bytes: usize, limit: usize) -> bool {
        let left = self.in_flight.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        left <= limit / 2 && self.starving.load(Ordering::SeqCst) && self.starving.swap(false, Ordering::SeqCst)
    }

    /// Handlers are about to count as settled while the cork holds something. Only its own thread says so, and the next.
    pub(crate) fn hold(&self) {
        self.held.fetch_or(HELD, Ordering::SeqCst);
    }

    /// The cork has been flushed. The number of this flush when shards wait for it.
    pub(crate) fn let_loose(&self) -> Option<Flush> {
        let next = |held: u32| Some((held | HELD | AWAITED).wrapping_add(1));
        let held = self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).ok()?;
        (held & AWAITED != 0).then_some(Flush(held & !(HELD | AWAITED)))
    }

    /// The flush that will bring replies of settled handlers which are still in the cork: [`Command::WorkerFlushed`](crate::shard::Command::WorkerFlushed)
    /// will come behind them. `None` when all of them are in the shards' queues.
    pub(crate) fn await_flush(&self) -> Option<Flush> {
        let await_it = |held: u32| (held & HELD != 0).then_some(held | AWAITED);
        let held = self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, await_it).ok()?;
        Some(Flush(held & !(HELD | AWAITED)))
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// A shard has forgotten it. After the last one its index is free for another worker.
    pub(crate) fn let_go(&self, broker: &Inner) {
        if self.let_go.fetch_add(1, Ordering::AcqRel) + 1 == broker.shard_count() {
            broker.dispatch.free_index(self.index);
        }
    }

    pub(crate) fn release(&self) {
        if self.connections.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(realm) = &self.realm
        {
            realm.helper_emptied();
        }
    }
}

/// Whether a message of this cost may join what is held. One that is larger than the limit joins nothing.
pub(crate) fn fits(held: usize, cost: usize, limit: usize) -> bool {
    held == 0 || held + cost <= limit
}

const HOMELESS: u64 = 1 << 32;

/// The workers of a broker.
#[derive(Debug, Default)]
pub(crate) struct Dispatch {
    workers: Mutex<Workers>,
    last: AtomicU32,
    /// Events handed over whose handlers have not settled, and in units of [`HOMELESS`] those that wait in the shards because there is no worker. One number,
    /// so that none is missed on its way from one to the other.
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
        self.enter(sink, handlers, None)
    }

    /// A worker of a realm. It gets no connections before [`WorkerEntry::set_accepts`].
    pub(crate) fn add_to(&self, realm: &Arc<Realm>, sink: Arc<dyn Worker>) -> Arc<WorkerEntry> {
        self.enter(sink, Handlers::WITHOUT_OPEN, Some(Arc::clone(realm)))
    }

    fn enter(&self, sink: Arc<dyn Worker>, handlers: Handlers, realm: Option<Arc<Realm>>) -> Arc<WorkerEntry> {
        let mut workers = self.workers.lock();
        let index = workers.free.pop().unwrap_or_else(|| {
            workers.indices += 1;
            workers.indices - 1
        });
        let entry = Arc::new(WorkerEntry {
            id: WorkerId(self.last.fetch_add(1, Ordering::Relaxed) + 1),
            index,
            handlers,
            accepts: AtomicBool::new(realm.is_none()),
            realm,
            posted: std::sync::atomic::AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            told_dropped: AtomicBool::new(false),
            sink,
            connections: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            starving: AtomicBool::new(false),
            held: AtomicU32::new(0),
            gone: AtomicBool::new(false),
            let_go: AtomicUsize::new(0),
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

    /// Lets another worker have its place in the shards' tables. Only after every shard has let go of it.
    pub(crate) fn free_index(&self, index: usize) {
        self.workers.lock().free.push(index);
    }

    /// The worker of this realm with the fewest connections, and one more for it.
    pub(crate) fn assign(&self, realm: RealmId) -> Option<Arc<WorkerEntry>> {
        let workers = self.workers.lock();
        let of_realm = workers.live.iter().filter(|entry| entry.is_for(realm));
        let entry = of_realm.min_by_key(|entry| entry.connections.load(Ordering::Acquire))?;
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

    /// Whether no worker takes connections of this realm.
    pub(crate) fn is_empty(&self, realm: RealmId) -> bool {
        !self.workers.lock().live.iter().any(|entry| entry.is_for(realm))
    }

    /// Whether nobody would hear of a raw connection: there are raw workers, and none of them has a handler.
    pub(crate) fn is_deaf(&self) -> bool {
        let workers = self.workers.lock();
        let mut raw = workers.live.iter().filter(|entry| entry.realm.is_none()).peekable();
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
        self.unsettled.fetch_add(HOMELESS, Ordering::AcqRel);
    }

    /// Such events have been handed over, and counted there.
    pub(crate) fn housed(&self, events: usize) {
        self.fewer(events as u64 * HOMELESS);
    }

    fn fewer(&self, events: u64) {
        let left = self.unsettled.fetch_sub(events, Ordering::AcqRel).wrapping_sub(events);
        if left.is_multiple_of(HOMELESS) {
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
            if unsettled == 0 || (unsettled.is_multiple_of(HOMELESS) && !self.replaced.load(Ordering::Acquire)) {
                return;
            }
            settled.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::{
        Bind, Config, Listener, ListenerConfig, MessageKind, SocketLimits, WorkerHandle,
        broker::Broker,
        error::DeliverError,
        event::{Batch, EventKind, Open, OpenReply, OpenRequest},
        front::Endpoint,
        registry::Socket,
        shard::{Command, Reserve},
    };

    /// Takes events and begins none.
    #[derive(Default)]
    struct Shelf {
        batches: Mutex<Vec<Batch>>,
        gone: AtomicBool,
    }

    impl Worker for Shelf {
        fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
            if self.gone.load(Ordering::SeqCst) {
                return Err(DeliverError::Gone(batch));
            }
            self.batches.lock().push(batch);
            Ok(())
        }
    }

    impl Shelf {
        fn waiting(&self) -> usize {
            self.batches.lock().iter().map(|batch| batch.events.len()).sum()
        }
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
            std::thread::yield_now();
        }
    }

    fn broker() -> (Broker, Arc<Endpoint>) {
        let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
        (broker, Arc::new(Endpoint::new(1, SocketLimits::default(), None)))
    }

    fn admit(broker: &Broker, endpoint: &Endpoint) -> (Arc<Socket>, Option<Arc<WorkerEntry>>) {
        broker.inner().admit(endpoint).unwrap()
    }

    /// The second half of an admission: the shard learns of the connection, and asks a worker.
    fn reserve(broker: &Broker, endpoint: &Arc<Endpoint>, (socket, worker): (Arc<Socket>, Option<Arc<WorkerEntry>>)) {
        let open = Some(Box::new(Open { request: OpenRequest::default(), reply: OpenReply { gate: None } }));
        let endpoint = Arc::clone(endpoint);
        broker.inner().shard(0).push(Command::Reserve(Box::new(Reserve {
            socket,
            endpoint,
            worker,
            open,
            deflate: None,
            ip: None,
        })));
    }

    #[test]
    fn events_that_a_dead_worker_left_are_counted_once() {
        let (broker, endpoint) = broker();
        let unsettled = || broker.inner().dispatch.unsettled.load(Ordering::SeqCst);
        let (first, second) = (Arc::<Shelf>::default(), Arc::<Shelf>::default());
        let handle = broker.add_worker(Arc::clone(&first) as Arc<dyn Worker>, Handlers::ALL);
        for _ in 0..3 {
            reserve(&broker, &endpoint, admit(&broker, &endpoint));
        }
        until("the first has them", || first.waiting() == 3);
        first.gone.store(true, Ordering::SeqCst);
        reserve(&broker, &endpoint, admit(&broker, &endpoint));
        until("it has refused one", || unsettled() == 4);
        let heir = broker.add_worker(Arc::clone(&second) as Arc<dyn Worker>, Handlers::ALL);
        handle.remove(std::mem::take(&mut first.batches.lock()));
        until("the second has all", || second.waiting() == 4);
        until("only the second is waited for", || unsettled() == 4);
        for batch in second.batches.lock().drain(..) {
            heir.settle(batch.events.iter(), None);
        }
        assert_eq!(unsettled(), 0);
    }

    /// A client that has sent one message, and what it came by.
    fn client(broker: &Broker) -> (TcpStream, Listener) {
        let bind = Bind::Tcp { host: "127.0.0.1".into(), port: 0 };
        let listener = broker.runtime().block_on(broker.listen(ListenerConfig::new(bind))).unwrap();
        listener.serve();
        let mut client = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
        let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.write_all(&[request.as_bytes(), &[0x81, 0x81, 0, 0, 0, 0, b'x']].concat()).unwrap();
        (client, listener)
    }

    /// Ends the worker, which was given the client's message, and waits until the client has none.
    fn bury(shelf: &Shelf, handle: WorkerHandle) -> Arc<Socket> {
        shelf.gone.store(true, Ordering::SeqCst);
        let unstarted = std::mem::take(&mut *shelf.batches.lock());
        let socket = Arc::clone(&unstarted[0].events[0].socket);
        handle.remove(unstarted);
        until("it has no worker", || socket.worker().is_none());
        socket
    }

    #[test]
    fn a_drain_waits_for_a_worker_like_everything_else() {
        let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
        let first = Arc::<Shelf>::default();
        let handle = broker.add_worker(Arc::clone(&first) as Arc<dyn Worker>, Handlers::TEXT);
        let (mut client, _listener) = client(&broker);
        until("the message is there", || first.waiting() == 1);
        let id = bury(&first, handle).id();
        // More than the kernel takes, and over the limit.
        let mut cork = broker.cork();
        let staged = cork.stage_slice(MessageKind::Binary, &vec![0; 32 << 20]);
        cork.send(id, staged);
        cork.flush();
        let mut read = vec![0; 1 << 20];
        until("it has read all of it", || {
            let _ = client.read(&mut read).unwrap();
            broker.buffered_amount(id) == 0
        });
        let second = Arc::<Shelf>::default();
        let _handle = broker.add_worker(Arc::clone(&second) as Arc<dyn Worker>, Handlers::DRAIN);
        until("the second hears of room", || second.waiting() == 1);
        assert!(matches!(second.batches.lock()[0].events[0].kind, EventKind::Drain));
    }

    /// What waited for a worker is handed over when the shard hears of one; a close that comes before it hears does not go ahead.
    #[test]
    fn a_close_does_not_overtake_what_waited_for_a_worker() {
        let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
        let first = Arc::<Shelf>::default();
        let told = Handlers::TEXT | Handlers::CLOSE;
        let handle = broker.add_worker(Arc::clone(&first) as Arc<dyn Worker>, told);
        let (client, _listener) = client(&broker);
        until("the message is there", || first.waiting() == 1);
        bury(&first, handle);
        let second = Arc::<Shelf>::default();
        broker.inner().dispatch.add(Arc::clone(&second) as Arc<dyn Worker>, told);
        drop(client);
        until("its end is seen", || broker.connection_count() == 0);
        broker.inner().push_all(|| Command::WorkerJoined);
        until("the second has both", || second.waiting() == 2);
        let batches = second.batches.lock();
        let kinds: Vec<_> = batches.iter().flat_map(|batch| &batch.events).map(|event| &event.kind).collect();
        assert!(matches!(kinds[..], [EventKind::Text(_), EventKind::Close { .. }]), "{kinds:?}");
    }

    #[test]
    fn a_worker_that_joins_during_an_admission_is_asked() {
        let (broker, endpoint) = broker();
        let (socket, none) = admit(&broker, &endpoint);
        assert!(none.is_none());
        let shelf = Arc::<Shelf>::default();
        let handle = broker.add_worker(Arc::clone(&shelf) as Arc<dyn Worker>, Handlers::ALL);
        reserve(&broker, &endpoint, (Arc::clone(&socket), none));
        until("it is asked", || shelf.waiting() == 1);
        assert_eq!(socket.worker(), Some(handle.id()));
    }
}
