//! What a shard makes of bytes, and of their absence, in places that are seldom reached.

#![allow(clippy::unwrap_used)]

mod common;

use std::{io::Write, sync::Arc, time::Duration};

use common::{Client, Got, Queue, Seen, listen, logging, until};
use wsbroker_core::{Broker, CloseCause, Config, Handlers, InFlight, SocketLimits, Worker};
use wsbroker_proto::{Opcode, client};

fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

/// What was read, and waits for room, is memory like any other.
#[test]
fn what_was_read_and_not_taken_counts_as_receive_memory() {
    let in_flight = InFlight { messages: 1, ..InFlight::default() };
    let broker = Broker::new(Config { io_threads: 1, in_flight, ..Config::default() }).unwrap();
    let queue = Arc::<Queue>::default();
    let handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    let mut frames = Vec::new();
    for _ in 0..40 {
        client::write_frame(&mut frames, true, Opcode::Text, &[b'x'; 1000], [1, 2, 3, 4]);
    }
    client.stream.write_all(&frames).unwrap();
    // No more than one of them is held as a message.
    until("the rest is counted", || broker.stats().receive_memory > 20_000);
    let mut settled = 0;
    until("all are taken", || {
        let batches = queue.take();
        settled += batches.iter().map(|batch| batch.events.len()).sum::<usize>();
        handle.settle(batches.iter().flat_map(|batch| &batch.events), None);
        settled == 40
    });
    until("nothing is held", || broker.stats().receive_memory == 0);
}

/// Long and short messages, fragments and pings, in pieces of every size, while there is seldom
/// room for more than one.
#[test]
fn long_messages_are_whole_and_in_order_however_they_are_cut() {
    const SIZES: [usize; 10] = [5, 16_383, 16_384, 20_000, 3, 65_535, 65_536, 130_000, 16_384, 400_000];
    let in_flight = InFlight { messages: 2, ..InFlight::default() };
    let broker = Broker::new(Config { io_threads: 1, in_flight, ..Config::default() }).unwrap();
    let (_worker, log) = logging(&broker, Handlers::TEXT | Handlers::BINARY);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let (mut frames, mut expected) = (Vec::new(), Vec::new());
    for round in 0..3 {
        for (number, size) in SIZES.into_iter().enumerate() {
            let payload: Vec<u8> = (0..size).map(|at| b'a' + ((at * 7 + number + round) % 26) as u8).collect();
            let key = [number as u8, 2, round as u8, 0xff];
            let binary = (number + round) % 2 == 0;
            let opcode = if binary { Opcode::Binary } else { Opcode::Text };
            if number % 3 == 0 {
                let (first, rest) = payload.split_at(size / 3);
                client::write_frame(&mut frames, false, opcode, first, key);
                client::write_frame(&mut frames, true, Opcode::Ping, b"between", key);
                client::write_frame(&mut frames, true, Opcode::Continuation, rest, key);
            } else {
                client::write_frame(&mut frames, true, opcode, &payload, key);
            }
            expected.push(if binary { Seen::Binary(payload) } else { Seen::Text(payload) });
        }
    }
    for (id, piece) in [usize::MAX, 100_000, 16_392, 7_919].into_iter().enumerate() {
        let mut client = Client::connect(port);
        for bytes in frames.chunks(piece.min(frames.len())) {
            client.stream.write_all(bytes).unwrap();
        }
        until("all have come", || log.lock().len() == expected.len());
        let log = std::mem::take(&mut *log.lock());
        for (at, (seen, expected)) in log.iter().zip(&expected).enumerate() {
            assert_eq!(seen.0, id as u64 + 1);
            // Not printed: they are long.
            assert!(seen.1 == *expected, "message {at} in pieces of {piece}");
        }
    }
    until("nothing is held", || broker.stats().receive_memory == 0);
}

#[test]
fn a_long_text_that_is_no_utf_8_fails_the_connection_behind_the_message_before_it() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    let (good, mut bad) = (vec![b'x'; 20_000], vec![b'x'; 20_000]);
    bad[19_999] = 0xff;
    let mut frames = Vec::new();
    for payload in [&good, &bad, &good] {
        client::write_frame(&mut frames, true, Opcode::Text, payload, [1, 2, 3, 4]);
    }
    client.stream.write_all(&frames).unwrap();
    assert!(matches!(client.next(), Got::Close(Some(1007), _)));
    until("its end is told", || log.lock().len() == 2);
    let log = log.lock();
    assert!(log[0] == (1, Seen::Text(good)));
    assert!(matches!(log[1], (1, Seen::Close(..))), "nothing comes behind what was wrong");
}

/// It takes nothing any more, says nothing, and has not ended: only writing finds out.
#[cfg(unix)]
#[test]
fn a_peer_that_cannot_be_written_to_and_says_nothing_is_gone() {
    use std::{net::Shutdown, os::unix::net::UnixStream};

    use wsbroker_core::{Bind, ListenerConfig, MessageKind, SocketId};

    let folder = std::env::temp_dir().join(format!("wsbroker-inbound-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ws.sock");
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let listener = broker.runtime().block_on(broker.listen(ListenerConfig::new(Bind::Unix(path.clone())))).unwrap();
    listener.serve();
    let mut client = Client::over(UnixStream::connect(&path).unwrap());
    client.stream.write_all(common::REQUEST).unwrap();
    let client = client.expect("HTTP/1.1 101");
    client.stream.shutdown(Shutdown::Read).unwrap();
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"anyone there?");
    cork.send(SocketId::new(1).unwrap(), staged);
    cork.flush();
    until("its end is reported", || !log.lock().is_empty());
    assert_eq!(*log.lock(), [(1, Seen::Close(1006, String::new()))]);
    assert_eq!(broker.stats().closes.of(CloseCause::Lost), 1);
    drop((client, listener));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A connection whose closing is done is not talked into staying.
#[test]
fn what_comes_after_the_close_frame_is_not_heard() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let limits = SocketLimits { close_timeout: Duration::from_millis(300), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    for (number, late) in [(1, &b"\x88\x80\0\0\0\0"[..]), (2, b"\xff\x80\0\0\0\0"), (3, b"\x81\x81\0\0\0\0x")] {
        let mut client = Client::connect(port);
        client.close(1000, "bye");
        assert_eq!(client.next(), Got::Close(Some(1000), String::new()));
        assert_eq!(client.next(), Got::End);
        client.stream.write_all(late).unwrap();
        until("it is cut", || broker.stats().closes.of(CloseCause::CloseTimeout) == number);
        assert_eq!(broker.stats().closes.of(CloseCause::Peer), number);
        assert_eq!(log.lock().last(), Some(&(number, Seen::Close(1000, "bye".into()))));
        assert_eq!(log.lock().len() as u64, number, "the end is reported once, and nothing after it");
    }
}
