//! Against workers that begin nothing, so that what was handed over can be looked at.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use super::*;
use crate::{
    Bind, CloseCause, Config, DeliverError, Listener, ListenerConfig, MessageKind, SocketLimits, WorkerHandle,
    admission::Endpoint,
    broker::Broker,
    broker::stuck_watch,
    event::{Batch, Event, EventKind},
    front::{Reservation, Verdict},
    open::{Accept, Open, OpenReply, OpenRequest},
    registry::Socket,
    shard::{Command, ConnectionKey, Reserve},
    stream::Stream,
    worker::Backlog,
};

/// Takes events and begins none.
#[derive(Default)]
struct PassiveWorker {
    batches: Mutex<Vec<Batch>>,
    gone: AtomicBool,
    /// What it was told.
    stuck: Mutex<Vec<bool>>,
    fetches: AtomicU64,
    /// It was probed and has not fetched since.
    probed: AtomicBool,
}

impl Worker for PassiveWorker {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(DeliverError::Gone(batch));
        }
        self.batches.lock().push(batch);
        Ok(())
    }

    fn backlog(&self) -> Backlog {
        let waiting = self.waiting();
        let at_work = waiting > 0 || self.probed.load(Ordering::SeqCst);
        Backlog { waiting, fetches: at_work.then(|| self.fetches.load(Ordering::SeqCst)) }
    }

    fn probe(&self) {
        self.probed.store(true, Ordering::SeqCst);
    }

    fn set_stuck(&self, for_how_long: Option<Duration>) {
        self.stuck.lock().push(for_how_long.is_some());
    }

    fn take_opens(&self) -> Vec<Event> {
        let mut batches = self.batches.lock();
        let is_open = |event: &mut Event| matches!(event.kind, EventKind::Open(_));
        batches.iter_mut().flat_map(|batch| batch.events.extract_if(.., is_open)).collect()
    }
}

impl PassiveWorker {
    fn new() -> Arc<Self> {
        Arc::default()
    }

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
    broker.state().admit(endpoint).unwrap()
}

/// The second half of an admission: the shard learns of the connection, and asks a worker.
fn reserve(broker: &Broker, endpoint: &Arc<Endpoint>, (socket, worker): (Arc<Socket>, Option<Arc<WorkerEntry>>)) {
    let open = Some(Box::new(Open { request: OpenRequest::default(), reply: OpenReply::unanswerable() }));
    let endpoint = Arc::clone(endpoint);
    broker.state().shard(0).push(Command::Reserve(Box::new(Reserve {
        socket,
        endpoint,
        worker,
        open,
        deflate: None,
        joins: false,
    })));
}

