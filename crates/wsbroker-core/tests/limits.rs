//! What one socket may do, and for how long.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Client, DEADLINE, Got, Queue, Seen, listen, logging, until};
use wsbroker_core::{
    Accept, Broker, CloseCause, CloseCode, Config, DropCause, EventKind, Handlers, InFlight, MessageKind, Overflow,
    RateAction, RateLimit, SendOutcome, SocketId, SocketLimits, SubscribeError, Worker,
};
use wsbroker_proto::{Opcode, client};

/// A tick of a shard's clock: no timer is more exact.
const TICK: Duration = Duration::from_millis(50);

fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

fn limited(messages: Option<u32>, bytes: Option<u64>, burst: Option<u32>, action: RateAction) -> SocketLimits {
    SocketLimits { rate_limit: Some(RateLimit { messages, bytes, burst, action }), ..SocketLimits::default() }
}

/// Many frames in one write.
fn send_all(client: &mut Client, opcode: Opcode, count: usize) {
    let mut frames = Vec::new();
    for number in 0..count {
        client::write_frame(&mut frames, true, opcode, format!("{number:03}").as_bytes(), [5, 6, 7, 8]);
    }
    client.stream.write_all(&frames).unwrap();
}

fn texts(log: &common::Log) -> usize {
    log.lock().iter().filter(|(_, seen)| matches!(seen, Seen::Text(_))).count()
}

#[test]
fn above_its_rate_a_socket_is_slowed_down_and_loses_nothing() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, limited(Some(1000), None, Some(100), RateAction::Pause));
    let mut client = Client::connect(port);
    let start = Instant::now();
    send_all(&mut client, Opcode::Text, 900);
    until("all are heard", || texts(&log) == 900);
    // A hundred at once, the others one a millisecond. The shard's time is that of its turn's
    // beginning.
    let least = Duration::from_millis(800);
    assert!(start.elapsed() > least - TICK / 10, "{:?}", start.elapsed());
    assert!(start.elapsed() < least * 4, "{:?}", start.elapsed());
    for (number, (_, seen)) in log.lock().iter().enumerate() {
        assert_eq!(*seen, Seen::Text(format!("{number:03}").into()));
    }
    assert!(broker.stats().closes.total() == 0);
}

#[test]
fn above_its_rate_a_socket_is_closed_if_that_is_wanted() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, limited(Some(1), None, Some(5), RateAction::Close));
    let mut talks = Client::connect(port);
    send_all(&mut talks, Opcode::Text, 20);
    assert_eq!(talks.next(), Got::Close(Some(1008), String::new()));
    until("it is reported", || log.lock().len() == 6);
    assert_eq!((texts(&log), &log.lock()[5]), (5, &(1, Seen::Close(1008, String::new()))));
    for opcode in [Opcode::Ping, Opcode::Pong] {
        let mut pings = Client::connect(port);
        send_all(&mut pings, opcode, 6);
        let pongs = if opcode == Opcode::Ping { 5 } else { 0 };
        (0..pongs).for_each(|number| assert_eq!(pings.next(), Got::Pong(format!("{number:03}").into())));
        assert_eq!(pings.next(), Got::Close(Some(1008), String::new()));
    }
    until("it is counted", || broker.stats().closes.of(CloseCause::RateLimit) == 3);
}

#[test]
fn a_close_frame_is_seen_though_there_are_no_tokens() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, limited(None, Some(1), None, RateAction::Pause));
    let mut client = Client::connect(port);
    client.send(&[b'x'; 3600]);
    until("it is heard", || texts(&log) == 1);
    client.close(1000, "");
    assert_eq!(client.next(), Got::Close(Some(1000), String::new()));
}

#[test]
fn no_client_is_cut_for_silence_while_it_may_not_speak() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let limits = SocketLimits {
        idle_timeout: Some(TICK * 4),
        pings: false,
        ..limited(None, Some(1000), None, RateAction::Pause)
    };
    let (_listener, port) = listen(&broker, limits);
    let mut client = Client::connect(port);
    let start = Instant::now();
    client.send(&[b'x'; 1999]);
    client.send(b"later");
    until("both are heard", || texts(&log) == 2);
    assert!(start.elapsed() > TICK * 19, "{:?}", start.elapsed());
    // And then it is.
    assert_eq!(client.next(), Got::End);
}

