//! Compressed messages that take long to inflate: others are served in between, and nothing else is
//! different.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Client, Got, Log, Seen, TestWorker, listen_with, logging, until};
use wsbroker_core::{Broker, CloseCause, CloseCode, Config, DeflateConfig, Handlers, Listener, SocketId, SocketLimits};
use wsbroker_proto::{Deflaters, Opcode, WindowBits};

const MAX: usize = 1 << 20;

struct World {
    broker: Broker,
    _worker: TestWorker,
    _listener: Listener,
    log: Log,
    port: u16,
}

fn world(config: Config, max_payload: usize) -> World {
    let broker = Broker::new(Config { io_threads: 1, ..config }).unwrap();
    let (worker, log) = logging(&broker, Handlers::ALL);
    let (listener, port) = listen_with(&broker, |config| {
        config.limits = SocketLimits { max_payload, ..SocketLimits::default() };
        config.deflate = Some(DeflateConfig::default());
    });
    World { broker, _worker: worker, _listener: listener, log, port }
}

impl World {
    fn client(&self) -> Client {
        Client::deflating(self.port, "permessage-deflate")
    }

    fn told(&self, count: usize) -> Vec<Seen> {
        until("it is reported", || self.log.lock().len() >= count);
        self.log.lock().drain(..).map(|(_, seen)| seen).collect()
    }

    fn nothing_is_held(&self) {
        until("nothing is held", || self.broker.stats().receive_memory == 0);
    }

    /// The end was the last, and its message is given up.
    fn nothing_comes_behind(&self) {
        self.nothing_is_held();
        let mut other = self.client();
        other.send(b"other");
        assert_eq!(self.told(1), [Seen::Text(b"other".to_vec())]);
        drop(other);
        assert_eq!(self.told(1), [Seen::Close(1006, String::new())]);
    }
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(Deflaters::new().deflate(message, WindowBits::MAX, 6, &mut out));
    out
}

/// Text that shrinks, with characters of one to four bytes, so that slices end within them.
fn text(len: usize) -> Vec<u8> {
    let mut text = String::new();
    for number in 0u64.. {
        text.push_str(&format!("{} é € 😀 ", number * 7919 % 104_729));
        if text.len() >= len {
            break;
        }
    }
    text.into_bytes()
}

/// A message of nothing: blocks that are empty and final, each of which takes longer than its two
/// bytes are worth.
fn tedious(len: usize) -> Vec<u8> {
    b"\x03\x00".repeat(len / 2)
}

#[test]
fn others_are_served_while_a_message_is_inflated() {
    let message = tedious(4 << 20);
    let world = world(Config::default(), 4 << 20);
    let (mut slow, mut neighbour) = (world.client(), world.client());
    slow.send_rsv1(true, Opcode::Binary, &message);
    let mut served = 0;
    while world.log.lock().is_empty() {
        let all_is_read = world.broker.stats().traffic.wire_in > message.len() as u64;
        neighbour.send_frame(true, Opcode::Ping, b"");
        assert_eq!(neighbour.next(), Got::Pong(Vec::new()));
        served += usize::from(all_is_read);
    }
    assert!(served > 10, "{served} times between reading and telling");
    assert_eq!(world.told(1), [Seen::Binary(Vec::new())]);
    world.nothing_is_held();
}

#[test]
fn what_comes_in_slices_is_whole_and_in_order() {
    let world = world(Config::default(), MAX);
    let mut client = world.client();
    let (large, bomb, short) = (text(MAX - 100), vec![7; MAX], text(1000));
    client.send_rsv1(true, Opcode::Text, &deflated(&large));
    client.send_frame(true, Opcode::Ping, b"1");
    client.send_rsv1(true, Opcode::Text, &deflated(&short));
    client.send_rsv1(true, Opcode::Binary, &deflated(&bomb));
    client.send(b"plain");
    // In fragments with a control frame between them.
    let compressed = deflated(&large);
    let (head, tail) = compressed.split_at(compressed.len() / 2);
    client.send_rsv1(false, Opcode::Text, head);
    client.send_frame(true, Opcode::Ping, b"2");
    client.send_frame(true, Opcode::Continuation, tail);
    client.close(1000, "bye");
    for expected in [Got::Pong(b"1".to_vec()), Got::Pong(b"2".to_vec()), Got::Close(Some(1000), String::new())] {
        assert_eq!(client.next(), expected);
    }
    let expected = [
        Seen::Text(large.clone()),
        Seen::Text(short),
        Seen::Binary(bomb),
        Seen::Text(b"plain".to_vec()),
        Seen::Text(large),
        Seen::Close(1000, "bye".into()),
    ];
    assert!(world.told(expected.len()) == expected, "in order and whole");
    world.nothing_is_held();
}

