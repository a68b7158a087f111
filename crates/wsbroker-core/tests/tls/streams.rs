//! Encrypted connections in their shards: both directions, at their limits, and to their end.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use rustls::ProtocolVersion;
use wsbroker_core::{CloseCause, CloseCode, Handlers, MessageKind, SocketId, SocketLimits};
use wsbroker_proto::{Opcode, client};

use crate::{
    common::{Got, Seen, TestWorker, fill, logging, pass, until},
    forger::Forger,
    kit::{BOTH, ClientSetup, V12, V13, World, broker, echo, limited, loopback, serve, tcp, upgrade},
};

fn id(number: u64) -> SocketId {
    SocketId::new(number).unwrap()
}

#[test]
fn messages_of_every_size_come_back_in_order() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let limits = SocketLimits { max_payload: 8 << 20, max_backpressure: 16 << 20, ..SocketLimits::default() };
    let (_listener, port) = limited(&broker, world.config(), limits);
    for versions in [V12, V13] {
        let mut client = ClientSetup { versions, ..world.client() }.connect(port);
        for size in [0, 1, 125, 126, 4096, 16_383, 16_384, 16_385, 32_769, 65_536, 200_000, 1 << 20, 4 << 20] {
            let bytes: Vec<u8> = (0..size).map(|at| b'a' + (at % 26) as u8).collect();
            client.send(&bytes);
            client.send_frame(true, Opcode::Binary, &bytes);
            assert!(client.next() == Got::Text(bytes.clone()), "{size}");
            assert!(client.next() == Got::Binary(bytes), "{size}");
        }
        client.send_frame(true, Opcode::Ping, b"hi");
        assert_eq!(client.next(), Got::Pong(b"hi".to_vec()));
    }
}

#[test]
fn many_messages_both_ways_at_once_arrive_in_order() {
    const COUNT: usize = 2000;
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let limits = SocketLimits { max_backpressure: 64 << 20, ..SocketLimits::default() };
    let (_listener, port) = limited(&broker, world.config(), limits);
    let message = |number: usize| format!("{number} {}", "x".repeat(number * 7 % 3000)).into_bytes();
    let mut client = world.client().connect(port);
    let mut received = 0;
    let mut frames = Vec::new();
    for number in 0..COUNT {
        client::write_frame(&mut frames, true, Opcode::Text, &message(number), [1, 2, 3, 4]);
        if number % 100 == 99 {
            client.stream.write_all(&frames).unwrap();
            frames.clear();
            // Half of what is under way stays so.
            while received < number / 2 {
                assert_eq!(client.next(), Got::Text(message(received)));
                received += 1;
            }
        }
    }
    while received < COUNT {
        assert_eq!(client.next(), Got::Text(message(received)));
        received += 1;
    }
}

#[test]
fn a_peer_that_never_reads_is_held_to_its_limit() {
    let (broker, world) = (broker(), World::new());
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let limits = SocketLimits { max_backpressure: 300_000, ..SocketLimits::default() };
    let (_listener, port) = limited(&broker, world.config(), limits);
    let (_plain, neighbours) = serve(&broker, wsbroker_core::ListenerConfig { tls: None, ..loopback(world.config()) });
    let mut neighbour = crate::common::Client::connect(neighbours);
    for versions in [V12, V13] {
        let mut slow = ClientSetup { versions, ..world.client() }.connect(port);
        let number = id(broker.last_id());
        fill(&broker, number, 200_000, &mut neighbour);
        assert!(broker.stats().send_memory >= 200_000);
        let mut cork = broker.cork();
        until("it is too much", || {
            let staged = cork.stage_slice(MessageKind::Binary, &[b'x'; 50_000]);
            cork.send(number, staged);
            cork.flush();
            !broker.is_open(number)
        });
        until("it is reported", || log.lock().last() == Some(&(number.get(), Seen::Close(1013, "too slow".into()))));
        // What was dropped is free; what was encrypted cannot be taken back, nor a frame that was
        // begun.
        until("memory is free", || broker.stats().send_memory < 50_000 + 33_000);
        let end = loop {
            match slow.next() {
                Got::Binary(bytes) => assert_eq!(bytes.len(), 50_000),
                other => break other,
            }
        };
        assert_eq!(end, Got::Close(Some(1013), "too slow".into()));
        slow.close(1013, "");
        assert_eq!(slow.stream.read(&mut [0]).unwrap(), 0, "with a close_notify");
    }
    assert_eq!(broker.stats().closes.of(CloseCause::MaxBackpressure), 2);
    until("nothing is left", || broker.stats().send_memory == 0);
}

