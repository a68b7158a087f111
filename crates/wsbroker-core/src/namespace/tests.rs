//! What needs more than the public interface: memory that is used up for as long as a test wants,
//! and what is kept inside.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    Audience, Bind, Broker, Config, DeliverError, ListenerConfig, MessageKind, NamespaceConfig, Operation, SocketId,
    Worker,
    event::Batch,
    namespace::{Helper, Namespace},
    registry::ChannelSet,
};

/// A worker that is never given anything.
pub(super) struct UnusedWorker;

impl Worker for UnusedWorker {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        Err(DeliverError::Gone(batch))
    }

    fn deliver_operation(&self, _: Operation) {}
}

pub(super) fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

#[test]
fn a_publish_for_which_there_is_no_memory_is_counted_for_each_that_does_not_get_it() {
    let broker = broker();
    let namespace: Arc<Namespace> = broker.namespace(NamespaceConfig::default());
    let (_first, first) = broker.add_helper(&namespace, Arc::new(UnusedWorker));
    let (_second, second) = broker.add_helper(&namespace, Arc::new(UnusedWorker));
    for id in [1, 2] {
        namespace.channels(ChannelSet::Primary).join(b"r", SocketId::new(id).unwrap(), 0);
    }
    assert!(second.add_client(b"c", None));
    let mut elsewhere = broker.cork();
    let dropped = || [&first, &second].map(|helper: &Helper| helper.dropped(false));
    let mut cork = broker.cork();
    let mut publish = |room: &[u8]| {
        let staged = cork.stage_slice(MessageKind::Text, b"x");
        second.publish(&mut cork, Audience::Room(room), staged, &[])
    };
    publish(b"r");
    assert_eq!(dropped(), [0, 0]);
    broker.state().memory.send_changed(0, usize::MAX / 2);
    publish(b"r");
    assert_eq!(dropped(), [0, 2], "by the helper that has sent it");
    publish(b"nobody");
    assert_eq!(dropped(), [0, 2]);
    let staged = elsewhere.stage_slice(MessageKind::Text, b"x");
    namespace.relay(&mut elsewhere, Audience::Room(b"r"), staged, &[]);
    assert_eq!(dropped(), [2, 2], "what nobody here has sent is counted at the first");
    let staged = elsewhere.stage_slice(MessageKind::Text, b"x");
    namespace.relay_to_client(&mut elsewhere, b"nobody", staged);
    assert_eq!(dropped(), [2, 2]);
}

#[test]
fn a_message_of_another_instance_that_its_helper_has_no_room_for_is_counted_there() {
    let broker = broker();
    let namespace: Arc<Namespace> = broker.namespace(NamespaceConfig::default());
    let (_first, first) = broker.add_helper(&namespace, Arc::new(UnusedWorker));
    let (_second, second) = broker.add_helper(&namespace, Arc::new(UnusedWorker));
    assert!(second.add_client(b"c", None));
    let mut elsewhere = broker.cork();
    let long = vec![b'x'; 17 << 20];
    let staged = elsewhere.stage_slice(MessageKind::Text, &long);
    namespace.relay_to_client(&mut elsewhere, b"c", staged);
    assert_eq!((first.dropped(false), second.dropped(false)), (0, 1));
    let mut cork = broker.cork();
    second.finish_client(&mut cork, b"c");
    second.hold_client(&mut cork, b"c");
    let staged = elsewhere.stage_slice(MessageKind::Text, &long);
    namespace.relay(&mut elsewhere, Audience::Everybody, staged, &[]);
    assert_eq!((first.dropped(false), second.dropped(false)), (1, 1));
}

/// Remembers whose events it was given.
#[derive(Default)]
struct RecordingWorker(Mutex<Vec<SocketId>>);

impl Worker for RecordingWorker {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        self.0.lock().extend(batch.events.iter().map(|event| event.socket.id()));
        Ok(())
    }

    fn deliver_operation(&self, _: Operation) {}
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_client_does_not_get_while_memory_is_scarce_is_counted_at_its_helper() {
    const MAX: usize = 4 << 20;
    let broker = Broker::new(Config { io_threads: 1, max_send_memory: MAX, ..Config::default() }).unwrap();
    let namespace = broker.namespace(NamespaceConfig::default());
    let recording = Arc::<RecordingWorker>::default();
    let (_handle, helper) = broker.add_helper(&namespace, Arc::clone(&recording) as Arc<dyn Worker>);
    helper.accept(true);
    let bind = Bind::Tcp { host: "127.0.0.1".into(), port: 0 };
    let config = ListenerConfig { namespace: Some(Arc::clone(&namespace)), ..ListenerConfig::new(bind) };
    let listener = broker.runtime().block_on(broker.listen(config)).unwrap();
    listener.serve();
    let mut client = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(request.as_bytes()).unwrap();
    until("it is there", || !recording.0.lock().is_empty());
    let id = recording.0.lock()[0];
    let mut cork = broker.cork();
    assert!(helper.subscribe(&mut cork, id, b"r"));
    broker.state().memory.send_changed(0, MAX - MAX / 16 + 1);
    let mut publish = |payload: &[u8]| {
        let staged = cork.stage_slice(MessageKind::Text, payload);
        helper.publish(&mut cork, Audience::Room(b"r"), staged, &[]);
        cork.flush();
    };
    publish(&vec![b'x'; MAX / 16]);
    until("it is counted", || helper.dropped(false) == 1);
    // Counted before the shard gives back what its queue held: until then there is no reserve.
    until("its memory is given back", || broker.state().memory.send() == MAX - MAX / 16 + 1);
    publish(b"short");
    let mut got = Vec::new();
    while !got.ends_with(b"short") {
        let mut part = [0; 1024];
        let count = client.read(&mut part).unwrap();
        assert!(count > 0);
        got.extend_from_slice(&part[..count]);
    }
    assert_eq!(helper.dropped(false), 1, "what has its share is sent");
}