#[test]
fn events_that_a_dead_worker_left_are_counted_once() {
    let (broker, endpoint) = broker();
    let unsettled = || broker.state().dispatch.unsettled.load(Ordering::SeqCst);
    let (first, second) = (Arc::<PassiveWorker>::default(), Arc::<PassiveWorker>::default());
    let handle = broker.add_worker(Arc::clone(&first) as Arc<dyn Worker>, Handlers::ALL);
    for _ in 0..3 {
        reserve(&broker, &endpoint, admit(&broker, &endpoint));
    }
    until("the first has them", || first.waiting() == 3);
    first.gone.store(true, Ordering::SeqCst);
    reserve(&broker, &endpoint, admit(&broker, &endpoint));
    until("it has refused one", || unsettled() == 4);
    let successor = broker.add_worker(Arc::clone(&second) as Arc<dyn Worker>, Handlers::ALL);
    handle.remove(std::mem::take(&mut first.batches.lock()));
    until("the second has all", || second.waiting() == 4);
    until("only the second is waited for", || unsettled() == 4);
    for batch in second.batches.lock().drain(..) {
        successor.settle(batch.events.iter(), None);
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
fn bury(passive: &PassiveWorker, handle: WorkerHandle) -> Arc<Socket> {
    passive.gone.store(true, Ordering::SeqCst);
    let unstarted = std::mem::take(&mut *passive.batches.lock());
    let socket = Arc::clone(&unstarted[0].events[0].socket);
    handle.remove(unstarted);
    until("it has no worker", || socket.worker().is_none());
    socket
}

#[test]
fn a_drain_waits_for_a_worker_like_everything_else() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let first = Arc::<PassiveWorker>::default();
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
    let second = Arc::<PassiveWorker>::default();
    let _handle = broker.add_worker(Arc::clone(&second) as Arc<dyn Worker>, Handlers::DRAIN);
    until("the second hears of room", || second.waiting() == 1);
    assert!(matches!(second.batches.lock()[0].events[0].kind, EventKind::Drain));
}

/// What waited for a worker is handed over when the shard hears of one; a close that comes before
/// it hears does not go ahead.
#[test]
fn a_close_does_not_overtake_what_waited_for_a_worker() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let first = Arc::<PassiveWorker>::default();
    let told = Handlers::TEXT | Handlers::CLOSE;
    let handle = broker.add_worker(Arc::clone(&first) as Arc<dyn Worker>, told);
    let (client, _listener) = client(&broker);
    until("the message is there", || first.waiting() == 1);
    bury(&first, handle);
    let second = Arc::<PassiveWorker>::default();
    broker.state().dispatch.add(Arc::clone(&second) as Arc<dyn Worker>, told);
    drop(client);
    until("its end is seen", || broker.connection_count() == 0);
    broker.state().push_all(|| Command::WorkerJoined);
    until("the second has both", || second.waiting() == 2);
    let batches = second.batches.lock();
    let kinds: Vec<_> = batches.iter().flat_map(|batch| &batch.events).map(|event| &event.kind).collect();
    assert!(matches!(kinds[..], [EventKind::Text(_), EventKind::Close { .. }]), "{kinds:?}");
}

/// The connections of a pinned worker are closed when it ends; what it had not begun, and that they
/// have closed, another worker hears.
#[test]
fn the_connections_of_a_pinned_worker_end_with_it() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let first = Arc::<PassiveWorker>::default();
    let told = Handlers::TEXT | Handlers::CLOSE;
    let handle = broker.add_pinned_worker(Arc::clone(&first) as Arc<dyn Worker>, told);
    let (mut client, _listener) = client(&broker);
    until("the message is there", || first.waiting() == 1);
    let second = Arc::<PassiveWorker>::default();
    let successor = broker.add_worker(Arc::clone(&second) as Arc<dyn Worker>, told);
    first.gone.store(true, Ordering::SeqCst);
    handle.remove(std::mem::take(&mut *first.batches.lock()));
    until("the second has the message", || second.waiting() == 1);
    successor.settle(second.batches.lock()[0].events.iter(), None);
    let mut read = Vec::new();
    until("it is closed", || {
        let mut bytes = [0; 256];
        let count = client.read(&mut bytes).unwrap();
        read.extend_from_slice(&bytes[..count]);
        read.ends_with(b"\x88\x0e\x03\xf4Worker ended")
    });
    drop(client);
    until("the second hears of the close", || second.waiting() == 2);
    let batches = second.batches.lock();
    let kinds: Vec<_> = batches.iter().flat_map(|batch| &batch.events).map(|event| &event.kind).collect();
    assert!(matches!(kinds[..], [EventKind::Text(_), EventKind::Close { .. }]), "{kinds:?}");
    assert_eq!(broker.state().shard(0).counters.closes()[CloseCause::WorkerEnded as usize], 1);
}

/// Without a handler for it there is nothing to do at an end but to forget the token.
#[test]
fn a_worker_that_only_keeps_tokens_hears_of_the_end_of_sockets_that_had_one() {
    let (broker, _) = broker();
    let worker = PassiveWorker::new();
    let _handle = broker.add_worker(Arc::clone(&worker) as Arc<dyn Worker>, Handlers::TEXT | Handlers::FORGET);
    let (plain, _one) = client(&broker);
    until("its message is there", || worker.waiting() == 1);
    let (known, _other) = client(&broker);
    until("both messages are there", || worker.waiting() == 2);
    let id = worker.batches.lock().last().unwrap().events.last().unwrap().socket.id();
    assert!(broker.set_token(id, b"token"));
    drop(plain);
    until("the first end is seen", || broker.connection_count() == 1);
    drop(known);
    until("an end is told", || worker.waiting() == 3);
    let batches = worker.batches.lock();
    let last = batches.iter().flat_map(|batch| &batch.events).last().unwrap();
    assert!(matches!(last.kind, EventKind::Close { .. }), "{last:?}");
    assert_eq!(last.socket.id(), id);
}

