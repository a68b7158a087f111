//! While send memory is full only those pay that have much waiting.

use super::{
    hand::{Hand, Peer},
    *,
};
use crate::{SendOutcome, counters::DropCause, shard::budget::TurnBounds};

const MAX: usize = 4 << 20;

/// A client that does not read, with a megabyte or more waiting for it, and one that does; both are
/// in a room. What is sent to the first besides fills memory, and is in the queue.
fn full() -> (Hand, Peer, Peer) {
    let mut hand = Hand::with(Config { max_send_memory: MAX, ..Config::default() }, TurnBounds::default());
    let limits = SocketLimits { max_backpressure: 1 << 30, ..SocketLimits::default() };
    let (slow, healthy) = (hand.connect_within(&limits), hand.connect_within(&limits));
    for peer in [&slow, &healthy] {
        hand.broker.subscribe(&mut hand.cork, peer.id(), b"room").unwrap();
    }
    while slow.socket.queued() < 1 << 20 {
        hand.send(slow.id(), &[b'x'; 100_000]);
        hand.finish();
    }
    let missing = MAX - MAX / 16 + 20_000 - hand.broker.stats().send_memory;
    assert_eq!(hand.send(slow.id(), &vec![b'x'; missing]), SendOutcome::Queued);
    (hand, slow, healthy)
}

fn dropped(hand: &Hand) -> u64 {
    hand.broker.stats().dropped.of(DropCause::MaxSendMemory)
}

#[test]
fn replies_reach_those_that_read_while_memory_is_full() {
    let (mut hand, slow, mut healthy) = full();
    assert_eq!(hand.send(healthy.id(), b"reply"), SendOutcome::Queued);
    assert_eq!(hand.send(slow.id(), b"more"), SendOutcome::Dropped);
    assert_eq!(hand.send(healthy.id(), &[b'x'; MAX / 16]), SendOutcome::Dropped, "more than its share");
    assert_eq!(dropped(&hand), 2);
    assert!(hand.broker.is_open(slow.id()));
    hand.finish();
    hand.send(healthy.id(), b"end");
    hand.finish();
    assert_eq!(healthy.texts_until("end"), ["reply", "end"]);
    assert!(!hand.broker.is_open(slow.id()), "the slow one pays");
    assert!(hand.broker.is_open(healthy.id()));
}

#[test]
fn a_publish_reaches_those_that_read_while_memory_is_full() {
    let (mut hand, slow, mut healthy) = full();
    assert_eq!(hand.publish(b"room", b"news"), 2, "subscribers at the call");
    assert_eq!(hand.publish(b"room", b"more news"), 2);
    hand.finish();
    hand.send(healthy.id(), b"end");
    hand.finish();
    assert_eq!(healthy.texts_until("end"), ["news", "more news", "end"]);
    assert_eq!(dropped(&hand), 2, "for the slow one");
    assert!(!hand.broker.is_open(slow.id()) && hand.broker.is_open(healthy.id()));
}

#[test]
fn a_publish_that_finds_no_reserve_is_dropped() {
    let (mut hand, _slow, _healthy) = full();
    while hand.broker.stats().send_memory <= MAX {
        assert_eq!(hand.publish(b"room", &[b'x'; 50_000]), 2);
    }
    assert_eq!((hand.publish(b"room", b"lost"), dropped(&hand)), (0, 1));
}

#[test]
fn tiny_messages_cannot_fill_the_queue_while_memory_is_full() {
    let (mut hand, _slow, healthy) = full();
    let most = MAX / 32 / size_of::<Command>();
    let mut sent = 0;
    while hand.send(healthy.id(), b"") == SendOutcome::Queued {
        sent += 1;
        assert!(sent <= most);
    }
    assert!(sent > 100, "{sent}");
    assert!(hand.broker.state().shard(0).commands() <= most + 2);
}
