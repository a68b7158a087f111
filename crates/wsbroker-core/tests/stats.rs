//! What a broker counts, against what happened.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use common::{Client, DEADLINE, Got, Queue, Seen, TestWorker, fill, listen, logging, pass, until};
use parking_lot::Mutex;
use wsbroker_core::{
    Accept, Batch, Broker, CloseCause, CloseCode, Config, DeliverError, DropCause, EventKind, Handlers, MessageKind,
    Overflow, SendOutcome, SocketId, SocketLimits, Worker,
};
use wsbroker_proto::Opcode;

fn broker(io_threads: usize) -> Broker {
    Broker::new(Config { io_threads, ..Config::default() }).unwrap()
}

fn id(number: u64) -> SocketId {
    SocketId::new(number).unwrap()
}

fn send(broker: &Broker, id: SocketId, bytes: &[u8]) -> SendOutcome {
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, bytes);
    cork.send(id, staged)
}

#[test]
fn messages_and_bytes_are_counted_both_ways() {
    let broker = broker(2);
    let _worker = TestWorker::new(
        &broker,
        Handlers::TEXT,
        Box::new(|scope, id, seen| {
            if let Seen::Text(text) = seen {
                scope.broker.subscribe(scope.cork, id, b"all").unwrap();
                scope.send(id, text);
            }
        }),
    );
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(port)).collect();
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 200_000];
    for client in &mut clients {
        for size in sizes {
            client.send(&vec![b'x'; size]);
            assert_eq!(client.text().len(), size);
        }
        // No worker takes them; they came all the same.
        client.send_frame(true, Opcode::Binary, b"12345");
        pass(client);
    }
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"to all");
    assert_eq!(cork.publish(b"all", staged, &[id(1)]), 3);
    cork.flush();
    clients[1..].iter_mut().for_each(|client| assert_eq!(client.text(), "to all"));

    let (count, bytes) = (3 * sizes.len() as u64, 3 * sizes.iter().sum::<usize>() as u64);
    until("all is counted", || broker.stats().traffic.messages_out == count + 2);
    let stats = broker.stats();
    assert_eq!((stats.traffic.messages_in, stats.traffic.bytes_in), (count + 3, bytes + 15));
    assert_eq!(stats.traffic.bytes_out, bytes + 12);
    // Of each client: the frames with 6, 8 or 14 bytes of header, and two pings. Of us: the 101,
    // the frames, two pongs.
    let headers = 3 * (3 * 6 + 2 * 8 + 2 * 14);
    assert_eq!(stats.traffic.wire_in, bytes + headers + 3 * (5 + 6 + 2 * 6));
    let handshake = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let written = bytes + 3 * (3 * 2 + 2 * 4 + 2 * 10) + 2 * (2 + 6) + 3 * (handshake.len() as u64 + 2 * 2);
    until("all is written", || broker.stats().traffic.wire_out == written);
    assert_eq!((stats.connections, stats.accepted, stats.opened, stats.closed), (3, 3, 3, 0));
    assert_eq!((stats.channels, stats.pending_upgrades, stats.rejected.total()), (1, 0, 0));

    // Ids go round the shards.
    let shards: Vec<_> = stats.shards.iter().map(|shard| (shard.connections, shard.traffic.messages_in)).collect();
    assert_eq!(shards, [(1, count / 3 + 1), (2, 2 * (count / 3 + 1))]);
    assert_eq!(stats.workers.len(), 1);
    until("all is handled", || broker.stats().workers[0].handled == count);
    let worker = broker.stats().workers[0];
    assert_eq!((worker.connections, worker.in_flight, worker.in_flight_bytes), (3, 0, 0));
}

/// Connections that end one after the other, each in its way.
struct Ends {
    broker: Broker,
    log: common::Log,
    last: u64,
    causes: Vec<CloseCause>,
}