#[test]
fn what_a_slow_peer_has_not_read_is_counted_and_arrives_later() {
    let (broker, world) = (broker(), World::new());
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let limits = SocketLimits { max_backpressure: 4 << 20, ..SocketLimits::default() };
    let (_listener, port) = limited(&broker, world.config(), limits);
    let (_plain, neighbours) = serve(&broker, wsbroker_core::ListenerConfig { tls: None, ..loopback(world.config()) });
    let mut neighbour = crate::common::Client::connect(neighbours);
    let mut slow = world.client().connect(port);
    let number = id(broker.last_id());
    fill(&broker, number, 1 << 20, &mut neighbour);
    let mut cork = broker.cork();
    let last = cork.stage_slice(MessageKind::Text, b"last");
    cork.send(number, last);
    cork.flush();
    loop {
        match slow.next() {
            Got::Binary(bytes) => assert_eq!(bytes.len(), 50_000),
            other => break assert_eq!(other, Got::Text(b"last".to_vec())),
        }
    }
    until("all is gone", || broker.buffered_amount(number) == 0 && broker.stats().send_memory == 0);
}

#[test]
fn the_close_handshake_ends_with_a_close_notify() {
    let (broker, world) = (broker(), World::new());
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    for versions in [V12, V13] {
        let setup = ClientSetup { versions, ..world.client() };
        // The peer's.
        let mut client = setup.connect(port);
        client.close(4001, "bye");
        assert_eq!(client.next(), Got::Close(Some(4001), String::new()));
        // Without a close_notify this would be an error.
        assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
        until("it is reported", || log.lock().pop() == Some((broker.last_id(), Seen::Close(4001, "bye".into()))));
        // Ours.
        let mut client = setup.connect(port);
        let mut cork = broker.cork();
        cork.close(id(broker.last_id()), CloseCode::new(4000).unwrap(), "enough");
        cork.flush();
        assert_eq!(client.next(), Got::Close(Some(4000), "enough".into()));
        client.close(4000, "");
        assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
        until("it is reported", || log.lock().pop() == Some((broker.last_id(), Seen::Close(4000, String::new()))));
        until("it is over", || broker.connection_count() == 0);
    }
}

#[test]
fn an_end_without_a_close_frame_is_1006_however_it_comes() {
    let (broker, world) = (broker(), World::new());
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    for versions in [V12, V13] {
        for way in 0..4 {
            let mut client = ClientSetup { versions, ..world.client() }.connect(port);
            let number = broker.last_id();
            match way {
                // A close_notify, and the socket stays open.
                0 => {
                    client.stream.conn.send_close_notify();
                    client.stream.flush().unwrap();
                }
                1 => client.stream.sock.shutdown(Shutdown::Write).unwrap(),
                2 => {
                    let socket = socket2::SockRef::from(&client.stream.sock);
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                    drop(client);
                }
                // In the middle of a record.
                _ => {
                    client.stream.sock.write_all(&[23, 3, 3, 0, 100, 1, 2, 3]).unwrap();
                    drop(client);
                }
            }
            until("it is reported", || log.lock().pop() == Some((number, Seen::Close(1006, String::new()))));
        }
    }
    until("they are over", || broker.connection_count() == 0);
}

#[test]
fn what_was_tampered_with_ends_that_connection_with_an_alert() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let mut other = world.client().connect(port);
    for versions in [V12, V13] {
        for record in [
            &b"\x17\x03\x03\x00\x20abcdefghijklmnopqrstuvwxyz012345"[..],
            b"\x16\x03\x03\x00\x20abcdefghijklmnopqrstuvwxyz012345",
            b"\x17\x03\x03\xff\xff",
            b"\xff\xff\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            let mut client = ClientSetup { versions, ..world.client() }.connect(port);
            client.send(b"before");
            assert_eq!(client.next(), Got::Text(b"before".to_vec()));
            // In one write with a good one, which is still answered or not, as it happens.
            client.stream.sock.write_all(record).unwrap();
            let error = loop {
                match client.stream.read(&mut [0; 100]) {
                    Ok(0) => panic!("a clean end"),
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains("AlertReceived") || error.to_string().contains("alert"), "{error}");
            other.send(b"hi");
            assert_eq!(other.next(), Got::Text(b"hi".to_vec()));
        }
    }
    until("they are over", || broker.connection_count() == 1);
    assert_eq!(broker.stats().closes.of(CloseCause::Lost), 10);
}