#[test]
fn a_socket_that_has_lived_long_enough_is_closed() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let longest = TICK * 16;
    let limits = SocketLimits {
        max_lifetime: Some(longest),
        // Its timers do not get into each other's way.
        idle_timeout: Some(TICK * 8),
        ..SocketLimits::default()
    };
    let (_listener, port) = listen(&broker, limits);
    let start = Instant::now();
    let mut client = Client::connect(port);
    let mut pings = 0;
    loop {
        match client.next() {
            Got::Ping(_) => {
                client.send_frame(true, Opcode::Pong, b"");
                pings += 1;
            }
            got => {
                assert_eq!(got, Got::Close(Some(1012), String::new()));
                break;
            }
        }
    }
    assert!(start.elapsed() >= longest.mul_f64(0.9) - TICK, "{:?}", start.elapsed());
    assert!(pings > 0, "it was silent in between");
    client.close(1012, "");
    assert_eq!(client.next(), Got::End);
    until("it is reported", || log.lock().len() == 1);
    assert_eq!(*log.lock(), [(1, Seen::Close(1012, String::new()))]);
    let stats = broker.stats();
    assert_eq!((stats.closes.of(CloseCause::MaxLifetime), stats.closes.total()), (1, 1));
}

/// A worker that begins nothing, with no room left.
fn full(broker: &Broker, port: u16) -> (Arc<Queue>, wsbroker_core::WorkerHandle, Client) {
    let queue = Arc::<Queue>::default();
    let handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, Handlers::TEXT | Handlers::CLOSE);
    let mut client = Client::connect(port);
    client.send(&[b'x'; 1000]);
    until("it is full", || queue.waiting() == 1);
    (queue, handle, client)
}

fn narrow() -> Broker {
    let in_flight = InFlight { worker_bytes: 1000, ..InFlight::default() };
    Broker::new(Config { io_threads: 1, in_flight, ..Config::default() }).unwrap()
}

#[test]
fn what_a_message_costs_besides_its_bytes_counts_in_both_windows() {
    for in_flight in [
        InFlight { messages: 1000, bytes: 10 * 138, worker_bytes: 1 << 20 },
        InFlight { messages: 1000, bytes: 1 << 20, worker_bytes: 10 * 138 },
        InFlight { messages: 10, bytes: 1 << 20, worker_bytes: 1 << 20 },
    ] {
        let broker = Broker::new(Config { io_threads: 1, in_flight, ..Config::default() }).unwrap();
        let (_listener, port) = listen(&broker, SocketLimits::default());
        let queue = Arc::<Queue>::default();
        let handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, Handlers::TEXT);
        let (mut client, mut neighbour) = (Client::connect(port), Client::connect(port));
        // In one piece, so that they are read together.
        let mut frames = Vec::new();
        for _ in 0..30 {
            client::write_frame(&mut frames, true, Opcode::Text, &[b'x'; 10], [1, 2, 3, 4]);
        }
        client.stream.write_all(&frames).unwrap();
        for _ in 0..3 {
            until("there is no more room", || queue.waiting() >= 10);
            common::pass(&mut neighbour);
            assert_eq!(queue.waiting(), 10, "{in_flight:?}");
            let batches = queue.take();
            handle.settle(batches.iter().flat_map(|batch| &batch.events), None);
        }
    }
}

#[test]
fn a_worker_without_room_does_not_hold_up_control_frames() {
    let broker = narrow();
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let (queue, _handle, _first) = full(&broker, port);
    let (mut pings, mut waits) = (Client::connect(port), Client::connect(port));
    waits.send(b"no room");
    pings.send_frame(true, Opcode::Ping, b"1");
    assert_eq!(pings.next(), Got::Pong(b"1".to_vec()));
    pings.close(1000, "");
    assert_eq!(pings.next(), Got::Close(Some(1000), String::new()));
    until("its end is reported", || queue.waiting() == 2);
}

