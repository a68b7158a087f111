//! What only a test inside the crate can bring about: commands that come late.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wsbroker_proto::{Opcode, client};

use super::*;
use crate::{
    Config, Handlers, MessageKind, SocketLimits, Worker,
    broker::{Broker, Inner},
    error::DeliverError,
    event::Batch,
    front::Endpoint,
    registry::Socket,
};

/// Takes events and begins none.
#[derive(Default)]
struct Shelf(Mutex<Vec<Batch>>);

impl Worker for Shelf {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        self.0.lock().push(batch);
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
fn connect(inner: &Inner) -> (Arc<Socket>, TcpStream) {
    let endpoint = Arc::new(Endpoint::new(1, SocketLimits::default(), None));
    let (socket, worker) = inner.admit(&endpoint).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let (place, seat) = (Place::of(&socket), inner.front.seat().unwrap());
    let reserve = Reserve { socket: Arc::clone(&socket), endpoint, worker, open: None, deflate: None, ip: None };
    let attach = Attach { stream: Stream::tcp(stream), head: b"101".to_vec(), rest: Vec::new(), seat };
    inner.shard(0).push(Command::Reserve(Box::new(reserve)));
    inner.shard(0).push(Command::Attach(place, Box::new(attach)));
    (socket, client)
}

#[test]
fn late_news_of_room_do_not_end_a_connection_before_its_replies() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let shelf = Arc::<Shelf>::default();
    let worker = broker.add_worker(Arc::clone(&shelf) as Arc<dyn Worker>, Handlers::TEXT);
    let (socket, mut client) = connect(broker.inner());
    let mut said = Vec::new();
    client::write_frame(&mut said, true, Opcode::Text, b"hello", [1, 2, 3, 4]);
    client::write_frame(&mut said, true, Opcode::Close, &[3, 232], [1, 2, 3, 4]);
    std::io::Write::write_all(&mut client, &said).unwrap();
    until("the message has come", || !shelf.0.lock().is_empty());
    // The shard found room by itself while a worker was about to tell it.
    broker.inner().shard(0).push(Command::Resume(Place::of(&socket)));
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"reply");
    cork.send(socket.id(), staged);
    let batches = std::mem::take(&mut *shelf.0.lock());
    worker.settle(batches.iter().flat_map(|batch| &batch.events), Some(&mut cork));
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"101\x81\x05reply\x88\x02\x03\xe8");
}