#[test]
fn new_keys_are_agreed_on_while_messages_flow() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let mut client = ClientSetup { versions: V13, ..world.client() }.connect(port);
    for round in 0..200 {
        let text = vec![b'a' + round % 26; usize::from(round) * 100];
        client.stream.conn.refresh_traffic_keys().unwrap();
        client.send(&text);
        assert_eq!(client.next(), Got::Text(text));
    }
    // Nothing but new keys is an attack.
    let other = ClientSetup { versions: V13, ..world.client() }.connect(port);
    let mut other = other.stream;
    until("it is cut", || {
        let _ = other.conn.refresh_traffic_keys();
        other.flush().is_err() || broker.connection_count() == 1
    });
    client.send(b"still here");
    assert_eq!(client.next(), Got::Text(b"still here".to_vec()));
}

/// What it is, whether the connection stays, and the records: their kinds and what is in them.
type Case<'a> = (&'a str, bool, &'a [(u8, &'a [u8])]);

/// Forged by a peer that has the keys: well encrypted, and wrong.
#[test]
fn records_that_no_client_sends_harm_no_other() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let mut other = world.client().connect(port);
    let mut frame = Vec::new();
    client::write_frame(&mut frame, true, Opcode::Text, b"hi", [1, 2, 3, 4]);
    let cases: &[Case<'_>] = &[
        // Half a message of the handshake, and then nothing: we may still write.
        ("half a key update after data", true, &[(23, &frame), (22, &[24, 0, 0])]),
        ("the first byte of a key update", true, &[(22, &[24])]),
        ("a key update in pieces", true, &[(22, &[24]), (22, &[0]), (22, &[0, 1]), (22, &[1])]),
        ("the beginning of a long message", true, &[(22, &[24, 0, 0xff, 0, 1, 2, 3])]),
        ("too long a message", false, &[(22, &[24, 0xff, 0xff, 0xff])]),
        ("data within a message", false, &[(22, &[24, 0]), (23, &frame)]),
        ("two key updates in one record", false, &[(22, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0])]),
        ("a hello", false, &[(22, &[1, 0, 0, 0])]),
        ("a finished", false, &[(22, &[20, 0, 0, 1, 0])]),
        ("an unknown message", false, &[(22, &[99, 0, 0, 0])]),
        ("an empty record of the handshake", true, &[(22, &[])]),
        ("an alert of one byte", false, &[(21, &[1])]),
        ("a fatal alert", false, &[(21, &[2, 80])]),
        ("a close_notify and more", false, &[(21, &[1, 0]), (23, &frame), (22, &[24])]),
        ("a change of ciphers", false, &[(20, &[1])]),
        ("an unknown kind", false, &[(99, &[1, 2, 3])]),
        ("too much in a record", false, &[(23, &[0; 16_385])]),
    ];
    for (what, stays, records) in cases {
        let mut forger = Forger::connect(&world, port);
        let number = id(broker.last_id());
        for (kind, payload) in *records {
            forger.try_send(*kind, payload);
        }
        // Both directions once more.
        let mut cork = broker.cork();
        let staged = cork.stage_slice(MessageKind::Text, b"from us");
        cork.send(number, staged);
        cork.flush();
        other.send(b"hi");
        assert_eq!(other.next(), Got::Text(b"hi".to_vec()), "{what}");
        if *stays {
            let staged = cork.stage_slice(MessageKind::Text, b"from us again");
            cork.send(number, staged);
            cork.flush();
            other.send(b"hi");
            assert_eq!(other.next(), Got::Text(b"hi".to_vec()), "{what}");
            assert!(broker.is_open(number), "{what}");
            drop(forger);
        } else {
            until(what, || !broker.is_open(number));
        }
        until(what, || broker.connection_count() == 1);
    }
    for (what, kind, payload) in
        [("empty records", 23, &[][..]), ("key updates", 22, &[24, 0, 0, 1, 0]), ("warnings", 21, &[1, 90])]
    {
        let mut forger = Forger::connect(&world, port);
        until(what, || {
            forger.try_send(kind, payload);
            broker.connection_count() == 1
        });
    }
    other.send(b"hi");
    assert_eq!(other.next(), Got::Text(b"hi".to_vec()));
}

