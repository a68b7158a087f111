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