impl Ends {
    /// One more connection ends like this. Its client goes away afterwards.
    fn one(&mut self, port: u16, causes: &[CloseCause], end: impl FnOnce(&Broker, SocketId, &mut Client)) {
        let mut client = Client::connect(port);
        self.last += 1;
        let (broker, log, last) = (&self.broker, &self.log, self.last);
        end(broker, id(last), &mut client);
        drop(client);
        let is_end = |(number, seen): &(u64, Seen)| *number == last && matches!(seen, Seen::Close(..));
        until("it is reported", || log.lock().iter().filter(|entry| is_end(entry)).count() == 1);
        self.causes.extend_from_slice(causes);
        until("it is counted", || broker.stats().closes.total() >= self.causes.len() as u64);
        let stats = broker.stats();
        for (cause, count) in stats.closes.iter() {
            let expected = self.causes.iter().filter(|one| **one == cause).count() as u64;
            assert_eq!(count, expected, "{cause:?} after {causes:?}");
        }
        assert_eq!((stats.opened, stats.closed, stats.connections), (last, last, 0));
    }
}

/// Sends to a client that does not read, until this holds.
fn flood(broker: &Broker, id: SocketId, holds: impl Fn() -> bool) {
    until("it ends", || {
        send(broker, id, &[b'x'; 50_000]);
        holds()
    });
}

#[test]
fn every_end_has_one_cause() {
    const QUICK: Duration = Duration::from_millis(200);
    let config = Config { io_threads: 1, max_send_memory: 4 << 20, max_receive_memory: 1 << 20, ..Config::default() };
    let broker = Broker::new(config).unwrap();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let limits = SocketLimits { close_timeout: DEADLINE, ..SocketLimits::default() };
    let (_plain, port) = listen(&broker, SocketLimits { max_payload: 10, ..limits.clone() });
    let (_roomy, roomy) =
        listen(&broker, SocketLimits { max_payload: 4 << 20, max_backpressure: 1 << 30, ..limits.clone() });
    let (_slow, slow) = listen(&broker, SocketLimits { max_backpressure: 100_000, ..limits.clone() });
    let (_idle, idle) = listen(&broker, SocketLimits { idle_timeout: Some(QUICK), pings: false, ..limits.clone() });
    let (_hasty, hasty) = listen(&broker, SocketLimits { close_timeout: QUICK, ..limits });
    let close = |broker: &Broker, id| broker.cork().close(id, CloseCode::NORMAL, "");
    let closed = Got::Close(Some(1000), String::new());
    let mut ends = Ends { broker, log, last: 0, causes: Vec::new() };

    ends.one(port, &[CloseCause::Peer], |_, _, client| client.close(1000, ""));
    ends.one(port, &[CloseCause::Lost], |_, _, _| {});
    ends.one(port, &[CloseCause::Protocol], |_, _, client| client.send_frame(true, Opcode::Continuation, b""));
    ends.one(port, &[CloseCause::InvalidPayload], |_, _, client| client.send(&[0xc0, 0x80]));
    ends.one(port, &[CloseCause::MaxPayload], |_, _, client| client.send(&[b'x'; 11]));
    ends.one(port, &[CloseCause::Terminated], |broker, id, client| {
        broker.cork().terminate(id);
        assert_eq!(client.next(), Got::End);
    });
    ends.one(port, &[CloseCause::Application], |broker, id, client| {
        close(broker, id);
        assert_eq!(client.next(), closed);
        // What it answers does not matter.
        client.close(1001, "mine");
        assert_eq!(client.next(), Got::End);
    });
    ends.one(port, &[CloseCause::Application], |broker, id, client| {
        close(broker, id);
        assert_eq!(client.next(), closed);
        // Nor that it goes.
    });
    ends.one(port, &[CloseCause::Application], |broker, id, client| {
        assert_eq!(broker.subscribe(&mut broker.cork(), id, b"room"), Ok(true));
        assert_eq!(broker.cork().close_channel(b"room", CloseCode::NORMAL, ""), 1);
        assert_eq!(client.next(), closed);
        client.send_frame(true, Opcode::Text, &[0xff]);
    });
    ends.one(hasty, &[CloseCause::Application, CloseCause::CloseTimeout], |broker, id, client| {
        close(broker, id);
        assert_eq!(client.next(), closed);
        assert_eq!(client.next(), Got::End);
    });
    ends.one(hasty, &[CloseCause::Peer, CloseCause::CloseTimeout], |broker, id, client| {
        flood(broker, id, || broker.buffered_amount(id) > 500_000);
        client.close(1000, "");
        until("it is cut", || broker.stats().closes.of(CloseCause::CloseTimeout) == 2);
    });
    ends.one(idle, &[CloseCause::IdleTimeout], |_, _, client| assert_eq!(client.next(), Got::End));
    ends.one(slow, &[CloseCause::MaxBackpressure], |broker, id, _| flood(broker, id, || !broker.is_open(id)));
    ends.one(roomy, &[CloseCause::MaxSendMemory], |broker, id, _| flood(broker, id, || !broker.is_open(id)));
    ends.one(roomy, &[CloseCause::MaxReceiveMemory], |_, _, client| {
        client.send_frame(false, Opcode::Binary, &[0; 2 << 20]);
        assert_eq!(client.next(), Got::Close(Some(1013), String::new()));
    });
    let seen: Vec<_> = ends.causes.iter().copied().map(usize::from).collect();
    let missing: Vec<_> = CloseCause::ALL.iter().filter(|cause| !seen.contains(&usize::from(**cause))).collect();
    assert_eq!(
        missing,
        [
            &CloseCause::Shutdown,
            &CloseCause::RateLimit,
            &CloseCause::MaxLifetime,
            &CloseCause::HistoryLost,
            &CloseCause::WorkerEnded,
            &CloseCause::BeforeOpen
        ]
    );
}