#[test]
fn a_record_that_is_not_complete_is_counted() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let mut client = world.client().connect(port);
    until("nothing is held", || broker.stats().receive_memory == 0);
    let mut record = vec![23, 3, 3, 0x40, 0x11];
    record.resize(10_000, 0);
    client.stream.sock.write_all(&record).unwrap();
    until("it is held", || broker.stats().receive_memory >= 10_000);
    assert!(broker.stats().receive_memory < 30_000);
    drop(client);
    until("nothing is held", || broker.stats().receive_memory == 0);
}

/// What is in a record can be read when it is whole; but its bytes show that the peer is alive.
#[test]
fn a_peer_whose_record_comes_slowly_is_not_silent() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let limits = SocketLimits { idle_timeout: Some(Duration::from_secs(3)), ..SocketLimits::default() };
    let (_listener, port) = limited(&broker, world.config(), limits);
    let mut client = world.client().connect(port);
    let (mut frame, mut record) = (Vec::new(), Vec::new());
    client::write_frame(&mut frame, true, Opcode::Text, b"slowly", [1, 2, 3, 4]);
    client.stream.conn.writer().write_all(&frame).unwrap();
    client.stream.conn.write_tls(&mut record).unwrap();
    let (begun, rest) = record.split_at(2);
    for byte in begun {
        // After half of the time in silence. If nothing came by then, the other half would be the
        // end.
        assert_eq!(client.next(), Got::Ping(Vec::new()));
        client.stream.sock.write_all(&[*byte]).unwrap();
    }
    client.stream.sock.write_all(rest).unwrap();
    assert_eq!(client.next(), Got::Text(b"slowly".to_vec()));
}

/// Remembers the lengths of the records that came.
struct Records {
    socket: TcpStream,
    raw: Vec<u8>,
}

impl Read for Records {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.socket.read(buffer)?;
        self.raw.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

impl Write for Records {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lengths of what is copied together, what is not, and what is longer than all that is encrypted
/// at a time.
fn together() -> impl Iterator<Item = usize> {
    [100; 200].into_iter().chain([5000; 20]).chain([10, 5000, 10, 70_000])
}

#[test]
fn what_is_sent_together_lies_in_full_records() {
    let (broker, world) = (broker(), World::new());
    let _worker = TestWorker::new(
        &broker,
        Handlers::TEXT,
        Box::new(|scope, id, _| {
            for length in together() {
                let staged = scope.cork.stage_slice(MessageKind::Binary, &vec![b'x'; length]);
                scope.cork.send(id, staged);
            }
        }),
    );
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let records = Records { socket: tcp(port), raw: Vec::new() };
    let mut client = upgrade(rustls::StreamOwned::new(world.client().session(), records));
    assert_eq!(client.stream.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    client.stream.sock.raw.clear();
    client.send(b"go");
    for length in together() {
        assert_eq!(client.next(), Got::Binary(vec![b'x'; length]));
    }
    let (mut at, mut lengths, raw) = (0, Vec::new(), &client.stream.sock.raw);
    while let Some(&[23, 3, 3, high, low]) = raw.get(at..at + 5) {
        lengths.push(usize::from(high) << 8 | usize::from(low));
        at += 5 + lengths.last().unwrap();
    }
    assert_eq!(at, raw.len());
    // 196,000 bytes: 12 records, and some more where a turn ends.
    assert!(lengths.len() <= 16, "{lengths:?}");
}

#[test]
fn a_publish_reaches_every_encrypted_subscriber_once_and_in_order() {
    const CLIENTS: usize = 100;
    const MESSAGES: usize = 200;
    let (broker, world) = (broker(), World::new());
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| ClientSetup { versions: [V12, V13, BOTH][number % 3], ..world.client() }.connect(port))
        .collect();
    let mut cork = broker.cork();
    for number in 1..=broker.last_id() {
        assert_eq!(broker.subscribe(&mut cork, id(number), b"all"), Ok(true));
    }
    let message = |number: usize| format!("{number} {}", "y".repeat(number * 37 % 900)).into_bytes();
    for number in 0..MESSAGES {
        let staged = cork.stage_slice(MessageKind::Text, &message(number));
        assert_eq!(cork.publish(b"all", staged, &[]), CLIENTS);
        if number % 7 == 0 {
            cork.flush();
        }
    }
    cork.flush();
    for client in &mut clients {
        for number in 0..MESSAGES {
            assert_eq!(client.next(), Got::Text(message(number)));
        }
        client.send_frame(true, Opcode::Ping, b"end");
        assert_eq!(client.next(), Got::Pong(b"end".to_vec()), "and nothing else");
    }
}

#[test]
fn a_shutdown_closes_encrypted_connections_in_order() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let clients: Vec<_> = (0..10).map(|_| world.client().connect(port)).collect();
    // And one that has not got so far.
    let mut waiting = tcp(port);
    waiting.write_all(&[22, 3, 1]).unwrap();
    let readers: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            std::thread::spawn(move || {
                assert_eq!(client.next(), Got::Close(Some(1001), String::new()));
                client.close(1001, "");
                assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
            })
        })
        .collect();
    let report = broker.runtime().clone().block_on(broker.shutdown(CloseCode::GOING_AWAY, crate::common::DEADLINE));
    assert_eq!((report.closed, report.terminated), (10, 0));
    for reader in readers {
        reader.join().unwrap();
    }
    match waiting.read(&mut [0; 10]) {
        Ok(0) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        Ok(_) => panic!("an answer to nothing"),
    }
}

