//! Subscribers that read more slowly than is published.

use wsbroker_core::{Config, Handlers, HistoryRule, MessageKind, Overflow, Since, SocketId, SocketLimits};

use crate::{
    common::{Client, Got, Seen, pass, until},
    kit::{World, next, rule, split},
};

const PAYLOAD: usize = 10_000;
/// More than the kernel takes for a client that does not read.
const COUNT: u64 = 3_000;

fn large() -> HistoryRule {
    HistoryRule { size: 10_000, max_bytes: 64 << 20, max_replay: 10_000, ..rule() }
}

fn limits(overflow: Overflow) -> SocketLimits {
    SocketLimits { max_backpressure: 64 << 10, overflow, ..SocketLimits::default() }
}

fn publish_all(world: &mut World, neighbour: &mut Client) {
    let payload = "x".repeat(PAYLOAD);
    for number in 0..COUNT {
        world.publish("h:a", &payload);
        if number % 50 == 0 {
            pass(neighbour);
        }
    }
    pass(neighbour);
}

/// A client in the same shard as that socket.
fn neighbour_of(world: &World, id: SocketId) -> Client {
    loop {
        let (client, other) = world.connect();
        if other.get() % 2 == id.get() % 2 {
            return client;
        }
    }
}

#[test]
fn a_slow_subscriber_falls_behind_and_loses_nothing_whatever_the_overflow_is() {
    for overflow in [Overflow::Close, Overflow::DropNewest, Overflow::DropOldest] {
        let mut world = World::new(large(), limits(overflow));
        let (mut slow, id) = world.connect();
        let mut neighbour = neighbour_of(&world, id);
        world.recover(id, "h:a", Since::Now);
        publish_all(&mut world, &mut neighbour);
        assert!(world.broker.buffered_amount(id) < 128 << 10, "{}", world.broker.buffered_amount(id));
        assert_eq!(world.closed(id), None, "{overflow:?}");
        for offset in 1..=COUNT {
            assert_eq!(next(&mut slow).0, offset, "{overflow:?}");
        }
        world.publish("h:a", "live");
        assert_eq!(next(&mut slow), (COUNT + 1, "live".into()), "{overflow:?}");
        assert_eq!(world.broker.stats().dropped.total(), 0);
    }
}

/// What waits costs memory for each subscriber, what is in the ring once for all.
#[test]
fn no_more_than_128_kib_wait_for_a_slow_subscriber_whatever_its_limit_is() {
    let limits = SocketLimits { max_backpressure: 16 << 20, ..SocketLimits::default() };
    let mut world = World::new(large(), limits);
    let (mut slow, id) = world.connect();
    let mut neighbour = neighbour_of(&world, id);
    world.recover(id, "h:a", Since::Now);
    publish_all(&mut world, &mut neighbour);
    let waiting = world.broker.buffered_amount(id);
    assert!((1..(128 << 10) + 2 * PAYLOAD).contains(&waiting), "{waiting}");
    for offset in 1..=COUNT {
        assert_eq!(next(&mut slow).0, offset);
    }
}

#[test]
fn while_send_memory_is_full_subscribers_take_everything_from_the_history() {
    let config = Config { io_threads: 1, max_send_memory: 64 << 10, history: vec![large()], ..Config::default() };
    let mut world = World::on(config, SocketLimits::default(), Handlers::OPEN | Handlers::CLOSE, |_, _, _| {});
    let (mut client, id) = world.connect();
    world.recover(id, "h:a", Since::Now);
    let payload = "x".repeat(1000);
    for _ in 0..COUNT {
        let staged = world.cork.stage_slice(MessageKind::Text, payload.as_bytes());
        world.cork.publish(b"h:a", staged, &[]);
    }
    world.cork.flush();
    for offset in 1..=COUNT {
        assert_eq!(next(&mut client).0, offset);
    }
    world.publish("h:a", "live");
    assert_eq!(next(&mut client), (COUNT + 1, "live".into()));
    assert_eq!(world.broker.stats().dropped.total(), 0);
    assert!(world.broker.stats().send_memory < 64 << 10);
}