#[test]
fn the_peers_close_is_its_own_though_handlers_are_at_work() {
    let broker = broker(1);
    let (go, gate) = mpsc::channel::<()>();
    let _worker =
        TestWorker::new(&broker, Handlers::TEXT, Box::new(move |_, _, _| gate.recv_timeout(DEADLINE).unwrap()));
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let (mut first, mut second, mut neighbour) = (Client::connect(port), Client::connect(port), Client::connect(port));
    for client in [&mut first, &mut second] {
        client.send(b"busy");
        client.close(1000, "");
    }
    pass(&mut neighbour);
    broker.cork().terminate(id(1));
    broker.cork().close(id(2), CloseCode::NORMAL, "");
    until("both have ended", || broker.stats().closed == 2);
    assert_eq!(broker.stats().closes.of(CloseCause::Peer), 2);
    (0..2).for_each(|_| go.send(()).unwrap());
}

#[test]
fn a_connection_that_never_opened_is_told_apart() {
    let broker = broker(1);
    let queue = Arc::<Queue>::default();
    let handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let client = Client::request(port);
    until("it is asked", || queue.waiting() == 1);
    let stats = broker.stats();
    assert_eq!((stats.pending_upgrades, stats.accepted, stats.opened), (1, 1, 0));
    assert_eq!((stats.workers[0].id, stats.workers[0].in_flight, stats.workers[0].connections), (handle.id(), 1, 1));
    drop(client);
    until("its client is missed", || broker.stats().pending_upgrades == 0);
    for batch in queue.take() {
        for event in batch.events {
            let EventKind::Open(open) = event.kind else { panic!("{event:?}") };
            assert!(open.reply.accept(Accept::default()).is_err());
        }
    }
    until("its end is reported", || queue.waiting() == 1);
    let stats = broker.stats();
    assert_eq!(stats.closes.iter().find(|(_, count)| *count > 0), Some((CloseCause::BeforeOpen, 1)));
    assert_eq!((stats.closes.total(), stats.opened, stats.closed), (1, 0, 0));
}

