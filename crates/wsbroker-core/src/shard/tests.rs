//! What only a test inside the crate can bring about: commands that come late.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Barrier,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wsbroker_proto::{Deflaters, Opcode, WindowBits, client};

use super::*;
use crate::{
    Config, Handlers, MessageKind, SocketLimits, Worker,
    admission::Endpoint,
    broker::{Broker, BrokerState},
    counters::CloseCause,
    event::Batch,
    registry::Socket,
    stream::Stream,
    worker::DeliverError,
};

/// Takes events and begins none.
#[derive(Default)]
struct PassiveWorker(Mutex<Vec<Batch>>);

impl Worker for PassiveWorker {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        self.0.lock().push(batch);
        Ok(())
    }
}

/// Stops its shard in each delivery, until the test has met it there twice.
struct MeetingWorker(Barrier);

impl MeetingWorker {
    fn meet(&self) {
        self.0.wait();
    }
}

impl Worker for MeetingWorker {
    fn deliver(&self, _: Batch) -> Result<(), DeliverError> {
        self.meet();
        self.meet();
        Ok(())
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// A connection that is open already, and its client.
fn connect(inner: &BrokerState) -> (Arc<Socket>, TcpStream) {
    connect_with(inner, None, |_| {})
}

/// The same, with what is agreed on for compression, and the shard's end of the stream prepared by
/// the caller.
fn connect_with(
    inner: &BrokerState,
    deflate: Option<WindowBits>,
    prepare: impl FnOnce(&mut TcpStream),
) -> (Arc<Socket>, TcpStream) {
    connect_to(inner, &SocketLimits::default(), deflate, prepare)
}

/// The same, at a listener with these limits.
fn connect_to(
    inner: &BrokerState,
    limits: &SocketLimits,
    deflate: Option<WindowBits>,
    prepare: impl FnOnce(&mut TcpStream),
) -> (Arc<Socket>, TcpStream) {
    let endpoint = Arc::new(Endpoint::new(1, limits.clone(), None));
    let (socket, worker) = inner.admit(&endpoint).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    prepare(&mut stream);
    let (key, permit) = (ConnectionKey::of(&socket), inner.front.permit().unwrap());
    let reserve = Reserve { socket: Arc::clone(&socket), endpoint, worker, open: None, deflate, joins: false };
    let attach = Attach { stream: Stream::tcp(stream), head: b"101".to_vec(), rest: Vec::new(), permit };
    inner.shard(0).push(Command::Reserve(Box::new(reserve)));
    inner.shard(0).push(Command::Attach(key, Box::new(attach)));
    (socket, client)
}

#[test]
fn late_news_of_room_do_not_end_a_connection_before_its_replies() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let passive = Arc::<PassiveWorker>::default();
    let worker = broker.add_worker(Arc::clone(&passive) as Arc<dyn Worker>, Handlers::TEXT);
    let (socket, mut client) = connect(broker.state());
    let mut said = Vec::new();
    client::write_frame(&mut said, true, Opcode::Text, b"hello", [1, 2, 3, 4]);
    client::write_frame(&mut said, true, Opcode::Close, &[3, 232], [1, 2, 3, 4]);
    client.write_all(&said).unwrap();
    until("the message has come", || !passive.0.lock().is_empty());
    // The shard found room by itself while a worker was about to tell it.
    broker.state().shard(0).push(Command::Resume(ConnectionKey::of(&socket)));
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"reply");
    cork.send(socket.id(), staged);
    let batches = std::mem::take(&mut *passive.0.lock());
    worker.settle(batches.iter().flat_map(|batch| &batch.events), Some(&mut cork));
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"101\x81\x05reply\x88\x02\x03\xe8");
}

fn say(client: &mut TcpStream, opcode: Opcode, payload: &[u8]) {
    let mut frame = Vec::new();
    client::write_frame(&mut frame, true, opcode, payload, [1, 2, 3, 4]);
    client.write_all(&frame).unwrap();
}