/// A connection that waits for its verdict, and its worker, which is pinned.
fn asked_of_pinned(broker: &Broker) -> (Reservation, Arc<PassiveWorker>, WorkerHandle) {
    let endpoint = Arc::new(Endpoint::new(1, SocketLimits::default(), None));
    let pinned = PassiveWorker::new();
    let handle = broker.add_pinned_worker(Arc::clone(&pinned) as Arc<dyn Worker>, Handlers::ALL);
    let asking = broker.state().front.ask().unwrap();
    let reservation = Reservation::new(broker.state(), &endpoint, OpenRequest::default, None, asking).unwrap();
    until("it is asked", || pinned.waiting() == 1);
    (reservation, pinned, handle)
}

/// Accepts what the worker was asked.
fn accept(worker: &PassiveWorker, handle: &WorkerHandle) {
    for mut batch in worker.batches.lock().drain(..) {
        for event in &mut batch.events {
            if let EventKind::Open(open) = std::mem::replace(&mut event.kind, EventKind::Drain) {
                open.reply.accept(Accept::default()).unwrap();
            }
        }
        handle.settle(batch.events.iter(), None);
    }
}

/// Gives an accepted connection its stream, and returns the client's end.
fn attach(broker: &Broker, mut reservation: Reservation) -> TcpStream {
    let verdict = broker.runtime().block_on(async { reservation.verdict(Duration::from_secs(10)).await });
    assert!(matches!(verdict, Verdict::Accept(_)), "{verdict:?}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    reservation.attach(Stream::tcp(stream), b"101".to_vec(), Vec::new(), broker.state().front.permit().unwrap());
    client
}

/// What it has accepted nobody else knows, however little time there was.
#[test]
fn what_a_pinned_worker_accepted_before_its_end_is_closed_with_the_101() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let (reservation, pinned, handle) = asked_of_pinned(&broker);
    let (next, successor) = add(&broker, Handlers::ALL);
    accept(&pinned, &handle);
    pinned.gone.store(true, Ordering::SeqCst);
    handle.remove(Vec::new());
    let socket = Arc::clone(reservation.socket());
    until("it has moved", || socket.worker() == Some(successor.id()));
    let mut client = attach(&broker, reservation);
    let expected = b"101\x88\x0e\x03\xf4Worker ended";
    let mut read = vec![0; expected.len()];
    client.read_exact(&mut read).unwrap();
    assert_eq!(read, expected);
    drop(client);
    until("the next one hears of the close", || next.waiting() == 1);
    assert_eq!(broker.state().shard(0).counters.closes()[CloseCause::WorkerEnded as usize], 1);
}

#[test]
fn what_a_pinned_worker_was_asked_and_had_not_begun_another_answers() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let (reservation, pinned, handle) = asked_of_pinned(&broker);
    let (next, successor) = add(&broker, Handlers::ALL);
    pinned.gone.store(true, Ordering::SeqCst);
    handle.remove(std::mem::take(&mut *pinned.batches.lock()));
    until("the next one is asked", || next.waiting() == 1);
    accept(&next, &successor);
    let id = reservation.socket().id();
    let mut client = attach(&broker, reservation);
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"open");
    cork.send(id, staged);
    cork.flush();
    let mut read = vec![0; 9];
    client.read_exact(&mut read).unwrap();
    assert_eq!(read, b"101\x81\x04open");
}