#[test]
fn a_listener_and_a_broker_that_end_end_their_connections() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let (other, other_port) = listen(&broker, SocketLimits::default());
    let (mut one, _silent) = (Client::connect(other_port), Client::connect(port));
    let closing = {
        let broker = broker.clone();
        std::thread::spawn(move || {
            let runtime = broker.runtime().clone();
            runtime.block_on(other.close());
            assert_eq!(broker.stats().closes.of(CloseCause::Shutdown), 1);
            // The other does not answer, and is cut.
            runtime.block_on(broker.shutdown(CloseCode::GOING_AWAY, Duration::from_millis(100)));
            broker.stats()
        })
    };
    assert_eq!(one.next(), Got::Close(Some(1001), String::new()));
    one.close(1001, "");
    let stats = closing.join().unwrap();
    assert_eq!((stats.closes.of(CloseCause::Shutdown), stats.closes.total(), stats.closed), (2, 2, 2));
}

#[test]
fn what_is_dropped_is_counted_by_its_cause() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let limits = SocketLimits { max_backpressure: 500_000, overflow: Overflow::DropNewest, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let (_slow, mut neighbour) = (Client::connect(port), Client::connect(port));
    let dropped = |cause| broker.stats().dropped.of(cause);
    fill(&broker, id(1), 500_000, &mut neighbour);
    let before = broker.stats();
    assert_eq!(before.dropped.total(), 0);
    assert_eq!(before.shards[0].outbox_bytes, broker.buffered_amount(id(1)));
    assert_eq!(before.send_memory, before.shards[0].outbox_bytes, "the queue is empty");

    assert_eq!(send(&broker, id(1), b"x"), SendOutcome::Dropped);
    assert_eq!(dropped(DropCause::Newest), 1);
    broker.subscribe(&mut broker.cork(), id(1), b"room").unwrap();
    let mut cork = broker.cork();
    for _ in 0..3 {
        let staged = cork.stage_slice(MessageKind::Text, b"x");
        assert_eq!(cork.publish(b"room", staged, &[]), 1);
    }
    cork.flush();
    until("the shard has dropped them", || dropped(DropCause::Newest) == 4);
    assert_eq!(broker.stats().traffic.messages_out, before.traffic.messages_out, "what is dropped does not go out");

    assert_eq!(send(&broker, id(99), b"x"), SendOutcome::Dropped);
    broker.cork().close(id(1), CloseCode::NORMAL, "");
    assert_eq!(send(&broker, id(1), b"x"), SendOutcome::Dropped);
    assert_eq!(dropped(DropCause::Gone), 2);
}

/// Keeps its shard waiting with the first batch.
struct Staller {
    begun: Mutex<mpsc::Sender<()>>,
    gate: Mutex<mpsc::Receiver<()>>,
}

impl Worker for Staller {
    fn deliver(&self, _batch: Batch) -> Result<(), DeliverError> {
        self.begun.lock().send(()).unwrap();
        self.gate.lock().recv_timeout(DEADLINE).unwrap();
        Ok(())
    }
}