/// Sends these messages, which no handler wants and no window holds back, and at the same time one
/// from another client. Returns how many of them are taken before that one.
fn taken_before_a_neighbour(frame: &[u8], count: usize) -> u64 {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let meeting = Arc::new(MeetingWorker(Barrier::new(2)));
    let _worker = broker.add_worker(Arc::clone(&meeting) as Arc<dyn Worker>, Handlers::TEXT);
    let (_, mut neighbour) = connect(broker.state());
    let (_, mut hostile) = connect_with(broker.state(), Some(WindowBits::MAX), |_| {});
    say(&mut neighbour, Opcode::Text, b"first");
    meeting.meet();
    hostile.write_all(&frame.repeat(count)).unwrap();
    say(&mut neighbour, Opcode::Text, b"second");
    meeting.meet();
    // Both are in the kernel when the shard looks again.
    meeting.meet();
    let shown = &broker.state().shard(0).counters;
    let taken = shown.flow().messages_in - 2;
    meeting.meet();
    until("all are taken", || shown.flow().messages_in == 2 + count as u64);
    taken
}

#[test]
fn messages_that_inflate_to_a_thousand_times_their_size_do_not_hold_up_the_others() {
    let (mut bomb, mut frame) = (Vec::new(), Vec::new());
    assert!(Deflaters::new().deflate(&vec![0; 250_000], WindowBits::MAX, 9, &mut bomb));
    client::write_frame(&mut frame, true, Opcode::Binary, &bomb, [1, 2, 3, 4]);
    frame[0] |= 0x40;
    let taken = taken_before_a_neighbour(&frame, 60);
    assert!((1..=2).contains(&taken), "{taken} were inflated");
}

#[test]
fn messages_without_content_do_not_hold_up_the_others() {
    let taken = taken_before_a_neighbour(&[0x82, 0x80, 0, 0, 0, 0], 20_000);
    assert!((1..=8192).contains(&taken), "{taken} were taken");
}

/// One event of the poll tells of both.
#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let meeting = Arc::new(MeetingWorker(Barrier::new(2)));
    let _worker = broker.add_worker(Arc::clone(&meeting) as Arc<dyn Worker>, Handlers::TEXT);
    let (_, mut neighbour) = connect(broker.state());
    let (_, mut client) = connect(broker.state());
    say(&mut neighbour, Opcode::Text, b"first");
    meeting.meet();
    // No handler hears it.
    say(&mut client, Opcode::Pong, b"last");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    meeting.meet();
    client.read_to_end(&mut Vec::new()).unwrap();
    until("it is counted", || broker.state().shard(0).counters.closes()[CloseCause::Lost as usize] == 1);
}

#[cfg(target_os = "linux")]
#[test]
fn an_end_that_is_seen_is_counted() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let meeting = Arc::new(MeetingWorker(Barrier::new(2)));
    let _worker = broker.add_worker(Arc::clone(&meeting) as Arc<dyn Worker>, Handlers::TEXT);
    let (_, mut neighbour) = connect(broker.state());
    // To close it takes as long as its client does not read.
    let (slow, _unread) = connect_with(broker.state(), None, |stream| {
        while stream.write(&[0; 4096]).is_ok() {}
        socket2::SockRef::from(&*stream).set_linger(Some(Duration::from_secs(20))).unwrap();
    });
    let (last, mut client) = connect(broker.state());
    say(&mut neighbour, Opcode::Text, b"first");
    meeting.meet();
    for socket in [&slow, &last] {
        broker.state().shard(0).push(Command::Terminate(ConnectionKey::of(socket)));
    }
    meeting.meet();
    // It is closed before the other.
    client.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(broker.state().shard(0).counters.closes()[CloseCause::Terminated as usize], 2);
}

mod churn;
#[cfg(unix)]
mod long_messages;
mod manual_shard;
mod reserve;
mod slices;