#[test]
fn a_worker_that_joins_during_an_admission_is_asked() {
    let (broker, endpoint) = broker();
    let (socket, none) = admit(&broker, &endpoint);
    assert!(none.is_none());
    let passive = Arc::<PassiveWorker>::default();
    let handle = broker.add_worker(Arc::clone(&passive) as Arc<dyn Worker>, Handlers::ALL);
    reserve(&broker, &endpoint, (Arc::clone(&socket), none));
    until("it is asked", || passive.waiting() == 1);
    assert_eq!(socket.worker(), Some(handle.id()));
}

fn add(broker: &Broker, handlers: Handlers) -> (Arc<PassiveWorker>, WorkerHandle) {
    let passive = PassiveWorker::new();
    let handle = broker.add_worker(Arc::clone(&passive) as Arc<dyn Worker>, handlers);
    (passive, handle)
}

/// A tick, as the broker's own clock makes them besides.
fn tick(broker: &Broker) {
    broker.state().stuck_workers.lock().look(&broker.state().dispatch.workers(), false);
}

/// As many ticks as it takes until a worker is stuck.
fn a_second_passes(broker: &Broker) {
    (0..=4).for_each(|_| tick(broker));
}

fn ids(worker: Option<Arc<WorkerEntry>>) -> u32 {
    worker.map_or(0, |worker| worker.id.get())
}

#[test]
fn a_worker_for_which_something_has_waited_a_second_is_passed_over() {
    let (broker, endpoint) = broker();
    let (hung, handle) = add(&broker, Handlers::ALL);
    reserve(&broker, &endpoint, admit(&broker, &endpoint));
    until("it has a question", || hung.waiting() == 1);
    let (_busy, other) = add(&broker, Handlers::ALL);
    let assign = || ids(broker.state().dispatch.assign(NamespaceId::RAW));
    assert_eq!([assign(), assign()], [other.id().get(); 2], "what waits counts like a connection");
    (0..3).for_each(|_| tick(&broker));
    assert_eq!(assign(), handle.id().get(), "not yet");
    a_second_passes(&broker);
    assert_eq!([(); 9].map(|()| assign()), [other.id().get(); 9]);
    hung.batches.lock().clear();
    tick(&broker);
    assert_eq!(assign(), handle.id().get(), "it has fetched what waited");
    assert_eq!(*hung.stuck.lock(), [true, false], "told once each");
}

#[test]
fn a_worker_that_comes_for_more_is_not_stuck_however_much_waits() {
    let (broker, endpoint) = broker();
    let (busy, _handle) = add(&broker, Handlers::ALL);
    reserve(&broker, &endpoint, admit(&broker, &endpoint));
    until("it has a question", || busy.waiting() == 1);
    for _ in 0..5 {
        (0..3).for_each(|_| tick(&broker));
        busy.fetches.fetch_add(1, Ordering::SeqCst);
    }
    assert!(busy.stuck.lock().is_empty());
}

#[test]
fn if_all_workers_are_stuck_the_fewest_counts() {
    let (broker, endpoint) = broker();
    let (first, _handle) = add(&broker, Handlers::ALL);
    for _ in 0..3 {
        reserve(&broker, &endpoint, admit(&broker, &endpoint));
    }
    until("the first has three", || first.waiting() == 3);
    let (second, handle) = add(&broker, Handlers::ALL);
    reserve(&broker, &endpoint, admit(&broker, &endpoint));
    until("the second has one", || second.waiting() == 1);
    a_second_passes(&broker);
    assert_eq!(ids(broker.state().dispatch.assign(NamespaceId::RAW)), handle.id().get());
    stuck_watch::ask_others(broker.state(), &broker.state().dispatch.workers()[0]);
    assert_eq!(first.waiting(), 3, "nobody else would answer");
}