#[test]
fn what_waits_for_a_shard_is_told_and_what_finds_no_memory_is_counted() {
    let broker = Broker::new(Config { io_threads: 1, max_send_memory: 1 << 20, ..Config::default() }).unwrap();
    let ((begun, stalled), (go, gate)) = (mpsc::channel(), mpsc::channel());
    let staller = Arc::new(Staller { begun: Mutex::new(begun), gate: Mutex::new(gate) });
    let _handle = broker.add_worker(staller, Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() });
    let mut client = Client::connect(port);
    broker.subscribe(&mut broker.cork(), id(1), b"room").unwrap();
    pass(&mut client);
    client.send(b"stall");
    stalled.recv_timeout(DEADLINE).unwrap();
    assert_eq!(broker.stats().traffic.messages_in, 1, "counted when it is reported");

    assert_eq!(send(&broker, id(1), &[b'x'; 2 << 20]), SendOutcome::Queued);
    let stats = broker.stats();
    let commands = stats.shards[0].commands;
    assert_eq!(commands, 2, "where the bytes are, and the send");
    assert!((2 << 20..3 << 20).contains(&stats.command_bytes), "{}", stats.command_bytes);
    assert_eq!((stats.send_memory, stats.shards[0].command_bytes), (stats.command_bytes, stats.command_bytes));
    assert_eq!(send(&broker, id(1), b"x"), SendOutcome::Dropped);
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"x");
    assert_eq!(cork.publish(b"room", staged, &[]), 0);
    assert_eq!(broker.stats().dropped.of(DropCause::MaxSendMemory), 2);
    go.send(()).unwrap();
    assert_eq!(client.text().len(), 2 << 20);
    until("all is written", || broker.stats().send_memory == 0);
}

#[test]
fn what_is_published_is_counted_by_its_subscribers_on_any_thread() {
    let broker = broker(2);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(port)).collect();
    clients.iter_mut().for_each(pass);
    let mut cork = broker.cork();
    for (number, channel) in [(1, &b"one"[..]), (1, b"all"), (2, b"all"), (3, b"all")] {
        broker.subscribe(&mut cork, id(number), channel).unwrap();
    }
    assert_eq!(broker.stats().subscriptions, 4);
    let publish = |channel: &[u8]| {
        let mut cork = broker.cork();
        let staged = cork.stage_slice(MessageKind::Text, b"x");
        cork.publish(channel, staged, &[]);
    };
    publish(b"one");
    publish(b"nobody");
    std::thread::scope(|scope| _ = scope.spawn(|| (0..5).for_each(|_| publish(b"all"))));
    let staged = cork.stage_slice(MessageKind::Text, b"x");
    assert_eq!(cork.send_to_all(staged, &[]), 3);
    let fanout = broker.stats().histograms.fanout;
    let counted: Vec<_> = fanout.bounds.iter().copied().zip(fanout.buckets.iter().copied()).take(5).collect();
    assert_eq!(counted, [(0, 1), (1, 1), (2, 0), (5, 6), (10, 0)]);
    assert_eq!(fanout.sum, 1 + 5 * 3 + 3);
    broker.unsubscribe(&mut cork, id(2), b"all");
    drop(clients);
    until("all have left", || broker.stats().subscriptions == 0);
}

#[test]
fn what_a_connection_was_like_is_counted_at_its_end_and_its_pongs_when_they_come() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let limits = SocketLimits { ping_interval: Some(Duration::from_millis(200)), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let mut client = Client::connect(port);
    // One that nobody has asked for, and one that answers nothing of ours.
    client.send_frame(true, Opcode::Pong, b"");
    client.send_frame(true, Opcode::Pong, b"early");
    assert_eq!(client.next(), Got::Ping(Vec::new()));
    client.send_frame(true, Opcode::Pong, b"other");
    assert_eq!(broker.stats().histograms.ping_round_trip.count(), 0);
    let wait = Duration::from_millis(30);
    // Time itself is what is measured.
    std::thread::sleep(wait);
    client.send_frame(true, Opcode::Pong, b"");
    until("the pong is counted", || broker.stats().histograms.ping_round_trip.count() == 1);
    let trips = broker.stats().histograms.ping_round_trip;
    assert!(trips.sum >= wait.as_nanos() as u64, "{trips:?}");
    drop(client);
    until("it has ended", || !log.lock().is_empty());
    let ages = broker.stats().histograms.connection_age;
    assert_eq!(ages.count(), 1);
    // It was idle for one interval, less a tick.
    assert!(ages.sum >= 150_000_000, "{ages:?}");
    let turns = &broker.stats().shards[0].turns;
    assert!(turns.count() >= 4 && turns.sum < DEADLINE.as_nanos() as u64, "{turns:?}");
}
