//! What needs more than the public interface: memory that is used up for as long as a test wants, and what is kept inside.

use std::sync::Arc;

use super::{Audience, RealmSink};
use crate::{
    Broker, Config, Envelope, MessageKind, RelaySink, SocketId, Worker,
    error::DeliverError,
    event::Batch,
    realm::{Helper, Post, Realm},
    registry::Kind,
};

/// A worker that is never given anything.
pub(super) struct Nobody;

impl Worker for Nobody {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        Err(DeliverError::Gone(batch))
    }

    fn post(&self, _post: Post) {}
}

pub(super) fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

fn receive(sink: &RealmSink, fields: &str) {
    match Envelope::read(&format!(r#"{{"serverId":"x","event":"e",{fields}}}"#), None) {
        Envelope::Message(message) => sink.deliver(message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_publish_for_which_there_is_no_memory_is_counted_for_each_that_does_not_get_it() {
    let broker = broker();
    let realm: Arc<Realm> = broker.realm();
    let (_first, first) = broker.add_helper(&realm, Arc::new(Nobody));
    let (_second, second) = broker.add_helper(&realm, Arc::new(Nobody));
    for id in [1, 2] {
        realm.channels(Kind::Room).join(b"r", SocketId::new(id).unwrap(), 0);
    }
    assert!(second.add_client(b"c", None));
    let sink = broker.realm_sink(&realm);
    let dropped = || [&first, &second].map(|helper: &Helper| helper.dropped(false));
    let mut cork = broker.cork();
    let mut publish = |room: &[u8]| {
        let staged = cork.stage_slice(MessageKind::Text, b"x");
        second.publish(&mut cork, Audience::Room(room), staged, &[])
    };
    publish(b"r");
    assert_eq!(dropped(), [0, 0]);
    broker.inner().memory.send_changed(0, usize::MAX / 2);
    publish(b"r");
    assert_eq!(dropped(), [0, 2], "by whoever has sent it");
    publish(b"nobody");
    assert_eq!(dropped(), [0, 2]);
    receive(&sink, r#""type":"room","target":"r","data":1"#);
    assert_eq!(dropped(), [2, 2], "what nobody here has sent, the first is told");
    receive(&sink, r#""type":"client","target":"nobody","data":1"#);
    assert_eq!(dropped(), [2, 2]);
}

#[test]
fn a_message_of_another_instance_that_its_helper_has_no_room_for_is_counted_there() {
    let broker = broker();
    let realm: Arc<Realm> = broker.realm();
    let (_first, first) = broker.add_helper(&realm, Arc::new(Nobody));
    let (_second, second) = broker.add_helper(&realm, Arc::new(Nobody));
    assert!(second.add_client(b"c", None));
    let sink = broker.realm_sink(&realm);
    let long = "x".repeat(17 << 20);
    receive(&sink, &format!(r#""type":"client","target":"c","data":"{long}""#));
    assert_eq!((first.dropped(false), second.dropped(false)), (0, 1));
    let mut cork = broker.cork();
    second.finish_client(&mut cork, b"c");
    second.hold_client(&mut cork, b"c");
    receive(&sink, &format!(r#""type":"broadcast","data":"{long}""#));
    assert_eq!((first.dropped(false), second.dropped(false)), (1, 1));
}