#[test]
fn an_open_that_waits_for_a_stuck_worker_is_asked_of_another() {
    let (broker, endpoint) = broker();
    let unsettled = || broker.state().dispatch.unsettled.load(Ordering::SeqCst);
    let (hung, _handle) = add(&broker, Handlers::ALL);
    let (socket, worker) = admit(&broker, &endpoint);
    let hung_entry = Arc::clone(worker.as_ref().unwrap());
    reserve(&broker, &endpoint, (Arc::clone(&socket), worker));
    until("it is asked", || hung.waiting() == 1);
    a_second_passes(&broker);
    let (second, successor) = add(&broker, Handlers::ALL);
    stuck_watch::ask_others(broker.state(), &hung_entry);
    until("the second is asked", || second.waiting() == 1);
    until("only the second is waited for", || unsettled() == 1);
    assert_eq!((socket.worker(), hung.waiting()), (Some(successor.id()), 0));
    assert_eq!((hung_entry.connections(), hung_entry.delivered()), (0, 0));
    successor.settle(second.batches.lock().iter().flat_map(|batch| &batch.events), None);
    assert_eq!(unsettled(), 0);
}

#[test]
fn a_question_whose_client_was_turned_away_is_not_asked_again() {
    let (broker, endpoint) = broker();
    let (hung, _handle) = add(&broker, Handlers::ALL);
    let (socket, worker) = admit(&broker, &endpoint);
    let hung_entry = Arc::clone(worker.as_ref().unwrap());
    reserve(&broker, &endpoint, (Arc::clone(&socket), worker));
    broker.state().shard(0).push(Command::Unanswered(ConnectionKey::of(&socket)));
    until("it is asked", || hung.waiting() == 1);
    until("it counts no more", || hung_entry.connections() == 0);
    a_second_passes(&broker);
    let (second, _heir) = add(&broker, Handlers::ALL);
    stuck_watch::ask_others(broker.state(), &hung_entry);
    until("nobody waits for it", || broker.state().dispatch.unsettled.load(Ordering::SeqCst) == 0);
    assert_eq!((hung.waiting(), second.waiting(), hung_entry.connections()), (0, 0, 0));
}

#[test]
fn the_place_of_a_worker_that_has_ended_is_used_again() {
    let broker = Broker::new(Config { io_threads: 3, ..Config::default() }).unwrap();
    let dispatch = &broker.state().dispatch;
    let (passive, handle) = add(&broker, Handlers::ALL);
    let (_other, _kept) = add(&broker, Handlers::ALL);
    passive.gone.store(true, Ordering::SeqCst);
    handle.remove(Vec::new());
    until("every shard has let go of it", || !dispatch.workers.lock().free.is_empty());
    let third = dispatch.add(PassiveWorker::new(), Handlers::ALL);
    assert_eq!((third.index, dispatch.workers.lock().indices), (0, 2));
}

#[test]
fn a_worker_that_ends_during_an_admission_is_not_asked() {
    let (broker, endpoint) = broker();
    let (first, handle) = add(&broker, Handlers::ALL);
    let (socket, worker) = admit(&broker, &endpoint);
    assert_eq!(worker.as_ref().map(|worker| worker.id), Some(handle.id()));
    let ended = Arc::clone(worker.as_ref().unwrap());
    first.gone.store(true, Ordering::SeqCst);
    handle.remove(Vec::new());
    let (second, successor) = add(&broker, Handlers::ALL);
    until("the shard has dealt with its end", || !broker.state().dispatch.workers.lock().free.is_empty());
    reserve(&broker, &endpoint, (Arc::clone(&socket), worker));
    until("the second is asked", || second.waiting() == 1);
    assert_eq!((socket.worker(), ended.connections()), (Some(successor.id()), 0));
}

#[test]
fn raw_workers_without_handlers_are_deaf_unless_one_has_some() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let dispatch = &broker.state().dispatch;
    assert!(!dispatch.has_no_raw_handler(), "a worker that comes later may have one");
    let namespace = broker.namespace(crate::NamespaceConfig::default());
    let _helper = broker.add_helper(&namespace, PassiveWorker::new());
    assert!(!dispatch.has_no_raw_handler(), "a namespace's workers hear nothing of raw connections");
    let (_passive, deaf) = add(&broker, Handlers::default());
    assert!(dispatch.has_no_raw_handler());
    let (_passive, hears) = add(&broker, Handlers::CLOSE);
    assert!(!dispatch.has_no_raw_handler());
    hears.remove(Vec::new());
    assert!(dispatch.has_no_raw_handler());
    deaf.remove(Vec::new());
    assert!(!dispatch.has_no_raw_handler());
}

