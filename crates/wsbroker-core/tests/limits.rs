//! What one socket may do, and for how long.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Client, DEADLINE, Got, Queue, Seen, listen, logging, until};
use wsbroker_core::{Broker, CloseCause, Config, Handlers, InFlight, RateAction, RateLimit, SocketLimits, Worker};
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
    // A hundred at once, the others one a millisecond. The shard's time is that of its turn's beginning.
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
    until("it is told", || log.lock().len() == 6);
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
fn nobody_is_cut_for_silence_while_it_may_not_speak() {
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
    until("it is told", || log.lock().len() == 1);
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
    until("its end is told", || queue.waiting() == 2);
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
    until("its end is told", || queue.waiting() == 2);
    assert!(start.elapsed() < DEADLINE / 4);
    assert_eq!(broker.stats().closes.of(CloseCause::Lost), 1);
}
