//! While send memory is full only those pay that have much waiting.

use super::{
    manual_shard::{ManualShard, Peer},
    *,
};
use crate::{SendOutcome, counters::DropCause, shard::budget::TurnBounds};

const MAX: usize = 4 << 20;

/// A client that does not read, with a megabyte or more waiting for it, and one that does; both are
/// in a room. What is sent to the first besides fills memory, and is in the queue.
fn full() -> (ManualShard, Peer, Peer) {
    let mut manual = ManualShard::with(Config { max_send_memory: MAX, ..Config::default() }, TurnBounds::default());
    let limits = SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() };
    let (slow, healthy) = (manual.connect_within(&limits), manual.connect_within(&limits));
    for peer in [&slow, &healthy] {
        manual.broker.subscribe(&mut manual.cork, peer.id(), b"room").unwrap();
    }
    while slow.socket.queued() < 1 << 20 {
        manual.send(slow.id(), &[b'x'; 100_000]);
        manual.finish();
    }
    let missing = MAX - MAX / 16 + 20_000 - manual.broker.stats().send_memory;
    assert_eq!(manual.send(slow.id(), &vec![b'x'; missing]), SendOutcome::Queued);
    (manual, slow, healthy)
}

fn dropped(manual: &ManualShard) -> u64 {
    manual.broker.stats().dropped.of(DropCause::MaxSendMemory)
}

#[test]
fn replies_reach_those_that_read_while_memory_is_full() {
    let (mut manual, slow, mut healthy) = full();
    assert_eq!(manual.send(healthy.id(), b"reply"), SendOutcome::Queued);
    assert_eq!(manual.send(slow.id(), b"more"), SendOutcome::Dropped);
    assert_eq!(manual.send(healthy.id(), &[b'x'; MAX / 16]), SendOutcome::Dropped, "more than its share");
    assert_eq!(dropped(&manual), 2);
    assert!(manual.broker.is_open(slow.id()));
    manual.finish();
    manual.send(healthy.id(), b"end");
    manual.finish();
    assert_eq!(healthy.texts_until("end"), ["reply", "end"]);
    assert!(!manual.broker.is_open(slow.id()), "the slow one pays");
    assert!(manual.broker.is_open(healthy.id()));
}

#[test]
fn a_publish_reaches_those_that_read_while_memory_is_full() {
    let (mut manual, slow, mut healthy) = full();
    assert_eq!(manual.publish(b"room", b"news"), 2, "subscribers at the call");
    assert_eq!(manual.publish(b"room", b"more news"), 2);
    manual.finish();
    manual.send(healthy.id(), b"end");
    manual.finish();
    assert_eq!(healthy.texts_until("end"), ["news", "more news", "end"]);
    assert_eq!(dropped(&manual), 2, "for the slow one");
    assert!(!manual.broker.is_open(slow.id()) && manual.broker.is_open(healthy.id()));
}

#[test]
fn a_publish_that_finds_no_reserve_is_dropped() {
    let (mut manual, _slow, _healthy) = full();
    while manual.broker.stats().send_memory <= MAX {
        assert_eq!(manual.publish(b"room", &[b'x'; 50_000]), 2);
    }
    assert_eq!((manual.publish(b"room", b"lost"), dropped(&manual)), (0, 1));
}

#[test]
fn tiny_messages_cannot_fill_the_queue_while_memory_is_full() {
    let (mut manual, _slow, healthy) = full();
    let most = MAX / 32 / size_of::<Command>();
    let mut sent = 0;
    while manual.send(healthy.id(), b"") == SendOutcome::Queued {
        sent += 1;
        assert!(sent <= most);
    }
    assert!(sent > 100, "{sent}");
    assert!(manual.broker.state().shard(0).commands() <= most + 2);
}