#[test]
fn what_is_under_way_to_a_worker_is_bounded_and_half_of_it_is_room_again() {
    let entry = Dispatch::default().add(PassiveWorker::new(), Handlers::ALL);
    assert!(entry.has_room(1000, 0, 100), "to a worker that has nothing goes anything");
    entry.hand_over(1, 60);
    assert!(entry.has_room(40, 0, 100));
    assert!(entry.has_room(10, 30, 100));
    assert!(!entry.sub_in_flight(0, 100), "no shard waits");
    assert!(!entry.has_room(41, 0, 100));
    assert!(!entry.has_room(11, 30, 100), "what the shard has gathered counts");
    assert!(!entry.sub_in_flight(9, 100), "more than half is left");
    assert_eq!(entry.in_flight(), 51);
    assert!(entry.sub_in_flight(1, 100));
    assert!(!entry.sub_in_flight(0, 100), "told once");
    // No handler would be left to tell that there is room.
    assert!(entry.has_room(1000, 0, 100));
    assert!(!entry.has_room(1000, 1, 100));
    entry.hand_over(2, 70);
    entry.take_back(2, 70);
    assert_eq!((entry.in_flight(), entry.delivered()), (50, 1));
    entry.settled(1);
    assert_eq!(entry.handled(), 1);
}

#[test]
fn a_shard_that_waits_for_a_flush_is_told_of_that_one() {
    let entry = Dispatch::default().add(PassiveWorker::new(), Handlers::ALL);
    assert_eq!(entry.await_flush(), None, "nothing is held back");
    assert_eq!((entry.cork_flushed(), entry.await_flush()), (None, None), "and a flush changes nothing");
    let mut seen = Vec::new();
    for _ in 0..3 {
        entry.cork_holds();
        let awaited = entry.await_flush();
        assert!(awaited.is_some());
        assert_eq!(entry.await_flush(), awaited, "by several");
        assert_eq!(entry.cork_flushed(), awaited);
        assert_eq!((entry.await_flush(), entry.cork_flushed()), (None, None), "it has come");
        entry.cork_holds();
        assert_eq!(entry.cork_flushed(), None, "no shard waited");
        seen.push(awaited);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "no two are the same");
}

#[test]
fn it_is_idle_when_all_has_settled_and_nothing_waits_for_a_worker_that_will_come() {
    let dispatch = Dispatch::default();
    let is_idle = || {
        let idle = std::pin::pin!(dispatch.idle());
        idle.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
    };
    assert!(is_idle());
    dispatch.handed_over(2);
    dispatch.settled(1);
    assert!(!is_idle());
    dispatch.set_replaced(true);
    assert!(!is_idle());
    dispatch.settled(1);
    assert!(is_idle());
    dispatch.kept();
    assert!(!is_idle(), "the next worker is told of it");
    dispatch.set_replaced(false);
    assert!(is_idle(), "there is no next worker");
    dispatch.kept();
    dispatch.assigned(2);
    dispatch.set_replaced(true);
    assert!(is_idle());
}

#[test]
fn a_worker_for_which_nothing_waits_is_stuck_if_it_is_watched_and_does_not_come() {
    let (broker, _) = broker();
    let (hung, _handle) = add(&broker, Handlers::ALL);
    a_second_passes(&broker);
    a_second_passes(&broker);
    assert!(!hung.probed.load(Ordering::SeqCst), "it is left alone");
    let look = || broker.state().stuck_workers.lock().look(&broker.state().dispatch.workers(), true);
    (0..6).for_each(|_| look());
    assert_eq!(*hung.stuck.lock(), [true]);
    hung.probed.store(false, Ordering::SeqCst);
    look();
    assert_eq!(*hung.stuck.lock(), [true, false], "it has come");
}

#[test]
fn a_superseded_worker_is_watched_in_any_case() {
    let (broker, _) = broker();
    let (hung, handle) = add(&broker, Handlers::ALL);
    handle.supersede();
    (0..6).for_each(|_| tick(&broker));
    assert_eq!(*hung.stuck.lock(), [true]);
}