#[test]
fn many_messages_in_slices_do_not_mix() {
    let world = world(Config::default(), MAX);
    let mut clients: Vec<_> = (0..8).map(|_| world.client()).collect();
    let messages: Vec<_> = (0..8).map(|number| text(600_000 + number * 50_000)).collect();
    for (client, message) in clients.iter_mut().zip(&messages) {
        client.send_rsv1(true, Opcode::Text, &deflated(message));
    }
    let mut seen = world.told(8);
    seen.sort_by_key(|seen| if let Seen::Text(text) = seen { text.len() } else { 0 });
    assert!(seen == messages.iter().cloned().map(Seen::Text).collect::<Vec<_>>());
    world.nothing_is_held();
}

#[test]
fn what_fails_in_a_later_slice_ends_the_connection_with_its_code() {
    let world = world(Config::default(), MAX);
    let good = text(MAX - 1000);
    let compressed = deflated(&good);
    let mut bad_end = good.clone();
    bad_end.push(0xff);
    let mut cut_end = good.clone();
    cut_end.extend_from_slice(&"😀".as_bytes()[..3]);
    let corrupt = [&compressed[..compressed.len() / 2], &[0xff; 100]].concat();
    for (message, code) in [
        (deflated(&bad_end), 1007),
        (deflated(&cut_end), 1007),
        (corrupt, 1007),
        (compressed[..compressed.len() - 10].to_vec(), 1007),
        (deflated(&vec![b'x'; MAX + 1]), 1009),
    ] {
        let mut client = world.client();
        client.send_rsv1(true, Opcode::Text, &message);
        client.send(b"behind");
        assert_eq!(client.next(), Got::Close(Some(code), String::new()));
        assert_eq!(world.told(1), [Seen::Close(code, String::new())]);
        world.nothing_comes_behind();
    }
    // One byte less is a message.
    let mut client = world.client();
    client.send_rsv1(true, Opcode::Text, &deflated(&vec![b'x'; MAX]));
    assert!(world.told(1) == [Seen::Text(vec![b'x'; MAX])]);
}

#[test]
fn a_client_that_is_closed_meanwhile_is_not_heard_any_more() {
    let message = tedious(4 << 20);
    let world = world(Config::default(), 4 << 20);
    let mut client = world.client();
    client.send_rsv1(true, Opcode::Binary, &message);
    client.close(4001, "");
    until("it is at work", || world.broker.stats().traffic.wire_in > message.len() as u64);
    world.broker.cork().close(SocketId::new(1).unwrap(), CloseCode::GOING_AWAY, "");
    assert_eq!(client.next(), Got::Close(Some(1001), String::new()));
    // Its close frame, which came behind the message, ends the handshake.
    assert_eq!(client.next(), Got::End);
    assert_eq!(world.told(1), [Seen::Close(4001, String::new())]);
    world.nothing_comes_behind();
}

#[test]
fn a_client_that_is_gone_meanwhile_leaves_nothing_behind() {
    let world = world(Config::default(), 4 << 20);
    let message = tedious(1 << 20);
    let mut client = world.client();
    client.send_rsv1(true, Opcode::Binary, &message);
    drop(client);
    until("its end is reported", || matches!(world.log.lock().last(), Some((_, Seen::Close(1006, _)))));
    world.nothing_is_held();
}

#[test]
fn what_is_being_inflated_counts_as_receive_memory() {
    let world = world(Config { max_receive_memory: 1 << 20, ..Config::default() }, 64 << 20);
    let mut client = world.client();
    // Of 64 KiB that came, 48 MiB are made.
    client.send_rsv1(true, Opcode::Binary, &deflated(&vec![0; 48 << 20]));
    assert_eq!(client.next(), Got::Close(Some(1013), String::new()));
    assert_eq!(world.told(1), [Seen::Close(1013, String::new())]);
    assert_eq!(world.broker.stats().closes.of(CloseCause::MaxReceiveMemory), 1);
    world.nothing_comes_behind();
}
