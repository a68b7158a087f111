//! A connection on which bytes move is not silent; one that takes nothing and says nothing is.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use wsbroker_core::{Bind, Broker, CloseCause, Handlers, ListenerConfig, MessageKind, SocketLimits};
use wsbroker_proto::Opcode;

use crate::{
    common::{Client, Got, Seen, listen, listen_with, logging, until},
    kit::*,
    tls::{World, upgrade},
};

const IDLE: Duration = Duration::from_secs(1);
const COUNT: usize = 400;

/// Downloads for three times the idle timeout, and says nothing meanwhile.
fn downloads<S: Read + Write>(broker: &Broker, mut client: Client<S>) {
    send(broker, id(1), COUNT);
    let drunk = drink(&mut client, COUNT, IDLE * 3);
    assert_eq!((drunk.messages, drunk.last), (COUNT, Got::End), "and then it is silent");
    let before = drunk.first_ping.expect("nothing has come from it");
    assert!(before < COUNT - 50, "the ping has overtaken what waited: {before} messages came before it");
    assert_eq!(broker.stats().closes.of(CloseCause::IdleTimeout), 1);
}

fn downloading() -> SocketLimits {
    SocketLimits { idle_timeout: Some(IDLE), ..roomy() }
}

#[test]
fn a_client_that_downloads_is_not_silent() {
    let broker = broker();
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, downloading());
    downloads(&broker, connect_narrow(port));
}

#[test]
fn a_client_that_downloads_over_tls_is_not_silent() {
    let (broker, world) = (broker(), World::new());
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen_with(&broker, |config| {
        config.limits = downloading();
        config.tls = Some(world.config());
    });
    let client = upgrade(rustls::StreamOwned::new(world.client().session(), narrow(port)));
    downloads(&broker, client);
}

#[cfg(unix)]
#[test]
fn a_client_that_downloads_over_a_unix_socket_is_not_silent() {
    let folder = std::env::temp_dir().join(format!("wsbroker-clocks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ws.sock");
    let broker = broker();
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let config = ListenerConfig { limits: downloading(), ..ListenerConfig::new(Bind::Unix(path.clone())) };
    let listener = broker.runtime().block_on(broker.listen(config)).unwrap();
    listener.serve();
    downloads(&broker, upgrade(std::os::unix::net::UnixStream::connect(&path).unwrap()));
    drop(listener);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The kernel takes megabytes for a client that takes nothing.
#[test]
fn that_the_kernel_takes_bytes_is_no_sign_of_life() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, downloading());
    let _client = connect_narrow(port);
    // Its buffer is full with this.
    send(&broker, id(1), 8);
    let mut cork = broker.cork();
    until("it is cut", || {
        let staged = cork.stage_slice(MessageKind::Text, b"anyone there?");
        cork.send(id(1), staged);
        cork.flush();
        std::thread::sleep(Duration::from_millis(10));
        !log.lock().is_empty()
    });
    assert_eq!(*log.lock(), [(1, Seen::Close(1006, String::new()))]);
    assert_eq!(broker.stats().closes.of(CloseCause::IdleTimeout), 1);
}

/// Counts the pings that a client gets within this time while one side talks or both do.
fn pings(limits: SocketLimits, time: Duration, client_talks: bool, server_talks: bool) -> usize {
    let broker = broker();
    let (_worker, _log) = logging(&broker, Handlers::TEXT);
    let (_listener, port) = listen(&broker, limits);
    let mut client = Client::connect(port);
    let mut cork = broker.cork();
    let (start, mut pings) = (Instant::now(), 0);
    while start.elapsed() < time {
        if client_talks {
            client.send(b"from the client");
        }
        if server_talks {
            let staged = cork.stage_slice(MessageKind::Text, b"from the server");
            cork.send(id(1), staged);
            cork.flush();
        }
        while client.arrives(Duration::from_millis(10)) {
            match client.next() {
                Got::Ping(_) => {
                    client.send_frame(true, Opcode::Pong, b"");
                    pings += 1;
                }
                Got::Text(_) => break,
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
    assert_eq!(broker.connection_count(), 1);
    pings
}

fn every(interval: Duration) -> SocketLimits {
    SocketLimits { ping_interval: Some(interval), idle_timeout: None, ..SocketLimits::default() }
}

/// A proxy may wait for bytes of one side only.
#[test]
fn a_ping_comes_when_one_direction_is_silent() {
    let (interval, time) = (Duration::from_millis(200), Duration::from_millis(1500));
    for (client_talks, server_talks) in [(false, false), (true, false), (false, true)] {
        let pings = pings(every(interval), time, client_talks, server_talks);
        assert!((2..=7).contains(&pings), "{pings} pings, while {client_talks} and {server_talks}");
    }
}

#[test]
fn no_ping_comes_while_both_directions_move_or_none_is_wanted() {
    let time = Duration::from_millis(1500);
    assert_eq!(pings(every(Duration::from_millis(1000)), time, true, true), 0);
    let brief = every(Duration::from_millis(100));
    assert_eq!(pings(SocketLimits { ping_interval: None, ..brief.clone() }, time, false, false), 0);
    assert_eq!(pings(SocketLimits { pings: false, ..brief }, time, false, false), 0);
}