#[test]
fn a_peer_that_is_gone_is_missed_also_while_it_is_not_read() {
    let broker = narrow();
    let (_listener, port) = listen(&broker, SocketLimits { close_timeout: TICK * 4, ..SocketLimits::default() });
    let (queue, _handle, mut first) = full(&broker, port);
    let waits = {
        let mut client = Client::connect(port);
        client.send(b"no room");
        client
    };
    common::pass(&mut first);
    // Closed like this, a socket is reset.
    socket2::SockRef::from(&waits.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(waits);
    let start = Instant::now();
    until("its end is reported", || queue.waiting() == 2);
    assert!(start.elapsed() < DEADLINE / 4);
    assert_eq!(broker.stats().closes.of(CloseCause::Lost), 1);
}

fn bounded(max_channels_per_socket: Option<usize>, max_channel_name_length: Option<usize>) -> Broker {
    let config = Config { io_threads: 1, max_channels_per_socket, max_channel_name_length, ..Config::default() };
    Broker::new(config).unwrap()
}

const FULL: SubscribeError = SubscribeError::TooManyChannels { max: 3 };

#[test]
fn a_socket_is_in_so_many_channels_and_no_more() {
    let broker = bounded(Some(3), None);
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let _clients = [Client::connect(port), Client::connect(port)];
    let (id, other, mut cork) = (SocketId::new(1).unwrap(), SocketId::new(2).unwrap(), broker.cork());
    for (name, outcome) in [(b"a", Ok(true)), (b"b", Ok(true)), (b"c", Ok(true)), (b"c", Ok(false)), (b"d", Err(FULL))]
    {
        assert_eq!(broker.subscribe(&mut cork, id, name), outcome);
    }
    assert_eq!(broker.stats().channels, 3, "what is refused leaves nothing behind");
    assert!(broker.unsubscribe(&mut cork, id, b"a"));
    assert_eq!(broker.subscribe_many(&mut cork, id, &["d", "e"]), Err(FULL));
    assert_eq!(broker.subscriptions(id).len(), 2, "all or none");
    assert_eq!(broker.subscribe_many(&mut cork, id, &["b", "d", "d", "c"]), Ok(1), "what it is in takes no room");
    assert_eq!(broker.subscribe_many(&mut cork, SocketId::new(99).unwrap(), &["b"]), Ok(0));

    assert_eq!(broker.subscribe(&mut cork, other, b"b"), Ok(true));
    assert_eq!(broker.copy_subscriptions(&mut cork, b"b", b"new"), Err(FULL));
    assert_eq!(broker.subscribers(b"new"), [other], "the socket that has room is added all the same");
    assert_eq!(broker.copy_subscriptions(&mut cork, b"new", b"b"), Ok(0));
}

#[test]
fn a_name_has_so_many_bytes_and_no_more() {
    let broker = bounded(None, Some(4));
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let _client = Client::connect(port);
    let (id, mut cork) = (SocketId::new(1).unwrap(), broker.cork());
    let long = SubscribeError::NameTooLong { max: 4, length: 5 };
    assert_eq!(broker.subscribe(&mut cork, id, b"room"), Ok(true));
    assert_eq!(broker.subscribe(&mut cork, id, b"rooms"), Err(long));
    assert_eq!(broker.subscribe_many(&mut cork, id, &["a", "rooms"]), Err(long));
    assert_eq!(broker.copy_subscriptions(&mut cork, b"room", b"rooms"), Err(long));
    assert_eq!(broker.subscriptions(id), ["room"]);
    let gone = SocketId::new(99).unwrap();
    assert_eq!(
        broker.subscribe(&mut cork, gone, b"rooms"),
        Err(long),
        "the name is wrong although the socket has gone"
    );
}

#[test]
fn a_verdict_with_too_many_channels_lets_no_client_in() {
    let broker = bounded(Some(2), Some(4));
    let queue = Arc::<Queue>::default();
    let _handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let answer = |own: &[u8], channels: &[&'static str]| {
        let client = Client::request(port);
        until("it is asked", || queue.waiting() == 1);
        let event = queue.take().pop().unwrap().events.pop().unwrap();
        let EventKind::Open(open) = event.kind else { panic!("{event:?}") };
        broker.subscribe(&mut broker.cork(), event.socket.id(), own).unwrap();
        let channels = channels.iter().map(|name| (*name).into()).collect();
        (client, open.reply.accept(Accept { channels, ..Accept::default() }))
    };
    let (client, outcome) = answer(b"own", &["own", "a", "a"]);
    assert_eq!(outcome, Ok(()));
    let _client = client.expect("HTTP/1.1 101");
    let (client, outcome) = answer(b"own", &["a", "b"]);
    assert_eq!(outcome, Err(SubscribeError::TooManyChannels { max: 2 }.into()));
    client.expect("HTTP/1.1 500");
    let (client, outcome) = answer(b"own", &["rooms"]);
    assert_eq!(outcome, Err(SubscribeError::NameTooLong { max: 4, length: 5 }.into()));
    client.expect("HTTP/1.1 500");
    until("they are gone", || broker.subscriber_count(b"own") == 1);
    assert_eq!(broker.stats().closes.total(), 0);
}

/// Which messages reach a slow client.
fn slow(send: impl Fn(&Broker, SocketId, &[u8])) -> Vec<u32> {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::DRAIN);
    let limits = SocketLimits { max_backpressure: 300_000, overflow: Overflow::DropOldest, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let (mut slow, mut neighbour) = (Client::connect(port), Client::connect(port));
    let id = SocketId::new(1).unwrap();
    broker.subscribe(&mut broker.cork(), id, b"room").unwrap();
    let dropped = || broker.stats().dropped.of(DropCause::Oldest);
    let mut count = 0_u32;
    let mut message = vec![b'x'; 3000];
    while dropped() < 500 {
        for _ in 0..100 {
            message[..4].copy_from_slice(&count.to_be_bytes());
            send(&broker, id, &message);
            count += 1;
        }
        common::pass(&mut neighbour);
        assert!(broker.buffered_amount(id) < 300_000 + 3004, "{}", broker.buffered_amount(id));
    }
    let mut got: Vec<u32> = Vec::new();
    while got.last() != Some(&(count - 1)) {
        let Got::Binary(bytes) = slow.next() else { panic!("expected a message") };
        assert_eq!(bytes.len(), 3000);
        got.push(u32::from_be_bytes(bytes[..4].try_into().unwrap()));
    }
    until("there is room again", || log.lock().last() == Some(&(1, Seen::Drain)));
    let stats = broker.stats();
    assert_eq!((stats.closes.total(), stats.dropped.total()), (0, dropped()));
    assert_eq!(got.len() as u64 + dropped(), u64::from(count), "what did not come is counted");
    got
}

#[test]
fn with_drop_oldest_a_slow_socket_gets_the_newest() {
    let send = |broker: &Broker, id, message: &[u8]| {
        let mut cork = broker.cork();
        let staged = cork.stage_slice(MessageKind::Binary, message);
        assert_ne!(cork.send(id, staged), SendOutcome::Dropped);
    };
    let publish = |broker: &Broker, _, message: &[u8]| {
        let mut cork = broker.cork();
        let staged = cork.stage_slice(MessageKind::Binary, message);
        assert_eq!(cork.publish(b"room", staged, &[]), 1);
    };
    for got in [slow(send), slow(publish)] {
        assert!(got.is_sorted_by(|a, b| a < b));
        let newest = &got[got.len() - 300_000 / 3004..];
        assert!(newest.windows(2).all(|pair| pair[1] == pair[0] + 1), "as many as there is room for: {newest:?}");
    }
}

/// The close frame is promised when the connection is closing; memory has to be found elsewhere.
#[test]
fn a_closing_socket_keeps_its_close_frame_when_memory_is_used_up() {
    let broker = Broker::new(Config { io_threads: 1, max_send_memory: 2 << 20, ..Config::default() }).unwrap();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let limits = SocketLimits { max_backpressure: 1 << 30, close_timeout: DEADLINE, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let (mut closing, _other, mut neighbour) = (Client::connect(port), Client::connect(port), Client::connect(port));
    let (id, other_id) = (SocketId::new(1).unwrap(), SocketId::new(2).unwrap());
    common::fill(&broker, id, 1_300_000, &mut neighbour);
    broker.cork().close(id, CloseCode::NORMAL, "bye");
    common::pass(&mut neighbour);
    until("memory is used up", || {
        let mut cork = broker.cork();
        let staged = cork.stage_slice(MessageKind::Binary, &[b'x'; 50_000]);
        cork.send(other_id, staged);
        cork.flush();
        common::pass(&mut neighbour);
        !log.lock().is_empty()
    });
    assert_eq!(log.lock()[0].0, 1, "it had more waiting");
    let last = |client: &mut Client| loop {
        match client.next() {
            Got::Binary(_) => {}
            got => return got,
        }
    };
    assert_eq!(last(&mut closing), Got::Close(Some(1000), "bye".into()));
}

/// As with `close`: nothing that is sent afterwards counts as queued, and the call decides which
/// sockets are closed.
#[test]
fn closing_a_channel_ends_its_subscribers_at_the_call() {
    let broker = Broker::new(Config { io_threads: 2, ..Config::default() }).unwrap();
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(port)).collect();
    let id = |number| SocketId::new(number).unwrap();
    let (mut cork, mut other) = (broker.cork(), broker.cork());
    (1..=3).for_each(|number| assert_eq!(broker.subscribe(&mut cork, id(number), b"room"), Ok(true)));
    assert_eq!(cork.close_channel(b"room", CloseCode::NORMAL, "bye"), 3);
    assert!((1..=3).all(|number| !broker.is_open(id(number))));
    let staged = cork.stage_slice(MessageKind::Text, b"late");
    assert_eq!(cork.send(id(1), staged), SendOutcome::Dropped);
    assert!(broker.unsubscribe(&mut other, id(2), b"room"));
    assert_eq!(broker.subscribe(&mut other, id(4), b"room"), Ok(true));
    cork.flush();
    for client in &mut clients[..3] {
        assert_eq!(client.next(), Got::Close(Some(1000), "bye".into()));
    }
    common::pass(&mut clients[3]);
    assert!(broker.is_open(id(4)));
    assert_eq!(broker.stats().closes.total(), 0, "nobody has answered yet");
}
