//! What was sent before an orderly close arrives, however long it takes, but no client can hold it
//! for ever.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use wsbroker_core::{Broker, CloseCause, CloseCode, Handlers, ShutdownReport, SocketLimits};

use crate::{
    common::{Client, DEADLINE, Got, Log, Seen, TestWorker, fill, listen, listen_with, logging, until},
    kit::*,
    tls::{World, upgrade},
};

const CLOSE: Duration = Duration::from_millis(500);
/// More than all kernels on the way hold.
const COUNT: usize = 400;

fn limits() -> SocketLimits {
    SocketLimits { close_timeout: CLOSE, ..roomy() }
}

fn closed(broker: &Broker) {
    broker.cork().close(id(1), CloseCode::new(4000).unwrap(), "bye");
}

/// Reads all of it, five times as long as a closing may stand still, and answers the close frame.
fn drinks_all<S: Read + Write>(client: &mut Client<S>, code: u16, reason: &str) {
    let drunk = drink(client, COUNT, CLOSE * 5);
    assert_eq!(drunk.messages, COUNT, "{:?}", drunk.last);
    assert_eq!(drunk.last, Got::Close(Some(code), reason.into()));
    client.close(code, reason);
    assert_eq!(client.next(), Got::End);
}

fn told(broker: &Broker, log: &Log, code: u16, reason: &str) {
    until("it is reported", || !log.lock().is_empty());
    assert_eq!(*log.lock(), [(1, Seen::Close(code, reason.into()))]);
    assert_eq!(broker.stats().closes.of(CloseCause::CloseTimeout), 0);
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, limits());
    let mut client = connect_narrow(port);
    send(&broker, id(1), COUNT);
    closed(&broker);
    drinks_all(&mut client, 4000, "bye");
    told(&broker, &log, 4000, "bye");
}

#[test]
fn what_was_sent_before_a_close_arrives_over_tls() {
    let (broker, world) = (broker(), World::new());
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen_with(&broker, |config| {
        config.limits = limits();
        config.tls = Some(world.config());
    });
    let mut client = upgrade(rustls::StreamOwned::new(world.client().session(), narrow(port)));
    send(&broker, id(1), COUNT);
    closed(&broker);
    drinks_all(&mut client, 4000, "bye");
    told(&broker, &log, 4000, "bye");
}

#[test]
fn what_was_sent_before_its_listener_closes_arrives() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (listener, port) = listen(&broker, limits());
    let mut client = connect_narrow(port);
    send(&broker, id(1), COUNT);
    listener.stop();
    drinks_all(&mut client, 1001, "");
    told(&broker, &log, 1001, "");
}

fn shut_down(broker: &Broker, timeout: Duration) -> ShutdownReport {
    broker.runtime().clone().block_on(broker.shutdown(CloseCode::GOING_AWAY, timeout))
}

#[test]
fn what_was_sent_before_a_shutdown_arrives_within_its_timeout() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, limits());
    let mut client = connect_narrow(port);
    send(&broker, id(1), COUNT);
    let reader = std::thread::spawn(move || drinks_all(&mut client, 1001, ""));
    assert_eq!(shut_down(&broker, DEADLINE), ShutdownReport { closed: 1, terminated: 0 });
    reader.join().unwrap();
    told(&broker, &log, 1001, "");
}

/// A client that never comes to an end, but always moves, is cut by the shutdown's own timeout.
#[test]
fn a_shutdown_waits_no_longer_than_its_timeout_for_what_still_moves() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, limits());
    let mut client = connect_narrow(port);
    send(&broker, id(1), COUNT);
    let reader = std::thread::spawn(move || drink(&mut client, COUNT, CLOSE * 30));
    let (start, timeout) = (Instant::now(), CLOSE * 3);
    assert_eq!(shut_down(&broker, timeout), ShutdownReport { closed: 0, terminated: 1 });
    // Its last part is for the handlers of what is cut.
    assert!(start.elapsed() >= timeout * 3 / 4, "it moved until then");
    assert_eq!(*log.lock(), [(1, Seen::Close(1006, String::new()))]);
    drop(reader);
}

#[test]
fn replies_that_wait_when_the_peer_closes_arrive() {
    let broker = broker();
    let (told_end, end) = std::sync::mpsc::channel();
    let _worker = TestWorker::new(
        &broker,
        Handlers::TEXT | Handlers::CLOSE,
        Box::new(move |scope, id, seen| match seen {
            Seen::Text(_) => send(scope.broker, id, COUNT),
            seen => told_end.send(seen.clone()).unwrap(),
        }),
    );
    let (_listener, port) = listen(&broker, limits());
    let mut client = connect_narrow(port);
    client.send(b"all, please");
    client.close(1000, "thanks");
    let drunk = drink(&mut client, COUNT, CLOSE * 5);
    assert_eq!((drunk.messages, drunk.last), (COUNT, Got::Close(Some(1000), String::new())));
    assert_eq!(client.next(), Got::End);
    assert_eq!(end.recv_timeout(DEADLINE), Ok(Seen::Close(1000, "thanks".into())));
    assert_eq!(broker.stats().closes.of(CloseCause::CloseTimeout), 0);
}

#[test]
fn a_client_that_takes_nothing_is_cut_after_the_close_timeout() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, limits());
    let (_stands_still, mut neighbour) = (connect_narrow(port), Client::connect(port));
    fill(&broker, id(1), 1 << 20, &mut neighbour);
    let start = Instant::now();
    closed(&broker);
    until("it is cut", || !log.lock().is_empty());
    assert!(start.elapsed() >= CLOSE, "{:?}", start.elapsed());
    assert_eq!(*log.lock(), [(1, Seen::Close(1006, String::new()))]);
    let closes = broker.stats().closes;
    assert_eq!((closes.of(CloseCause::CloseTimeout), closes.of(CloseCause::Application)), (1, 1));
}

/// As long as it has not come to the close frame it has no reason to answer.
#[test]
fn a_client_that_has_taken_all_has_the_close_timeout_to_answer() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, limits());
    let mut client = connect_narrow(port);
    send(&broker, id(1), COUNT);
    closed(&broker);
    let drunk = drink(&mut client, COUNT, CLOSE * 3);
    assert_eq!((drunk.messages, drunk.last), (COUNT, Got::Close(Some(4000), "bye".into())));
    // What it sends is no answer.
    let start = Instant::now();
    while log.lock().is_empty() {
        assert!(start.elapsed() < DEADLINE, "it is cut in the end");
        let _ = client.stream.write_all(&[0x81, 0x80, 0, 0, 0, 0]);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(*log.lock(), [(1, Seen::Close(1006, String::new()))]);
    assert_eq!(broker.stats().closes.of(CloseCause::CloseTimeout), 1);
}

/// What a limit closes is not waited for, however fast it reads.
#[test]
fn a_failure_has_the_close_timeout_once() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, limits());
    let mut client = connect_narrow(port);
    send(&broker, id(1), COUNT);
    client.stream.write_all(&[0xff, 0x80, 0, 0, 0, 0]).unwrap();
    let drunk = drink(&mut client, COUNT, CLOSE * 12);
    assert!(drunk.messages < COUNT);
    assert_eq!(drunk.last, Got::End);
    until("it is reported", || !log.lock().is_empty());
    assert_eq!(*log.lock(), [(1, Seen::Close(1002, String::new()))]);
    assert_eq!(broker.stats().closes.of(CloseCause::CloseTimeout), 1);
}