#[test]
fn a_peer_that_reads_only_later_still_gets_the_close_notify() {
    let (broker, world) = (broker(), World::new());
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let limits = SocketLimits { max_backpressure: 8 << 20, ..SocketLimits::default() };
    let (_listener, port) = limited(&broker, world.config(), limits);
    let (_plain, neighbours) = serve(&broker, wsbroker_core::ListenerConfig { tls: None, ..loopback(world.config()) });
    let mut neighbour = crate::common::Client::connect(neighbours);
    let mut slow = world.client().connect(port);
    let number = id(broker.last_id());
    fill(&broker, number, 100_000, &mut neighbour);
    slow.close(1000, "");
    until("it is reported", || !broker.is_open(number));
    let end = loop {
        match slow.next() {
            Got::Binary(_) => {}
            other => break other,
        }
    };
    assert_eq!(end, Got::Close(Some(1000), String::new()));
    assert_eq!(slow.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn records_may_be_as_small_as_they_can() {
    let (broker, world) = (broker(), World::new());
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let mut forger = Forger::connect(&world, port);
    let mut frame = Vec::new();
    client::write_frame(&mut frame, true, Opcode::Text, b"forged", [1, 2, 3, 4]);
    for byte in frame {
        forger.send(23, &[byte]);
    }
    until("it is read", || log.lock().pop() == Some((broker.last_id(), Seen::Text(b"forged".to_vec()))));
}

#[test]
fn what_only_the_stream_holds_is_written_when_there_is_room() {
    let (broker, world) = (broker(), World::new());
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let (_plain, neighbours) = serve(&broker, wsbroker_core::ListenerConfig { tls: None, ..loopback(world.config()) });
    let mut neighbour = crate::common::Client::connect(neighbours);
    let mut slow = world.client().connect(port);
    let number = id(broker.last_id());
    let (mut cork, mut sent) = (broker.cork(), 0);
    // Each is encrypted whole, until the kernel does not take all of one.
    while broker.buffered_amount(number) == 0 {
        let staged = cork.stage_slice(MessageKind::Binary, &[b'x'; 30_000]);
        cork.send(number, staged);
        cork.flush();
        sent += 1;
        pass(&mut neighbour);
    }
    // A whole frame would be one that waits in the outbox, behind what was not counted.
    assert_ne!(broker.buffered_amount(number), 30_004);
    for _ in 0..sent {
        assert_eq!(slow.next(), Got::Binary(vec![b'x'; 30_000]));
    }
    until("all is gone", || broker.buffered_amount(number) == 0 && broker.stats().send_memory == 0);
}

#[test]
fn an_end_right_behind_a_message_is_not_missed() {
    let (broker, world) = (broker(), World::new());
    // One that writes nothing.
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = serve(&broker, loopback(world.config()));
    let mut frame = Vec::new();
    client::write_frame(&mut frame, true, Opcode::Text, b"hi", [1, 2, 3, 4]);
    for (kind, payload) in [(21, [1, 0]), (21, [2, 80]), (99, [1, 2])] {
        let mut forger = Forger::connect(&world, port);
        forger.send_all(&[(23, &frame), (kind, &payload)]);
        until("both are reported", || log.lock().len() == 2);
        let seen: Vec<_> = log.lock().drain(..).map(|(_, seen)| seen).collect();
        assert_eq!(seen, [Seen::Text(b"hi".to_vec()), Seen::Close(1006, String::new())], "{kind}");
        until("it is over", || broker.connection_count() == 0);
    }
}
