//! Histories that are deleted, and what their subscribers are told.

use wsbroker_core::{Handlers, Since, SocketLimits};

use crate::{
    common::{Got, Seen, until},
    kit::{World, next, rule},
};

#[test]
fn deleting_all_begins_a_new_epoch_and_tells_the_subscribers_before_anything_newer() {
    let handlers = Handlers::LOST | Handlers::OPEN | Handlers::CLOSE;
    let mut world = World::with(rule(), SocketLimits::default(), handlers, |scope, id, seen| {
        if let Seen::Lost(channel, offset, epoch) = seen {
            scope.send(id, format!("{offset} {}\n{epoch}", String::from_utf8_lossy(channel)).as_bytes());
            scope.cork.continue_channel(id, channel);
        }
    });
    let (mut client, id) = world.connect();
    let before = world.publish("h:a", "old");
    world.recover(id, "h:a", Since::Latest);
    assert_eq!(next(&mut client), (1, "old".into()));
    world.broker.delete_history(&mut world.cork, b"h:a", None).unwrap();
    let first = world.publish("h:a", "new");
    assert_eq!(first.offset, 1);
    assert_ne!(first.epoch, before.epoch);
    assert_eq!(next(&mut client), (0, first.epoch.to_string()), "it is told first");
    assert_eq!(next(&mut client), (1, "new".into()));
    world.publish("h:a", "newer");
    assert_eq!(next(&mut client), (2, "newer".into()));
    let (_client, id) = world.connect();
    assert!(!world.recover(id, "h:a", Since::Position(before)).recovered);
}

#[test]
fn deleting_the_oldest_keeps_the_epoch_and_disturbs_nobody_who_has_read_them() {
    let mut world = World::new(rule(), SocketLimits::default());
    let (mut client, id) = world.connect();
    world.recover(id, "h:a", Since::Now);
    let first = world.publish("h:a", "1");
    world.publish("h:a", "2");
    world.publish("h:a", "3");
    world.broker.delete_history(&mut world.cork, b"h:a", Some(3)).unwrap();
    assert_eq!(world.position("h:a").epoch, first.epoch);
    world.publish("h:a", "4");
    assert_eq!([1, 2, 3, 4].map(|_| next(&mut client).0), [1, 2, 3, 4]);
    let (mut back, other) = world.connect();
    assert!(!world.recover(other, "h:a", Since::Position(first)).recovered, "the second is gone");
    world.broker.unsubscribe(&mut world.cork, other, b"h:a");
    let second = wsbroker_core::HistoryPosition { offset: 2, ..first };
    assert_eq!(world.recover(other, "h:a", Since::Position(second)).replayed, 2);
    assert_eq!([3, 4].map(|_| next(&mut back).0), [3, 4]);
    // What is left of it goes, and with that the epoch.
    world.broker.delete_history(&mut world.cork, b"h:a", Some(1000)).unwrap();
    assert_ne!(world.position("h:a").epoch, first.epoch);
    assert_eq!(client.next(), Got::Close(Some(4009), "history lost".into()));
}

#[test]
fn a_subscriber_that_leaves_while_it_waits_gets_nothing_more() {
    let handlers = Handlers::LOST | Handlers::OPEN;
    let mut world = World::with(rule(), SocketLimits::default(), handlers, |_, _, _| {});
    let (mut client, id) = world.connect();
    world.recover(id, "h:a", Since::Now);
    world.broker.delete_history(&mut world.cork, b"h:a", None).unwrap();
    until("it was told", || !world.log.lock().is_empty());
    world.publish("h:a", "held back");
    assert!(world.broker.unsubscribe(&mut world.cork, id, b"h:a"));
    world.cork.continue_channel(id, b"h:a");
    world.cork.flush();
    assert!(world.recover(id, "h:a", Since::Now).recovered);
    world.publish("h:a", "live");
    assert_eq!(next(&mut client), (2, "live".into()));
}