#[test]
fn with_drop_oldest_other_messages_are_dropped_and_numbered_ones_are_not() {
    let mut world = World::new(large(), limits(Overflow::DropOldest));
    let (mut slow, id) = world.connect();
    let mut neighbour = neighbour_of(&world, id);
    world.recover(id, "h:a", Since::Now);
    let payload = "x".repeat(PAYLOAD);
    for number in 0..COUNT {
        world.publish("h:a", &payload);
        let staged = world.cork.stage_slice(MessageKind::Binary, payload.as_bytes());
        world.cork.send(id, staged);
        world.cork.flush();
        if number % 50 == 0 {
            pass(&mut neighbour);
        }
    }
    let mut others = 0;
    let mut expected = 1;
    while expected <= COUNT {
        match slow.next() {
            Got::Text(message) => {
                assert_eq!(split(&message).0, expected);
                expected += 1;
            }
            Got::Binary(_) => others += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(others < COUNT, "{others}");
    assert!(world.broker.stats().dropped.total() > 0);
}

#[test]
fn unsubscribe_drops_what_a_slow_subscriber_has_not_read() {
    let mut world = World::new(large(), limits(Overflow::Close));
    let (mut slow, id) = world.connect();
    let mut neighbour = neighbour_of(&world, id);
    world.recover(id, "h:a", Since::Now);
    publish_all(&mut world, &mut neighbour);
    world.broker.unsubscribe(&mut world.cork, id, b"h:a");
    let staged = world.cork.stage_slice(MessageKind::Text, b"0 end\n");
    world.cork.send(id, staged);
    world.cork.flush();
    let mut last = 0;
    loop {
        match next(&mut slow).0 {
            0 => break,
            offset => {
                assert_eq!(offset, last + 1);
                last = offset;
            }
        }
    }
    assert!(last < COUNT, "{last}");
}

#[test]
fn a_subscriber_that_was_overtaken_is_told_before_it_gets_anything_newer() {
    let small = HistoryRule { size: 10_000, max_bytes: 1 << 20, ..rule() };
    let handlers = Handlers::LOST | Handlers::OPEN | Handlers::CLOSE;
    let mut world = World::with(small, limits(Overflow::Close), handlers, |scope, id, seen| {
        if let Seen::Lost(channel, offset, _) = seen {
            scope.send(id, format!("{offset} lost\n").as_bytes());
            scope.cork.continue_channel(id, channel);
        }
    });
    let (mut slow, id) = world.connect();
    let mut neighbour = neighbour_of(&world, id);
    world.recover(id, "h:a", Since::Now);
    publish_all(&mut world, &mut neighbour);
    world.publish("h:a", "last");
    let (mut expected, mut losses) = (1, 0);
    loop {
        let Got::Text(message) = slow.next() else { panic!("a message") };
        let (offset, channel, payload) = split(&message);
        if channel == "lost" {
            assert!(offset >= expected);
            losses += 1;
            expected = offset + 1;
            if offset == COUNT + 1 {
                world.publish("h:a", "last");
            }
            continue;
        }
        assert_eq!(offset, expected, "in order, and nothing newer before it was told");
        expected += 1;
        if payload == b"last" {
            break;
        }
    }
    assert!(losses > 0);
    assert_eq!(world.broker.stats().history.lost, losses);
}

#[test]
fn without_a_handler_a_subscriber_that_was_overtaken_is_closed() {
    let small = HistoryRule { size: 10, ..rule() };
    let mut world = World::new(small, limits(Overflow::Close));
    let (mut slow, id) = world.connect();
    let mut neighbour = neighbour_of(&world, id);
    world.recover(id, "h:a", Since::Now);
    publish_all(&mut world, &mut neighbour);
    let mut last = 0;
    let closed = loop {
        match slow.next() {
            Got::Text(message) => {
                let offset = split(&message).0;
                assert_eq!(offset, last + 1);
                last = offset;
            }
            other => break other,
        }
    };
    assert_eq!(closed, Got::Close(Some(4009), "history lost".into()));
    slow.close(4009, "");
    until("it has closed", || world.closed(id).is_some());
    assert_eq!(world.broker.stats().closes.of(wsbroker_core::CloseCause::HistoryLost), 1);
}

#[test]
fn when_a_worker_ends_in_the_handler_the_socket_is_closed_and_does_not_wait_for_ever() {
    let small = HistoryRule { size: 10, ..rule() };
    let handlers = Handlers::LOST | Handlers::OPEN | Handlers::CLOSE;
    // It never lets the socket go on.
    let mut world = World::with(small, limits(Overflow::Close), handlers, |_, _, _| {});
    let (mut slow, id) = world.connect();
    world.recover(id, "h:a", Since::Now);
    world.broker.delete_history(&mut world.cork, b"h:a", None).unwrap();
    until("it was told", || world.log.lock().iter().any(|(_, seen)| matches!(seen, Seen::Lost(..))));
    let (_other, _) = crate::common::logging(&world.broker, handlers);
    world.kill_worker();
    assert_eq!(slow.next(), Got::Close(Some(4009), "history lost".into()));
}
